"""What any decoder's result must be, whatever it was given."""

from __future__ import annotations

import math
from collections.abc import Mapping

LARGEST = 1 << 64
"""No kernel has a longer number."""
ROOM = 64
"""Characters that a decoder may add: names of protocols, verdicts, families."""


def check(value: object, size: int) -> None:
    """Fail for a number or a text out of proportion to the ``size`` of what was decoded.

    A byte that is no UTF-8 is shown as four characters.
    """
    if isinstance(value, str):
        assert len(value) <= 4 * size + ROOM
    elif isinstance(value, bytes):
        assert len(value) <= size
    elif isinstance(value, int):
        assert -LARGEST < value < LARGEST
    elif isinstance(value, float):
        assert math.isfinite(value)
    elif isinstance(value, Mapping):
        check(list(value.items()), size)
    elif isinstance(value, (tuple, list)):
        assert len(value) <= size + ROOM
        for one in value:
            check(one, size)
    else:
        assert value is None, f"a {type(value)}"
