"""A rule of nft's JSON in nft's own syntax (libnftables-json(5), nft(8) STATEMENTS).

A statement that is not known to its last key stays JSON, behind the word ``json``: half of it, or
another one, would be worse.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Optional

from tracetui.parse.listings.long_sets import shortened
from tracetui.parse.listings.nft_json_values import (
    AS_FLAGS,
    AS_PLAIN,
    AS_QUOTED,
    UnknownExpression,
    duration_text,
    expression_text,
    is_operation,
    kind_of,
    verdict_text,
)

UNKNOWN_STATEMENT = "json {"
"""The beginning of a statement that is left as JSON."""
_USUAL_REJECTS = {"ip": ("icmp", "icmpx"), "ip6": ("icmpv6", "icmpx")}
"""Whose ``port-unreachable`` nft leaves out, by the table's family."""
_CHAIN_OPENINGS = ("jump {", "goto {")


def rule_text(expressions: list[Any], comment: Optional[str], family: str) -> str:
    """The statements of a rule in a table of a family, and its comment."""
    parts = [
        _rejection(expression, family) or statement_text(expression) for expression in expressions
    ]
    if comment:
        # nft escapes nothing.
        parts.append(f'comment "{comment}"')
    return shortened(" ".join([part for part in parts if part]))


def block_of(expressions: list[Any]) -> tuple[str, ...]:
    """The rules of a chain without a name that a rule leads to; empty where it leads to none."""
    for expression in expressions:
        if isinstance(expression, str) and expression.startswith(_CHAIN_OPENINGS):
            inner = expression.partition("{")[2].rpartition("}")[0]
            return tuple([line.strip() for line in inner.split("\n") if line.strip()])
    return ()


def statement_text(expression: Any) -> str:
    """One statement."""
    if isinstance(expression, str):
        return _text_statement(expression)
    if not isinstance(expression, dict) or len(expression) != 1:
        return f"json {json.dumps(expression, ensure_ascii=False)}"
    ((name, value),) = expression.items()
    try:
        return _known_statement(name, value)
    except (UnknownExpression, KeyError, TypeError, ValueError, AttributeError, IndexError):
        return f"json {json.dumps(expression, ensure_ascii=False)}"


def _text_statement(text: str) -> str:
    """A statement that nft 1.0.6 prints as text, as it has no JSON for it."""
    if text.startswith(_CHAIN_OPENINGS):
        return f"{text[:6]} {'; '.join(block_of([text]))} }}"
    return " ".join(text.split())


def _known_statement(name: str, value: Any) -> str:
    if name in _OBJECT_STATEMENTS and (isinstance(value, str) or "map" in (value or {})):
        return f"{_OBJECT_STATEMENTS[name]} {expression_text(value, AS_QUOTED, AS_QUOTED)}"
    writer = _STATEMENT_WRITERS.get(name)
    if writer is not None:
        keys, write = writer
        if value is not None and not isinstance(value, dict):
            raise UnknownExpression
        filled = value or {}
        if not set(filled) <= keys:
            raise UnknownExpression
        return write(name, filled)
    if value is None:
        return str(name)
    raise UnknownExpression


def _match(_: str, value: Mapping[str, Any]) -> str:
    left, op, right = value["left"], value["op"], value["right"]
    kind = kind_of(left)
    if _is_flag_comparison(left, right):
        flags, mask = left["&"]
        sign = "" if op in ("==", "in") else f"{op} "
        return f"{expression_text(flags)} {sign}{expression_text(right)} / {expression_text(mask)}"
    is_implied = op == "in" or (op == "==" and not _needs_sign(left, right, kind))
    return (
        f"{_left_side(left, right)} {'' if is_implied else f'{op} '}{expression_text(right, kind)}"
    )


def _is_flag_comparison(left: Any, right: Any) -> bool:
    """Whether nft writes ``tcp flags syn / syn,ack``: some of these flags, and none of the rest."""
    if not is_operation(left) or "&" not in left or len(left["&"]) != 2:
        return False
    return isinstance(left["&"][1], list) and isinstance(right, (str, list))


def _needs_sign(left: Any, right: Any, kind: object) -> bool:
    """Whether nft prints ``==`` (src/expression.c, must_print_eq_op)."""
    is_one = not isinstance(right, (list, dict)) and not str(right).startswith("@")
    return is_operation(left) or (kind == AS_FLAGS and is_one)


