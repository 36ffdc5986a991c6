"""What any decoder's result must be, whatever it was given."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tracetui.model.rules.ruleset import Ruleset
from tracetui.model.trace.trace_point import HOOKS, TracePoint

LARGEST = 10**20
"""No kernel has a number of more digits."""
ROOM = 64
"""Characters that a decoder may add: names of protocols, verdicts, families."""


def check(value: object, size: int) -> None:
    """Fail for a number or a text out of proportion to the ``size`` of what was decoded.

    A byte that is no UTF-8 is shown as four characters.
    """
    if isinstance(value, Ruleset):
        check_ruleset(value, size)
    elif isinstance(value, str):
        assert len(value) <= 4 * size + ROOM
    elif isinstance(value, bytes):
        assert len(value) <= size
    elif isinstance(value, int):
        assert -LARGEST < value < LARGEST
    elif isinstance(value, float):
        assert math.isfinite(value)
    elif isinstance(value, TracePoint):
        check(value.fields, size)
    elif isinstance(value, Mapping):
        check(list(value.items()), size)
    elif isinstance(value, (tuple, list, frozenset)):
        assert len(value) <= size + ROOM
        for one in value:
            check(one, size)
    else:
        assert value is None, f"a {type(value)}"


def check_ruleset(ruleset: Ruleset, size: int) -> None:
    """The same for a ruleset, with every field of the type it is said to be."""
    for key, chain in ruleset.chains.items():
        assert all(type(part) is str for part in key)
        name, rules, policy, hook, priority, is_nat = chain
        assert (type(name), type(is_nat), type(rules)) == (str, bool, tuple)
        assert policy is None or type(policy) is str
        assert hook in (None, *HOOKS)
        assert priority is None or type(priority) is int
        for text, handle, packets, is_native, block in rules:
            assert text is None or type(text) is str
            assert all(type(inner) is str for inner in block)
            assert type(is_native) is bool
            assert {type(handle), type(packets)} <= {int, type(None)}
        check(chain, size)
    for table, handle in ruleset.instances.items():
        assert [type(part) for part in (*table, handle)] == [str, str, int]
