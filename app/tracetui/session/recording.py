"""Our own record, NDJSON: written while tracing, and read back into the same packets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Optional, TextIO

from tracetui.model.header import Header
from tracetui.model.hop import HOOKS, SINCE_EPOCH, Hop
from tracetui.model.packet import Packet
from tracetui.session import report
from tracetui.session.session import Status

_CHANGEABLE = ("src", "sport", "dst", "dport", "ttl")


class RecordingWriter:
    """One JSON object a line, each flushed: what was written survives a crash."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def hello(self, status: Status) -> None:
        """Begin the stream."""
        self._write(report.hello(status))

    def packet(self, packet: Packet) -> None:
        """Write a packet as it is now; the last line of an id stands."""
        self._write(report.packet_json(packet))

    def notice(self, severity: str, text: str) -> None:
        """Write what the user was told."""
        self._write({"kind": "notice", "severity": severity, "text": text})

    def bye(self, status: Status, packets: int) -> None:
        """End the stream with its totals."""
        totals = {"hops": status.hops, "packets": packets, "lost": status.lost}
        self._write({"kind": "bye", **totals, "unshown": status.unshown, "skipped": status.skipped})

    def _write(self, value: Mapping[str, Any]) -> None:
        self._stream.write(json.dumps(value, ensure_ascii=False) + "\n")
        self._stream.flush()


def is_ours(line: str) -> bool:
    """Whether a line looks like one of our record's."""
    return line.startswith('{"kind"')


def read_packet(line: str, packet_id: int) -> Optional[tuple[int, Packet]]:
    """The recorded id and the packet, numbered anew; None if the line holds no packet."""
    try:
        value = json.loads(line)
        if not isinstance(value, dict) or value.get("kind") != "packet":
            return None
        return int(value["id"]), _packet(value, packet_id)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _packet(value: Mapping[str, Any], packet_id: int) -> Packet:
    packet = Packet(packet_id)
    header = Header(
        family=int(value["family"] or 0),
        **{name: value.get(name) for name in Header._fields if name != "family"},
    )
    known = header if value["family"] else None
    mark, start = value.get("mark"), value.get("time")
    for hop in value["hops"]:
        changed = hop.get("changed") or {}
        if known is not None:
            known = known._replace(**{k: v for k, v in changed.items() if k in _CHANGEABLE})
        mark = changed.get("mark", mark)
        hook = hop.get("hook")
        packet.add(_hop(hop, known, mark, start), hook if hook in HOOKS else None)
    if not packet.hops:
        raise ValueError("a packet without hops")
    return packet


def _hop(
    value: Mapping[str, Any], header: Optional[Header], mark: Optional[int], start: Optional[float]
) -> Hop:
    us = value.get("us")
    return Hop(
        backend="nft" if value["backend"] == "nft" else "legacy",
        family=str(value.get("family") or ("ip6" if header and header.family == 6 else "ip")),
        table=str(value["table"]),
        chain=str(value["chain"]),
        type=str(value["type"]),
        rulenum=value.get("rulenum"),
        handle=value.get("handle"),
        verdict=value.get("verdict"),
        hook=value["chain"] if value["chain"] in HOOKS else None,
        iif=value.get("in"),
        oif=value.get("out"),
        mark=mark or None,
        time=_time(start, us),
        header=header,
    )


def _time(start: Optional[float], us: Optional[int]) -> Optional[float]:
    """A hop's time; without the packet's, one that keeps the distances and counts as since boot."""
    if us is None:
        return start
    return (start if start is not None and start >= SINCE_EPOCH else 0.0) + us / 1e6
