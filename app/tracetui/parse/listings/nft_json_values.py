"""Expressions of nft's JSON in nft's own syntax (libnftables-json(5), nft(8) EXPRESSIONS).

A value is written as what it is compared with has it: a mark in hexadecimal digits, the name of an
interface in quotation marks, flags with commas between them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Union

AS_PLAIN, AS_QUOTED, AS_MARK, AS_SECONDS, AS_FLAGS = "plain", "quoted", "mark", "seconds", "flags"
AS_HEX, AS_DSCP = "hexadecimal", "dscp"
ValueKind = Union[str, tuple["ValueKind", ...]]
"""How values of an expression are written; of a concatenation one for each part."""
_META_KINDS = {
    **dict.fromkeys(
        ("iif", "oif", "iifname", "oifname", "sdif", "sdifname", "iifgroup", "oifgroup", "iifkind",
         "oifkind", "ibrname", "obrname", "ibriport", "obriport", "rtclassid", "time", "day",
         "hour"), AS_QUOTED,
    ),
    "mark": AS_MARK,
}  # fmt: skip
_CT_KINDS = {
    "mark": AS_MARK, "expiration": AS_SECONDS, "helper": AS_QUOTED, "label": AS_QUOTED,
    "state": AS_FLAGS, "status": AS_FLAGS, "event": AS_FLAGS,
}  # fmt: skip
_PAYLOAD_KINDS = {"flags": AS_FLAGS, "dscp": AS_DSCP}
_UNQUALIFIED = frozenset(("iif", "oif", "iifname", "oifname", "iifgroup", "oifgroup"))
"""Keys that nft prints without ``meta`` (src/meta.c, meta_key_is_unqualified)."""
_RANK = {"<<": 1, ">>": 1, "&": 2, "^": 3, "|": 4}
"""Ranks of operators: the one that binds closer has the smaller number."""
_DURATION_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


class UnknownExpression(Exception):
    """JSON of a form that is not known here."""


def kind_of(value: Any) -> ValueKind:
    """How the values are written that an expression is compared with, or set to."""
    if not isinstance(value, dict) or len(value) != 1:
        return AS_PLAIN
    ((name, inner),) = value.items()
    if name == "concat":
        return tuple(kind_of(part) for part in inner)
    if name in _RANK:
        return kind_of(inner[0])
    key = inner.get("key") if isinstance(inner, Mapping) else None
    if name == "meta":
        return _META_KINDS.get(str(key), AS_PLAIN)
    if name == "ct":
        return _CT_KINDS.get(str(key), AS_PLAIN)
    if name == "payload":
        return AS_HEX if "base" in inner else _PAYLOAD_KINDS.get(str(inner.get("field")), AS_PLAIN)
    if name == "fib":
        return AS_QUOTED if inner.get("result") in ("oif", "oifname") else AS_PLAIN
    of_key = {
        ("rt", "classid"): AS_QUOTED,
        ("socket", "mark"): AS_MARK,
        ("socket", "cgroupv2"): AS_QUOTED,
    }
    return AS_QUOTED if name == "osf" else of_key.get((name, str(key)), AS_PLAIN)


def is_operation(value: Any) -> bool:
    """Whether an expression is one of bits."""
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in _RANK


def expression_text(value: Any, kind: ValueKind = AS_PLAIN, data: ValueKind = AS_PLAIN) -> str:
    """An expression; ``data`` is how the values of a map are written. Raises Unknown."""
    if isinstance(value, list):
        return ",".join([expression_text(part, kind) for part in value])
    if not isinstance(value, dict):
        return _constant(value, kind)
    if len(value) != 1:
        raise UnknownExpression
    ((name, inner),) = value.items()
    if name in _RANK:
        return _operation(name, inner, kind)
    structure = _STRUCTURES.get(name)
    if structure is not None:
        return structure(inner, kind, data)
    writer = _EXPRESSION_WRITERS.get(name)
    if writer is None:
        raise UnknownExpression
    keys, write = writer
    if not isinstance(inner, dict) or not set(inner) <= keys:
        raise UnknownExpression
    return write(inner)


def duration_text(seconds: int) -> str:
    """Seconds as nft writes them: ``4d23h59m59s``."""
    parts = []
    for unit, size in _DURATION_UNITS:
        count, seconds = divmod(seconds, size)
        parts += [f"{count}{unit}"] if count else []
    return "".join(parts) or "0s"


def verdict_text(value: Any) -> str:
    """``accept``, ``jump CHAIN`` and the like, as an element of a map has it."""
    ((name, inner),) = value.items()
    if inner is None:
        return str(name)
    if name in ("jump", "goto") and set(inner) == {"target"}:
        return f"{name} {inner['target']}"
    raise UnknownExpression


def _constant(value: Any, kind: ValueKind) -> str:
    if isinstance(value, bool):
        return "exists" if value else "missing"
    if isinstance(value, int):
        number = _NUMBER_WRITERS.get(str(kind))
        return str(value) if number is None else number(value)
    if not isinstance(value, str):
        raise UnknownExpression
    # A reference to a set is none of its elements, and an index is no name.
    is_quoted = kind == AS_QUOTED and not value.startswith("@") and value not in ("*", "0")
    return f'"{value}"' if is_quoted else value


def _operation(name: str, sides: Any, kind: ValueKind) -> str:
    kind = kind_of(sides[0]) if kind == AS_PLAIN else kind
    kinds = (kind, AS_PLAIN) if name in ("<<", ">>") else (kind,) * len(sides)
    return f" {name} ".join([_side(name, *pair) for pair in zip(sides, kinds)])


def _side(name: str, side: Any, kind: ValueKind) -> str:
    """One side of an operation; in brackets where it binds less close, as several flags do."""
    if isinstance(side, list):
        return f"({' | '.join([expression_text(flag, kind) for flag in side])})"
    text = expression_text(side, kind)
    if is_operation(side) and _RANK[next(iter(side))] > _RANK[name]:
        return f"({text})"
    return text


def _range(sides: Any, kind: ValueKind, _: ValueKind) -> str:
    low, high = sides
    # nft writes numbers where JSON has names, as of ICMP types: those are not known here.
    if any(isinstance(end, str) and end.replace("-", "").isalpha() for end in (low, high)):
        raise UnknownExpression
    if kind == AS_SECONDS:
        return f"{int(low)}s-{int(high)}s"
    return f"{expression_text(low, kind)}-{expression_text(high, kind)}"


def _concat(parts: Any, kind: ValueKind, _: ValueKind) -> str:
    kinds = kind if isinstance(kind, tuple) else (AS_PLAIN,) * len(parts)
    return " . ".join([expression_text(*pair) for pair in zip(parts, kinds)])


def _set(elements: Any, kind: ValueKind, data: ValueKind) -> str:
    listed = elements if isinstance(elements, list) else [elements]
    return f"{{ {', '.join([_element(element, kind, data) for element in listed])} }}"


def _element(value: Any, kind: ValueKind, data: ValueKind) -> str:
    """An element of a set, or of a map, which is a pair."""
    if isinstance(value, list) and len(value) == 2:
        key, mapped = value
        is_verdict = isinstance(mapped, dict) and set(mapped) <= _JSON_VERDICTS
        text = verdict_text(mapped) if is_verdict else expression_text(mapped, data)
        return f"{_element(key, kind, data)} : {text}"
    return expression_text(value, kind)


def _elem(inner: Any, kind: ValueKind, _: ValueKind) -> str:
    if not isinstance(inner, dict) or not set(inner) <= {"val", "timeout", "expires", "comment"}:
        raise UnknownExpression
    text = expression_text(inner["val"], kind)
    if "timeout" in inner:
        text += f" timeout {duration_text(inner['timeout'])}"
    return text if "comment" not in inner else f'{text} comment "{inner["comment"]}"'


def _prefix(inner: Any, kind: ValueKind, _: ValueKind) -> str:
    return f"{expression_text(inner['addr'], kind)}/{inner['len']}"


def _map(inner: Any, _: ValueKind, data: ValueKind) -> str:
    key = inner["key"]
    return f"{expression_text(key)} map {expression_text(inner['data'], kind_of(key), data)}"


def _payload(inner: Mapping[str, Any]) -> str:
    if "base" in inner:
        return f"@{inner['base']},{inner['offset']},{inner['len']}"
    return f"{inner['protocol']} {inner['field']}"


def _meta(inner: Mapping[str, Any]) -> str:
    key = str(inner["key"])
    return key if key in _UNQUALIFIED else f"meta {key}"


def _ct(inner: Mapping[str, Any]) -> str:
    words = (inner.get("dir"), inner.get("family"), inner["key"])
    return " ".join(["ct", *(str(word) for word in words if word)])


def _tcp_option(inner: Mapping[str, Any]) -> str:
    if "base" in inner:
        return f"tcp option @{inner['base']},{inner['offset']},{inner['len']}"
    return " ".join(["tcp option", *_names(inner)])


def _names(inner: Mapping[str, Any]) -> list[str]:
    return [str(inner[key]) for key in ("name", "field") if key in inner]


def _exthdr(inner: Mapping[str, Any]) -> str:
    return " ".join(_names(inner) if "field" in inner else ["exthdr", *_names(inner)])


def _fib(inner: Mapping[str, Any]) -> str:
    flags = inner.get("flags", [])
    listed = flags if isinstance(flags, list) else [flags]
    return " ".join(["fib", " . ".join(map(str, listed)), str(inner["result"])])


def _rt(inner: Mapping[str, Any]) -> str:
    return " ".join(["rt", *(str(inner[key]) for key in ("family", "key") if key in inner)])


def _ipsec(inner: Mapping[str, Any]) -> str:
    number = f"spnum {inner['spnum']}" if inner.get("spnum") else ""
    words = ("ipsec", inner["dir"], number, inner.get("family"), inner["key"])
    return " ".join([str(word) for word in words if word])


def _osf(inner: Mapping[str, Any]) -> str:
    ttl = f"ttl {inner['ttl']} " if "ttl" in inner else ""
    return f"osf {ttl}{inner['key']}"


def _numgen(inner: Mapping[str, Any]) -> str:
    offset = f" offset {inner['offset']}" if inner.get("offset") else ""
    return f"numgen {inner['mode']} mod {inner['mod']}{offset}"


def _jhash(inner: Mapping[str, Any]) -> str:
    seed = f" seed 0x{inner['seed']:x}" if "seed" in inner else ""
    offset = f" offset {inner['offset']}" if inner.get("offset") else ""
    return f"jhash {expression_text(inner['expr'])} mod {inner['mod']}{seed}{offset}"


def _symhash(inner: Mapping[str, Any]) -> str:
    offset = f" offset {inner['offset']}" if inner.get("offset") else ""
    return f"symhash mod {inner['mod']}{offset}"


_NUMBER_WRITERS: dict[str, Callable[[int], str]] = {
    AS_MARK: lambda value: f"0x{value:08x}", AS_SECONDS: duration_text, AS_FLAGS: hex, AS_HEX: hex,
    AS_DSCP: lambda value: f"0x{value:02x}",
}  # fmt: skip
_JSON_VERDICTS = frozenset(("accept", "drop", "continue", "return", "jump", "goto", "queue"))
_STRUCTURES: dict[str, Callable[[Any, ValueKind, ValueKind], str]] = {
    "range": _range, "concat": _concat, "set": _set, "elem": _elem, "prefix": _prefix, "map": _map,
}  # fmt: skip
_EXPRESSION_WRITERS: dict[str, tuple[frozenset[str], Callable[[Mapping[str, Any]], str]]] = {
    "payload": (frozenset(("protocol", "field", "base", "offset", "len")), _payload),
    "meta": (frozenset(("key",)), _meta),
    "ct": (frozenset(("key", "dir", "family")), _ct),
    "tcp option": (frozenset(("name", "field", "base", "offset", "len")), _tcp_option),
    "ip option": (frozenset(("name", "field")), lambda one: " ".join(["ip option", *_names(one)])),
    "sctp chunk": (
        frozenset(("name", "field")), lambda one: " ".join(["sctp chunk", *_names(one)])
    ),
    "exthdr": (frozenset(("name", "field")), _exthdr),
    "fib": (frozenset(("result", "flags")), _fib),
    "rt": (frozenset(("key", "family")), _rt),
    "socket": (frozenset(("key",)), lambda one: f"socket {one['key']}"),
    "osf": (frozenset(("key", "ttl")), _osf),
    "ipsec": (frozenset(("key", "dir", "spnum", "family")), _ipsec),
    "numgen": (frozenset(("mode", "mod", "offset")), _numgen),
    "jhash": (frozenset(("mod", "seed", "offset", "expr")), _jhash),
    "symhash": (frozenset(("mod", "offset")), _symhash),
}  # fmt: skip
"""How an expression is written that has no other keys than these."""
