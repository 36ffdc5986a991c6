"""What ``nft -j list ruleset`` prints (libnftables-json(5)); rules are put back into nft syntax."""

from __future__ import annotations

import json
from typing import Any, Optional

from tracetui.model.ruleset import Chain, ChainKey, ListedRule, Ruleset

_HOOKS = {
    name.lower(): name for name in ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
}
_WORDS = ("accept", "drop", "return", "continue", "masquerade", "redirect", "notrack")


def parse(text: str) -> Ruleset:
    """The chains of a listing; raises ValueError if it is none."""
    try:
        objects = json.loads(text)["nftables"]
        return _ruleset(objects)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"no nft JSON: {error}") from None


def _ruleset(objects: list[dict[str, Any]]) -> Ruleset:
    heads: dict[ChainKey, dict[str, Any]] = {}
    rules: dict[ChainKey, list[ListedRule]] = {}
    ruleset = Ruleset()
    for one in objects:
        if "chain" in one:
            chain = one["chain"]
            heads[ChainKey(chain["family"], chain["table"], chain["name"])] = chain
        elif "rule" in one:
            rule = one["rule"]
            key = ChainKey(rule["family"], rule["table"], rule["chain"])
            rules.setdefault(key, []).append(_rule(rule))
    for key, chain in heads.items():
        is_base = "hook" in chain
        ruleset.chains[key] = Chain(
            key.name,
            tuple(rules.get(key, ())),
            chain.get("policy", "accept") if is_base else None,
            _HOOKS.get(chain.get("hook", "")),
            chain.get("prio"),
            chain.get("type") == "nat",
        )
    return ruleset


def _rule(rule: dict[str, Any]) -> ListedRule:
    expressions = rule.get("expr", [])
    parts = [_statement(one) for one in expressions]
    if rule.get("comment"):
        parts.append(f"comment {json.dumps(rule['comment'])}")
    counter = next((one["counter"] for one in expressions if one.get("counter")), None)
    packets = counter.get("packets") if isinstance(counter, dict) else None
    # nft's JSON shows an iptables match or target by its name only: that is no text of the rule.
    has_xt = any("xt" in one for one in expressions)
    text = None if has_xt else " ".join(part for part in parts if part)
    return ListedRule(text, rule.get("handle"), packets)


def _statement(one: dict[str, Any]) -> str:
    (name, value), *_ = one.items()
    if name == "match":
        return _match(value)
    if name in ("jump", "goto"):
        return f"{name} {value['target']}"
    if name == "counter":
        return "counter"
    if name in ("dnat", "snat", "masquerade", "redirect", "tproxy"):
        return _nat(name, value)
    if name == "mangle":
        return f"{_expression(value['key'])} set {_expression(value['value'])}"
    if name == "reject":
        how = value or {}
        return " ".join(["reject", *(["with", how["type"]] if how.get("type") else [])])
    if name == "limit":
        return f"limit rate {value['rate']}/{value['per']}"
    if name == "log":
        prefix = (value or {}).get("prefix")
        return f"log prefix {json.dumps(prefix)}" if prefix else "log"
    if name == "vmap":
        return f"{_expression(value['key'])} vmap {_expression(value['data'])}"
    if value is None or name in _WORDS:
        return name
    return f"{name} {_expression(value)}"


def _match(value: dict[str, Any]) -> str:
    op = "" if value["op"] in ("==", "in") else f" {value['op']}"
    return f"{_expression(value['left'])}{op} {_expression(value['right'])}"


def _nat(name: str, value: Optional[dict[str, Any]]) -> str:
    value = value or {}
    address = _expression(value["addr"]) if "addr" in value else ""
    port = f":{_expression(value['port'])}" if "port" in value else ""
    shown = f"[{address}]" if ":" in address and port else address
    return f"{name} to {shown}{port}" if address or port else name


def _expression(value: Any) -> str:
    if isinstance(value, list):
        return f"{{ {', '.join(_expression(one) for one in value)} }}"
    if not isinstance(value, dict):
        return str(value)
    (name, inner), *_ = value.items()
    if name == "payload" and "field" in inner:
        return f"{inner['protocol']} {inner['field']}"
    if name == "meta":
        key = str(inner["key"])
        return key if key in ("iif", "oif", "iifname", "oifname") else f"meta {key}"
    if name == "ct":
        direction = f"{inner['dir']} " if "dir" in inner else ""
        return f"ct {direction}{inner['key']}"
    if name == "prefix":
        return f"{_expression(inner['addr'])}/{inner['len']}"
    if name == "range":
        return "-".join(_expression(one) for one in inner)
    if name == "set":
        return _expression(inner if isinstance(inner, list) else [inner])
    if name in ("&", "|", "^", "<<", ">>"):
        return f" {name} ".join(_expression(one) for one in inner)
    if name == "concat":
        return " . ".join(_expression(one) for one in inner)
    if name in ("jump", "goto") and isinstance(inner, dict):
        return f"{name} {inner['target']}"
    return name if inner is None else f"{name} {json.dumps(inner)}"
