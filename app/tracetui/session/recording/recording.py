"""Our own record, NDJSON: written while tracing, and read back into the same packets."""

from __future__ import annotations

import codecs
import ipaddress
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional, TextIO, TypeVar

from tracetui.errors import Failure
from tracetui.model.explain.explanation import PacketExplanation
from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import END_OF_CALENDAR, FORGEABLE, SINCE_EPOCH, Hop
from tracetui.model.trace.moments import OF_NO_START
from tracetui.model.trace.packet import MOST_HOPS, Packet
from tracetui.model.trace.trace_point import HOOKS, built_in_hook
from tracetui.model.tracing.installed_rule import InstalledRule
from tracetui.parse import json_text
from tracetui.session.recording import report
from tracetui.session.recording.packet_lines import PacketLines
from tracetui.session.state.guard_state import GuardState
from tracetui.session.state.session import Status
from tracetui.session.text.sanitize import inert_json

_NUMBERS = (
    *("sport", "dport", "length", "ip_id", "ttl", "icmp_type", "icmp_code"),
    *("icmp_id", "icmp_seq", "fragment"),
)

_UNPLACED = OF_NO_START + 0.5
"""Seconds since no known moment; no whole number, for the stamps were finer than that."""
_BACKENDS = ("legacy", "nft")
_LARGEST = 1 << 64
"""Beyond every number of ours; what is no number at all is not below it either."""

_Kind = TypeVar("_Kind")


class RecordingWriter:
    """One JSON object a line; what was flushed survives a crash.

    Looked at on a terminal it is inert. Every method raises Failure where the stream takes no more.
    """

    def __init__(self, stream: TextIO) -> None:
        self.begin(stream)

    def begin(self, stream: TextIO) -> None:
        """Write to this stream from now on."""
        self._stream = stream
        self._is_ascii = codecs.lookup(stream.encoding or "utf-8").name != "utf-8"
        self._packets = PacketLines(self._is_ascii)
        self.written = 0
        """Characters written to it."""

    def hello(self, status: Status) -> None:
        """Begin the stream."""
        self._write(report.hello(status))

    def packet(self, packet: Packet, explanation: PacketExplanation) -> None:
        """Write a packet as it is known now; the last line of an id stands. Others flush it."""
        self._write_line(self._packets.line(packet, explanation))

    def reading(self, record: Mapping[str, Any]) -> None:
        """Write a ruleset as it was read; one that is as before is written without its text."""
        self._write({"kind": "ruleset", **record})

    def notice(self, severity: str, text: str) -> None:
        """Write what the user was told."""
        self._write({"kind": "notice", "severity": severity, "text": text})

    def guard(self, time: float, guard: GuardState) -> None:
        """Write that the guard tripped, or was armed again."""
        trip = guard.trip
        value: dict[str, Any] = {
            "state": "tripped" if guard.tripped else "armed",
            "threshold": guard.threshold,
        }
        if trip is not None:
            time = trip.at
            value.update(reason=trip.reason, removed=list(trip.removed or ()))
        self._write({"kind": "guard", "time": time, **value})

    def loss(self, time: float, lost: int, unshown: int) -> None:
        """Write how many records the kernel dropped since the last such line, and hops we did."""
        self._write({"kind": "loss", "time": time, "lost": lost, "unshown": unshown})

    def rules(self, time: float, rules: Sequence[InstalledRule]) -> None:
        """Write the TRACE rules that stand now, ours and foreign."""
        told = [
            {
                "id": rule.id, "ours": rule.is_ours, "backend": rule.backend,
                "family": rule.family, "chain": rule.chain, "rule": rule.text,
                "expires": rule.expires,
            }
            for rule in rules
        ]  # fmt: skip
        self._write({"kind": "rules", "time": time, "rules": told})

    def bye(self, status: Status, packets: int) -> None:
        """End the stream with its totals."""
        totals = {"hops": status.hops, "packets": packets, "lost": status.lost}
        self._write({"kind": "bye", **totals, "unshown": status.unshown, "skipped": status.skipped})

    def _write(self, value: Mapping[str, Any]) -> None:
        self._write_line(inert_json(json.dumps(value, ensure_ascii=self._is_ascii)))

        self.flush()

    def _write_line(self, text: str) -> None:
        try:
            self._stream.write(f"{text}\n")
        except OSError as error:
            raise _failure(error) from None
        self.written += len(text) + 1

    def flush(self) -> None:
        """Have what was written survive a crash."""
        try:
            self._stream.flush()
        except OSError as error:
            raise _failure(error) from None


