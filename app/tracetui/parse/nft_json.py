"""What ``nft -j list ruleset`` prints (libnftables-json(5)); rules are put back into nft syntax."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Optional

from tracetui.model.ruleset import Chain, ChainKey, ListedRule, Ruleset
from tracetui.parse import json_text

_HOOKS = {
    name.lower(): name for name in ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
}


def parse(text: str) -> Ruleset:
    """The chains of a listing; raises ValueError if it is none."""
    try:
        return _ruleset(json_text.read(text)["nftables"])
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"no nft JSON: {error}") from None


def _ruleset(objects: list[dict[str, Any]]) -> Ruleset:
    heads: dict[ChainKey, dict[str, Any]] = {}
    rules: dict[ChainKey, list[ListedRule]] = {}
    ruleset = Ruleset()
    for one in objects:
        if "chain" in one:
            chain = one["chain"]
            heads[_key(chain, "name")] = chain
        elif "rule" in one:
            rule = one["rule"]
            rules.setdefault(_key(rule, "chain"), []).append(_rule(rule))
    for key, chain in heads.items():
        is_base = "hook" in chain
        ruleset.chains[key] = Chain(
            key.name,
            tuple(rules.get(key, ())),
            json_text.text(chain.get("policy", "accept")) if is_base else None,
            _HOOKS.get(chain.get("hook", "")),
            _number(chain.get("prio")),
            chain.get("type") == "nat",
        )
    return ruleset


def _key(one: dict[str, Any], name: str) -> ChainKey:
    family, table, chain = (json_text.text(one[key]) for key in ("family", "table", name))
    return ChainKey(family, table, chain)


def _rule(rule: dict[str, Any]) -> ListedRule:
    expressions = rule.get("expr", [])
    parts = [_statement(one) for one in expressions]
    if rule.get("comment"):
        parts.append(f"comment {json.dumps(rule['comment'], ensure_ascii=False)}")
    counter = next((one["counter"] for one in expressions if one.get("counter")), None)
    packets = _number(counter.get("packets")) if isinstance(counter, dict) else None
    # nft's JSON shows an iptables match or target by its name only: that is no text of the rule.
    has_xt = any("xt" in one for one in expressions)
    text = None if has_xt else " ".join(part for part in parts if part)
    is_native = any(_is_native(one) for one in expressions)
    return ListedRule(text, _number(rule.get("handle")), packets, is_native)


def _number(value: object) -> Optional[int]:
    """A whole number; None for anything else."""
    try:
        return json_text.number(value)
    except TypeError:
        return None


def _is_native(one: dict[str, Any]) -> bool:
    """Whether iptables makes no such statement."""
    (name, value), *_ = one.items()
    if name == "match":
        said = json.dumps(value)
        return any(f'"{word}"' in said for word in _NATIVE)
    return name not in _OF_IPTABLES


def _statement(one: dict[str, Any]) -> str:
    """One statement in nft syntax; what is not known to the last key is shown as it is."""
    (name, value), *_ = one.items()
    writer = _WRITERS.get(name)
    if writer is not None:
        keys, write = writer
        if value is None or isinstance(value, dict):
            filled = value or {}
            if set(filled) <= keys:
                return write(name, filled)
    elif value is None:
        return str(name)
    return f"{name} {json.dumps(value)}"


def _match(_: str, value: dict[str, Any]) -> str:
    op = "" if value["op"] in ("==", "in") else f" {value['op']}"
    return f"{_expression(value['left'])}{op} {_expression(value['right'])}"


def _nat(name: str, value: dict[str, Any]) -> str:
    address = _expression(value["addr"]) if "addr" in value else ""
    port = f":{_expression(value['port'])}" if "port" in value else ""
    shown = f"[{address}]" if ":" in address and port else address
    return f"{name} to {shown}{port}" if address or port else name


def _limit(_: str, value: dict[str, Any]) -> str:
    over = "over " if value.get("inv") else ""
    unit = value.get("rate_unit", "packets")
    rate = f"{value['rate']}" if unit == "packets" else f"{value['rate']} {unit}"
    text = f"limit rate {over}{rate}/{value.get('per', 'second')}"
    if "burst" in value:
        text += f" burst {value['burst']} {value.get('burst_unit', 'packets')}"
    return text


def _log(_: str, value: dict[str, Any]) -> str:
    parts = ["log"]
    if "prefix" in value:
        parts.append(f"prefix {json.dumps(value['prefix'], ensure_ascii=False)}")
    for key, word in _LOG_WORDS.items():
        if key in value:
            parts.append(f"{word} {_expression(value[key])}")
    return " ".join(parts)


def _reject(_: str, value: dict[str, Any]) -> str:
    words = [str(value[key]) for key in ("type", "expr") if key in value]
    return " ".join(["reject", *(["with", *words] if words else [])])


def _mangle(_: str, value: dict[str, Any]) -> str:
    return f"{_expression(value['key'])} set {_expression(value['value'])}"


def _map(_: str, value: dict[str, Any]) -> str:
    return f"{_expression(value['key'])} vmap {_expression(value['data'])}"


def _count(_: str, value: dict[str, Any]) -> str:
    return f"ct count {'over ' if value.get('inv') else ''}{value['val']}"


_LOG_WORDS = {
    "group": "group", "snaplen": "snaplen", "queue-threshold": "queue-threshold",
    "level": "level", "flags": "flags",
}  # fmt: skip
_NAT_KEYS = frozenset(("addr", "port", "family"))
_WRITERS: dict[str, tuple[frozenset[str], Callable[[str, dict[str, Any]], str]]] = {
    "match": (frozenset(("op", "left", "right")), _match),
    "counter": (frozenset(("packets", "bytes")), lambda name, _: name),
    "jump": (frozenset(("target",)), lambda name, value: f"{name} {value['target']}"),
    "goto": (frozenset(("target",)), lambda name, value: f"{name} {value['target']}"),
    "limit": (frozenset(("rate", "per", "inv", "burst", "rate_unit", "burst_unit")), _limit),
    "log": (frozenset(("prefix", *_LOG_WORDS)), _log),
    "reject": (frozenset(("type", "expr")), _reject),
    "mangle": (frozenset(("key", "value")), _mangle),
    "vmap": (frozenset(("key", "data")), _map),
    "ct count": (frozenset(("val", "inv")), _count),
    **dict.fromkeys(("dnat", "snat", "masquerade", "redirect", "tproxy"), (_NAT_KEYS, _nat)),
}
"""How a statement is written that has no other keys than these."""
_OF_IPTABLES = frozenset(("match", "counter", "jump", "goto", "limit", "log", "xt", "mangle")) | {
    *("accept", "drop", "return", "continue", "dnat", "snat", "masquerade", "redirect"),
}
_NATIVE = ("set", "ct", "fib", "map", "rt", "socket", "osf", "numgen", "jhash", "concat")


_JOINTS = {
    "|": " | ", "&": " & ", "^": " ^ ", "<<": " << ", ">>": " >> ", "range": "-", "concat": " . ",
}  # fmt: skip


def _expression(value: Any) -> str:
    if isinstance(value, list):
        return f"{{ {', '.join(_element(one) for one in value)} }}"
    if not isinstance(value, dict):
        return str(value)
    (name, inner), *rest = value.items()
    if rest:
        return json.dumps(value)
    if name == "payload" and set(inner) == {"protocol", "field"}:
        return f"{inner['protocol']} {inner['field']}"
    if name == "meta" and set(inner) == {"key"}:
        key = str(inner["key"])
        return key if key in ("iif", "oif", "iifname", "oifname") else f"meta {key}"
    if name == "ct" and set(inner) <= {"key", "dir", "family"}:
        words = (inner.get("dir"), inner.get("family"), inner["key"])
        return " ".join(["ct", *(str(word) for word in words if word)])
    if name == "prefix":
        return f"{_expression(inner['addr'])}/{inner['len']}"
    if name == "set":
        return _expression(inner if isinstance(inner, list) else [inner])
    joint = _JOINTS.get(name)
    if joint is not None and isinstance(inner, list):
        return joint.join(_operand(one) for one in inner)
    if name in ("jump", "goto") and isinstance(inner, dict):
        return f"{name} {inner['target']}"
    return str(name) if inner is None else f"{name} {json.dumps(inner)}"


def _element(value: Any) -> str:
    """An element of a set, or of a map, which is a pair."""
    if isinstance(value, list) and len(value) == 2:
        return f"{_expression(value[0])} : {_expression(value[1])}"
    return _expression(value)


def _operand(value: Any) -> str:
    """One side of an operation; several flags stand in brackets, and are one of them."""
    if isinstance(value, list):
        return f"({' | '.join(_expression(one) for one in value)})"
    return _expression(value)
