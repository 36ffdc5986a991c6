"""Rulesets as ``nft -j list ruleset`` prints them (libnftables-json(5)), rules in nft syntax."""

from __future__ import annotations

import json
from typing import Any, Optional

from tracetui.model.rules.ruleset import Chain, ChainKey, ListedRule, Ruleset
from tracetui.parse import json_text
from tracetui.parse.listings.nft_json_rule import block_of, rule_text
from tracetui.parse.listings.nft_text import HOOKS_BY_NFT_NAME

_IPTABLES_STATEMENTS = frozenset((
    "match", "counter", "jump", "goto", "limit", "log", "xt", "mangle", "accept", "drop", "return",
    "continue", "dnat", "snat", "masquerade", "redirect",
))  # fmt: skip
_NATIVE_EXPRESSIONS = (
    "set", "ct", "fib", "map", "rt", "socket", "osf", "numgen", "jhash", "concat",
)  # fmt: skip


def parse(text: str) -> Ruleset:
    """The chains of a listing; raises ValueError if it is none."""
    try:
        return _ruleset(json_text.read(text)["nftables"])
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not nft JSON: {error}") from None


def _ruleset(objects: list[dict[str, Any]]) -> Ruleset:
    heads: dict[ChainKey, dict[str, Any]] = {}
    rules: dict[ChainKey, list[ListedRule]] = {}
    ruleset = Ruleset()
    dormant: set[tuple[str, str]] = set()
    for listed in objects:
        if "table" in listed and "dormant" in listed["table"].get("flags", ()):
            dormant.add((listed["table"]["family"], listed["table"]["name"]))
        elif "chain" in listed:
            chain = listed["chain"]
            heads[_key(chain, "name")] = chain
        elif "rule" in listed:
            rule = listed["rule"]
            rules.setdefault(_key(rule, "chain"), []).append(_rule(rule))
    for key, chain in heads.items():
        # Packets enter no chain of a dormant table.
        is_base = "hook" in chain and key[:2] not in dormant
        ruleset.chains[key] = Chain(
            key.name,
            tuple(rules.get(key, ())),
            json_text.text(chain.get("policy", "accept")) if is_base else None,
            HOOKS_BY_NFT_NAME.get(chain.get("hook", "")) if is_base else None,
            _number(chain.get("prio")) if is_base else None,
            is_base and chain.get("type") == "nat",
        )
    return ruleset


def _key(listed: dict[str, Any], name: str) -> ChainKey:
    family, table, chain = (json_text.text(listed[key]) for key in ("family", "table", name))
    return ChainKey(family, table, chain)


def _rule(rule: dict[str, Any]) -> ListedRule:
    expressions = rule.get("expr", [])
    statements = [statement for statement in expressions if isinstance(statement, dict)]
    comment = json_text.text(rule["comment"]) if rule.get("comment") else None
    counter = next(
        (statement["counter"] for statement in statements if statement.get("counter")), None
    )
    packets = _number(counter.get("packets")) if isinstance(counter, dict) else None
    # nft's JSON shows an iptables match or target by its name only: that is no text of the rule.
    has_xt = any("xt" in statement for statement in statements)
    text = None if has_xt else rule_text(expressions, comment, json_text.text(rule["family"]))
    is_native = len(statements) < len(expressions) or any(
        _is_native(statement) for statement in statements
    )
    return ListedRule(text, _number(rule.get("handle")), packets, is_native, block_of(expressions))


def _number(value: object) -> Optional[int]:
    """A whole number; None for anything else."""
    try:
        return json_text.number(value)
    except TypeError:
        return None


def _is_native(statement: dict[str, Any]) -> bool:
    """Whether iptables makes no such statement."""
    (name, value), *_ = statement.items()
    if name == "match":
        printed = json.dumps(value)
        return any(f'"{word}"' in printed for word in _NATIVE_EXPRESSIONS)
    return name not in _IPTABLES_STATEMENTS