def _left_side(left: Any, right: Any) -> str:
    """The left side of a comparison; an address of a connection has its family, by the value."""
    if isinstance(right, bool) and isinstance(left, dict) and "tcp option" in left:
        return _option(left["tcp option"])
    text = expression_text(left)
    if text.endswith((" saddr", " daddr")) and text.startswith("ct ") and text.count(" ") == 2:
        printed = json.dumps(right)
        words = text.split(" ")
        return f"{words[0]} {words[1]} {'ip6' if ':' in printed else 'ip'} {words[2]}"
    return text


def _option(value: Mapping[str, Any]) -> str:
    """A TCP option as a whole; one without a name has a number."""
    return (
        f"tcp option {value['base']}" if "base" in value else expression_text({"tcp option": value})
    )


def _nat(name: str, value: Mapping[str, Any]) -> str:
    parts = [name]
    if "addr" in value or "port" in value:
        parts += [str(value["family"])] if "family" in value else []
        parts += _listed(value, "type_flags")
        parts += ["to", _address(value, name == "tproxy")]
    # What nft makes of prefixes is not printed.
    flags = ",".join([flag for flag in _listed(value, "flags") if flag != "netmap"])
    return " ".join([*parts, *([flags] if flags else [])])


def _address(value: Mapping[str, Any], is_always_bracketed: bool) -> str:
    port = f":{expression_text(value['port'])}" if "port" in value else ""
    address = value.get("addr", "")
    ends = address["range"] if isinstance(address, dict) and "range" in address else [address]
    is_v6 = all(isinstance(end, str) and ":" in end for end in ends)
    if is_v6 and (port or is_always_bracketed):
        return f"{'-'.join([f'[{end}]' for end in ends])}{port}"
    return f"{expression_text(address)}{port}"


def _listed(value: Mapping[str, Any], key: str) -> list[str]:
    """A value that is one word or several."""
    words = value.get(key, [])
    return [str(word) for word in words] if isinstance(words, list) else [str(words)]


def _limit(_: str, value: Mapping[str, Any]) -> str:
    over = "over " if value.get("inv") else ""
    unit = value.get("rate_unit", "packets")
    rate = f"{value['rate']}" if unit == "packets" else f"{value['rate']} {unit}"
    text = f"limit rate {over}{rate}/{value.get('per', 'second')}"
    burst, burst_unit = value.get("burst", 0), value.get("burst_unit", "packets")
    # The usual burst is not printed: 5 packets, or none.
    if burst and (burst_unit, burst) != ("packets", 5):
        text += f" burst {burst} {burst_unit}"
    return text


def _log(_: str, value: Mapping[str, Any]) -> str:
    parts = ["log"]
    if "prefix" in value:
        parts.append(f'prefix "{value["prefix"]}"')
    for key in ("group", "snaplen", "queue-threshold", "level"):
        if key in value:
            parts.append(f"{key} {value[key]}")
    flags = _listed(value, "flags")
    if "tcp sequence" in flags and "tcp options" in flags:
        flags = ["tcp sequence,options", *(flag for flag in flags if not flag.startswith("tcp "))]
    return " ".join([*parts, *[f"flags {flag}" for flag in flags]])


def _rejection(expression: Any, family: str) -> Optional[str]:
    """A plain ``reject``, where it is one of the family's usual form."""
    value = expression.get("reject") if isinstance(expression, dict) else None
    usual = _USUAL_REJECTS.get(family, ("icmpx",))
    if not isinstance(value, dict) or value.get("type") not in usual:
        return None
    is_usual = set(value) == {"type", "expr"} and value["expr"] == "port-unreachable"
    return "reject" if is_usual else None


def _reject(_: str, value: Mapping[str, Any]) -> str:
    words = [str(value[key]) for key in ("type", "expr") if key in value]
    return " ".join(["reject", *(["with", *words] if words else [])])


def _mangle(_: str, value: Mapping[str, Any]) -> str:
    kind = kind_of(value["key"])
    return f"{expression_text(value['key'])} set {expression_text(value['value'], kind, kind)}"


def _vmap(_: str, value: Mapping[str, Any]) -> str:
    key = value["key"]
    return f"{expression_text(key)} vmap {expression_text(value['data'], kind_of(key))}"


def _count(_: str, value: Mapping[str, Any]) -> str:
    return f"ct count {'over ' if value.get('inv') else ''}{value['val']}"


