"""Tables, chains and rule handles of nf_tables, as the collector hands them up."""

from __future__ import annotations

import json

from tracetui.model.ruleset import Chain, ChainKey, ListedRule, Ruleset


def parse(text: str) -> Ruleset:
    """The ruleset without any text; raises ValueError, TypeError or KeyError if it is not ours."""
    value = json.loads(text)
    ruleset = Ruleset()
    for family, name, handle, _ in value["tables"]:
        ruleset.instances[(str(family), str(name))] = int(handle)
    for family, table, name, hook, priority, policy, kind, handles, native in value["chains"]:
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
    return ruleset
