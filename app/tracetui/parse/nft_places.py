"""Tables, chains and rule handles of nf_tables, as the collector hands them up."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tracetui.model.ruleset import Chain, ChainKey, ListedRule, Ruleset


def parse(text: str, ruleset: Ruleset) -> Iterator[None]:
    """Read what has no text yet into ``ruleset``, a chain a step.

    Raises ValueError, TypeError or KeyError for what is not ours.
    """
    value = json.loads(text)
    for family, name, handle, _ in value["tables"]:
        ruleset.instances[(str(family), str(name))] = int(handle)
    for family, table, name, hook, priority, policy, kind, handles, native in value["chains"]:
        yield
        rules = tuple(ListedRule(None, int(handle), None, handle in native) for handle in handles)
        key = ChainKey(str(family), str(table), str(name))
        ruleset.chains[key] = Chain(
            key.name,
            rules,
            None if kind is None else policy or "accept",
            hook,
            priority,
            kind == "nat",
        )