def _quota(_: str, value: Mapping[str, Any]) -> str:
    over = "over " if value.get("inv") else ""
    # How much is used up is no part of the rule, as counters are none.
    return f"quota {over}{value['val']} {value['val_unit']}"


def _queue(_: str, value: Mapping[str, Any]) -> str:
    flags = ",".join(_listed(value, "flags"))
    number = expression_text(value.get("num", 0))
    return f"queue {f'flags {flags} ' if flags else ''}to {number}"


def _dup(name: str, value: Mapping[str, Any]) -> str:
    if "addr" not in value:
        raise UnknownExpression
    # In a netdev table it is a device.
    address = expression_text(value["addr"], data=AS_PLAIN if "dev" in value else AS_QUOTED)
    is_device = isinstance(value["addr"], str) and not address.replace(":", ".").count(".")
    device = f" device {expression_text(value['dev'], AS_QUOTED)}" if "dev" in value else ""
    return f'{name} to "{address}"' if is_device else f"{name} to {address}{device}"


def _forward(name: str, value: Mapping[str, Any]) -> str:
    device = expression_text(value["dev"], AS_QUOTED, AS_QUOTED)
    if "addr" not in value:
        return f"{name} to {device}"
    return f"{name} {value['family']} to {expression_text(value['addr'])} device {device}"


def _set(_: str, value: Mapping[str, Any]) -> str:
    element = value["elem"]
    timeout = ""
    if isinstance(element, dict) and set(element) == {"elem"}:
        inner = element["elem"]
        if not set(inner) <= {"val", "timeout"}:
            raise UnknownExpression
        element, timeout = inner["val"], f" timeout {duration_text(inner['timeout'])}"
    statements = "".join([f" {_known_statement(*item)}" for extra in value.get("stmt", [])
                          for item in extra.items()])  # fmt: skip
    return f"{value['op']} {value['set']} {{ {expression_text(element)}{timeout}{statements} }}"


def _synproxy(name: str, value: Mapping[str, Any]) -> str:
    numbers = [f"{key} {value[key]}" for key in ("mss", "wscale") if key in value]
    return " ".join([name, *numbers, *_listed(value, "flags")])


_NAT_KEYS = frozenset(("addr", "port", "family", "flags", "type_flags"))
_STATEMENT_WRITERS: dict[str, tuple[frozenset[str], Callable[[str, Mapping[str, Any]], str]]] = {
    "match": (frozenset(("op", "left", "right")), _match),
    "counter": (frozenset(("packets", "bytes")), lambda name, _: name),
    "last": (frozenset(("used",)), lambda name, _: name),
    **dict.fromkeys(("jump", "goto"), (
        frozenset(("target",)), lambda name, value: verdict_text({name: dict(value)})
    )),
    "limit": (frozenset(("rate", "per", "inv", "burst", "rate_unit", "burst_unit")), _limit),
    "log": (
        frozenset(("prefix", "group", "snaplen", "queue-threshold", "level", "flags")), _log
    ),
    "reject": (frozenset(("type", "expr")), _reject),
    "mangle": (frozenset(("key", "value")), _mangle),
    "vmap": (frozenset(("key", "data")), _vmap),
    "ct count": (frozenset(("val", "inv")), _count),
    "quota": (frozenset(("val", "val_unit", "inv", "used", "used_unit")), _quota),
    "queue": (frozenset(("num", "flags")), _queue),
    "dup": (frozenset(("addr", "dev")), _dup),
    "fwd": (frozenset(("addr", "dev", "family")), _forward),
    "set": (frozenset(("op", "elem", "set", "stmt")), _set),
    "synproxy": (frozenset(("mss", "wscale", "flags")), _synproxy),
    "flow": (
        frozenset(("op", "flowtable")), lambda name, one: f"{name} {one['op']} {one['flowtable']}"
    ),
    "reset": (
        frozenset(("tcp option",)), lambda name, one: f"{name} {_option(one['tcp option'])}"
    ),
    **dict.fromkeys(("dnat", "snat", "masquerade", "redirect", "tproxy"), (_NAT_KEYS, _nat)),
}  # fmt: skip
"""How a statement is written that has no other keys than these."""
_OBJECT_STATEMENTS = {
    "counter": "counter name", "quota": "quota name", "limit": "limit name",
    "synproxy": "synproxy name", "ct helper": "ct helper set", "ct timeout": "ct timeout set",
    "ct expectation": "ct expectation set", "secmark": "meta secmark set",
}  # fmt: skip
"""Statements that name an object of the table, or choose one by a map."""
