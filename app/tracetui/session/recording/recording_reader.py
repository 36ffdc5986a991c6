"""The lines of our own record, read back into the packets they were written from."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional, TypeVar

from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import END_OF_CALENDAR, FORGEABLE, SINCE_EPOCH, Hop
from tracetui.model.trace.moments import OF_NO_START
from tracetui.model.trace.packet import MOST_HOPS, Packet
from tracetui.model.trace.trace_point import HOOKS, built_in_hook
from tracetui.parse import json_text

_NUMBER_FIELDS = (
    *("sport", "dport", "length", "ip_id", "ttl", "icmp_type", "icmp_code"),
    *("icmp_id", "icmp_seq", "fragment"),
)

_NO_START = OF_NO_START + 0.5
"""Seconds since an unknown moment; a fraction, because the stamps had one."""
_BACKENDS = ("legacy", "nft")
_NUMBER_LIMIT = 1 << 64
"""Above every number we write; NaN fails the comparison too."""

_Kind = TypeVar("_Kind")


class Event(NamedTuple):
    """A loss or a trip in a recording."""

    time: Optional[float]
    lost: int
    """Hops that are missing."""
    text: str
    """Notice for the user; empty for none."""


def is_ours(line: str) -> bool:
    """Whether a line looks like one of our record's."""
    return line.startswith('{"kind"')


def read_snapshot(line: str) -> Optional[Mapping[str, Any]]:
    """Read a recorded snapshot; None for a line of another kind, ValueError for a damaged one."""
    value = _object(line, "ruleset")
    if value is None:
        return None
    try:
        _required(value, "reading", int)
        value.setdefault("parts", None)
        parts = _optional(value, "parts", list)
        texts = [_required(part, "text", str) for part in parts or ()]
    except (TypeError, KeyError, AttributeError, OverflowError) as error:
        raise ValueError(f"no ruleset of ours: {error}") from None
    is_ours = isinstance(value.get("continuous"), bool) and value.get("backend") in _BACKENDS
    if not is_ours or len(texts) != len(parts or ()):
        raise ValueError("no ruleset of ours")
    return value


def read_hello(line: str) -> Optional[dict[str, str]]:
    """Read the routing sysctls of the recorded node from its first line.

    None for a line of another kind; raises ValueError for a damaged one.
    """
    hello = _object(line, "hello")
    if hello is None:
        return None
    sysctls = hello.get("sysctls")
    sysctls = sysctls if isinstance(sysctls, dict) else {}
    return {str(name): str(setting) for name, setting in sysctls.items()}


def read_event(line: str) -> Optional[Event]:
    """Read a recorded loss or trip; None for a line of another kind.

    Raises ValueError for a damaged line.
    """
    loss, guard = _object(line, "loss"), _object(line, "guard")
    try:
        if loss is not None:
            lost = _required(loss, "lost", int) + (_optional(loss, "unshown", int) or 0)
            return Event(_optional(loss, "time", float), max(0, lost), "")
        if guard is not None and guard.get("state") == "tripped":
            reason = _optional(guard, "reason", str) or "no reason was recorded"
            return Event(_optional(guard, "time", float), 0, f"the guard tripped: {reason}")
    except (TypeError, KeyError, AttributeError, OverflowError) as error:
        raise ValueError(f"no line of ours: {error}") from None
    return None


def _object(line: str, kind: str) -> Optional[dict[str, Any]]:
    """The object of a line if it is of that kind; raises ValueError for a damaged one."""
    if kind not in line[:40]:
        return None
    value = json_text.read(line)
    return value if isinstance(value, dict) and value.get("kind") == kind else None


def read_packet(line: str, packet_id: int) -> Optional[tuple[int, Packet]]:
    """Read a packet, numbered anew, and its recorded id; None for a line of another kind.

    Raises ValueError for a damaged line; a field of another type than ours makes it damaged.
    """
    try:
        value = json_text.read(line)
        if value.get("kind") != "packet":
            return None
        return _required(value, "id", int), _packet(value, packet_id)
    except (TypeError, KeyError, AttributeError, OverflowError) as error:
        raise ValueError(f"no record of ours: {error}") from None


