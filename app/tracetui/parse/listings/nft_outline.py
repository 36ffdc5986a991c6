"""Tables, chains and rule handles of nf_tables, as the collector hands them up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional

from tracetui.model.rules.ruleset import Chain, ChainKey, ListedRule, Ruleset
from tracetui.model.trace.trace_point import HOOKS
from tracetui.parse import json_text


def parse(text: str, ruleset: Ruleset) -> Iterator[None]:
    """Read what has no text yet into ``ruleset``, a chain a step.

    Raises ValueError for another text.
    """
    try:
        value = json_text.read(text)
        for family, name, handle, _ in value["tables"]:
            table = (json_text.text(family), json_text.text(name))
            ruleset.instances[table] = json_text.number(handle)
        ruleset.is_settled = value.get("settled") is not False
        for chain in value["chains"]:
            yield
            _take_chain(chain, ruleset)
    except (KeyError, TypeError) as error:
        raise ValueError(f"not an outline of nf_tables: {error}") from None


def _take_chain(chain: Any, ruleset: Ruleset) -> None:
    family, table, name, hook, priority, policy, kind, handles, natives = chain
    native = frozenset(natives)
    key = ChainKey(json_text.text(family), json_text.text(table), json_text.text(name))
    ruleset.chains[key] = Chain(
        key.name,
        tuple(
            ListedRule(None, handle, None, handle in native)
            for handle in map(json_text.number, handles)
        ),
        None if _optional_text(kind) is None else _optional_text(policy) or "accept",
        hook if hook in HOOKS else None,
        None if priority is None else json_text.number(priority),
        kind == "nat",
    )


def _optional_text(value: object) -> Optional[str]:
    return None if value is None else json_text.text(value)