def _failure(error: OSError) -> Exception:
    """What to raise where the stream takes no more; one that nobody reads stays what it is."""
    if isinstance(error, BrokenPipeError):
        return error
    why = f"the recording can't be written: {error.strerror}"
    return Failure(f"{why}; what was written before stands")


class Event(NamedTuple):
    """What a recording tells beside packets and rules."""

    time: Optional[float]
    lost: int
    """Hops that are missing."""
    text: str
    """What the user is to be told; empty for nothing."""


def is_ours(line: str) -> bool:
    """Whether a line looks like one of our record's."""
    return line.startswith('{"kind"')


def read_reading(line: str) -> Optional[Mapping[str, Any]]:
    """A recorded ruleset; None for a line of another kind. Raises ValueError for a damaged line."""
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
    """The routing settings of a recorded node, out of the line that begins its recording.

    None for a line of another kind; raises ValueError for a damaged one.
    """
    hello = _object(line, "hello")
    if hello is None:
        return None
    found = hello.get("sysctls")
    found = found if isinstance(found, dict) else {}
    return {str(name): str(setting) for name, setting in found.items()}


def read_event(line: str) -> Optional[Event]:
    """What else a recording tells: a loss or a trip; None for a line of another kind.

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
    """The recorded id and the packet, numbered anew; None for a line of another kind.

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
    known = None if family is None else _header(value, family)
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
        if known is not None and changed:
            known = _changed_header(known, changed)
        mark = _optional(changed, "mark", int) if "mark" in changed else mark
        mac = _optional(changed, "mac", str) if "mac" in changed else mac
        hook = hop.get("hook")
        time = None
        if not is_stamped or hop.get("us") is not None:
            time = _time(start, _optional(hop, "us", int))
        packet.add(_hop(hop, known, mark, mac, time), hook if hook in HOOKS else None)
    return packet


def _header(value: Mapping[str, Any], family: int) -> Header:
    fields: dict[str, Any] = {name: _optional(value, name, str) for name in ("proto", "flags")}
    fields.update({name: _address(value, name) for name in ("src", "dst")})
    fields.update({name: _optional(value, name, int) for name in _NUMBERS})
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
    window = _optional(value, "readings", list)
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
        readings=None if window is None else _window(window),
        rule=_optional(value, "rule", str),
        source=value["source"] if value.get("source") in FORGEABLE else None,
    )


def _window(value: list[Any]) -> tuple[int, int]:
    if len(value) != 2 or not all(type(one) is int and 0 <= one < 1 << 40 for one in value):
        raise TypeError("readings")
    return value[0], value[1]


def _time(start: Optional[float], us: Optional[int]) -> Optional[float]:
    """A hop's time; without the packet's, one that keeps the distances and counts as since boot."""
    if us is None:
        return start
    return (start if start is not None and start >= SINCE_EPOCH else _UNPLACED) + us / 1e6


def _optional(value: Mapping[str, Any], key: str, kind: type[_Kind]) -> Optional[_Kind]:
    """A field that may be null or missing; raises TypeError for one of another type."""
    found = value.get(key)
    if kind is float and isinstance(found, int) and not isinstance(found, bool):
        found = float(found)
    if found is None:
        return None
    if isinstance(found, (int, float)) and not abs(found) < _LARGEST:
        raise TypeError(key)
    if not isinstance(found, kind) or isinstance(found, bool):
        raise TypeError(key)
    if isinstance(found, int):
        json_text.number(found)
    return found


def _required(value: Mapping[str, Any], key: str, kind: type[_Kind]) -> _Kind:
    found = _optional(value, key, kind)
    if found is None:
        raise KeyError(key)
    return found


def _address(value: Mapping[str, Any], key: str) -> Optional[str]:
    text = _optional(value, key, str)
    if text is not None and "%" in text:
        raise ValueError("an address with a scope")
    return None if text is None else str(ipaddress.ip_address(text))