def _packet(value: Mapping[str, Any], packet_id: int) -> Packet:
    packet = Packet(packet_id)
    packet.ambiguous, packet.is_recorded = value.get("ambiguous") is True, True
    family = _optional(value, "family", int)
    if family not in (None, 4, 6):
        raise ValueError("no family of IP's")
    header = None if family is None else _header(value, family)
    mark, start = _optional(value, "mark", int), _optional(value, "time", float)
    mac, hops = _optional(value, "mac", str), _required(value, "hops", list)
    if not 1 <= len(hops) <= MOST_HOPS:
        raise ValueError("no packet has so many hops, or none")
    if start is not None and not 0 <= start < END_OF_CALENDAR:
        raise TypeError("time")
    # Of a hop that another clock stamped no distance is known.
    is_stamped = any(_optional(hop, "us", int) for hop in hops)
    for hop in hops:
        changed = _optional(hop, "changed", dict) or {}
        if header is not None and changed:
            header = _changed_header(header, changed)
        mark = _optional(changed, "mark", int) if "mark" in changed else mark
        mac = _optional(changed, "mac", str) if "mac" in changed else mac
        hook = hop.get("hook")
        time = None
        if not is_stamped or hop.get("us") is not None:
            time = _time(start, _optional(hop, "us", int))
        packet.add(_hop(hop, header, mark, mac, time), hook if hook in HOOKS else None)
    return packet


def _header(value: Mapping[str, Any], family: int) -> Header:
    fields: dict[str, Any] = {name: _optional(value, name, str) for name in ("proto", "flags")}
    fields.update({name: _address(value, name) for name in ("src", "dst")})
    fields.update({name: _optional(value, name, int) for name in _NUMBER_FIELDS})
    return Header(family=family, **fields)


def _changed_header(header: Header, changed: Mapping[str, Any]) -> Header:
    new: dict[str, Any] = {n: _address(changed, n) for n in ("src", "dst") if n in changed}
    for name in ("sport", "dport", "ttl"):
        if name in changed:
            new[name] = _optional(changed, name, int)
    return header._replace(**new)


def _hop(
    value: Mapping[str, Any],
    header: Optional[Header],
    mark: Optional[int],
    mac: Optional[str],
    time: Optional[float],
) -> Hop:
    table, chain = (_required(value, key, str) for key in ("table", "chain"))
    backend = value["backend"]
    if backend not in _BACKENDS:
        raise TypeError("backend")
    interval = _optional(value, "readings", list)
    return Hop.of(
        backend=backend,
        family=_optional(value, "family", str)
        or ("ip6" if header and header.family == 6 else "ip"),
        table=table,
        chain=chain,
        type=_required(value, "type", str),
        rulenum=_optional(value, "rulenum", int),
        handle=_optional(value, "handle", int),
        verdict=_optional(value, "verdict", str),
        hook=built_in_hook(table, chain),
        iif=_optional(value, "in", str),
        oif=_optional(value, "out", str),
        mark=mark or None,
        time=time,
        header=header,
        mac=mac,
        interval=None if interval is None else _interval(interval),
        rule=_optional(value, "rule", str),
        source=value["source"] if value.get("source") in FORGEABLE else None,
    )


def _interval(value: list[Any]) -> tuple[int, int]:
    if len(value) != 2 or not all(
        type(number) is int and 0 <= number < 1 << 40 for number in value
    ):
        raise TypeError("readings")
    return value[0], value[1]


def _time(start: Optional[float], us: Optional[int]) -> Optional[float]:
    """A hop's time; without the packet's, a stamp since boot that keeps the distances."""
    if us is None:
        return start
    return (start if start is not None and start >= SINCE_EPOCH else _NO_START) + us / 1e6


def _optional(value: Mapping[str, Any], key: str, kind: type[_Kind]) -> Optional[_Kind]:
    """A field that may be null or missing; raises TypeError for one of another type."""
    field = value.get(key)
    if kind is float and isinstance(field, int) and not isinstance(field, bool):
        field = float(field)
    if field is None:
        return None
    if isinstance(field, (int, float)) and not abs(field) < _NUMBER_LIMIT:
        raise TypeError(key)
    if not isinstance(field, kind) or isinstance(field, bool):
        raise TypeError(key)
    if isinstance(field, int):
        json_text.number(field)
    return field


def _required(value: Mapping[str, Any], key: str, kind: type[_Kind]) -> _Kind:
    field = _optional(value, key, kind)
    if field is None:
        raise KeyError(key)
    return field


def _address(value: Mapping[str, Any], key: str) -> Optional[str]:
    text = _optional(value, key, str)
    if text is not None and "%" in text:
        raise ValueError("an address with a scope")
    return None if text is None else str(ipaddress.ip_address(text))
