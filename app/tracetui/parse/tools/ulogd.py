"""TRACE in the JSON output of ulogd2 (output/ulogd_output_JSON.c)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import Hop, PacketState
from tracetui.model.trace.trace_point import HOOKS
from tracetui.parse.headers.ip import PROTOCOL_NAMES
from tracetui.parse.log import stamps, trace_record
from tracetui.parse.log.record_body import TCP_FLAGS, Body, address

_FLAG_FIELDS = {
    "CWR": "tcp.cwr",
    "ECE": "tcp.ece",
    **{f: f"tcp.{f.lower()}" for f in TCP_FLAGS},
}


def parse(record: Mapping[str, Any]) -> Optional[Hop]:
    """The hop of a record; None if it holds none."""
    prefix = record.get("oob.prefix")
    match = trace_record.find(f"{prefix} ") if isinstance(prefix, str) else None
    if match is None:
        return None
    devices = _name(record, "oob.in"), _name(record, "oob.out")
    body = Body(PacketState(*devices, _mark(record), header=_header(record)), True)
    hook = _number(record, "oob.hook")
    hop = trace_record.hop(match, body, _time(record))
    if hook is not None and hook < len(HOOKS):
        hop = hop.with_(hook=HOOKS[hook])
    if body.state.header is None and _number(record, "oob.family") == 10:
        hop = hop.with_(family="ip6")
    return hop


def _header(record: Mapping[str, Any]) -> Optional[Header]:
    src, dst = _address(record, "src_ip", "ip.saddr"), _address(record, "dest_ip", "ip.daddr")
    family = {2: 4, 10: 6}.get(_number(record, "oob.family") or 0)
    if src is not None or dst is not None:
        family = 6 if ":" in (src or dst or "") else 4
    if family is None:
        return None
    value = _number(record, "ip.protocol") if family == 4 else _number(record, "ip6.nexthdr")
    proto = None if value is None else PROTOCOL_NAMES.get(value, str(value))
    is_tcp, is_icmp = proto == "tcp", proto in ("icmp", "icmpv6")
    ip, icmp = ("ip", "icmp") if family == 4 else ("ip6", "icmpv6")
    length = _number(record, "ip.totlen") if family == 4 else _number(record, "ip6.payloadlen")
    offset = _number(record, "ip.fragoff")
    return Header(
        family=family,
        proto=proto,
        src=src,
        dst=dst,
        sport=_number(record, "src_port", f"{proto}.sport"),
        dport=_number(record, "dest_port", f"{proto}.dport"),
        length=length + 40 if length is not None and family == 6 else length,
        ip_id=_number(record, "ip.id"),
        ttl=_number(record, f"{ip}.ttl", f"{ip}.hoplimit"),
        flags=_flags(record) if is_tcp else None,
        tcp_seq=_number(record, "tcp.seq") if is_tcp else None,
        tcp_ack=_number(record, "tcp.ackseq") if is_tcp else None,
        icmp_type=_number(record, f"{icmp}.type") if is_icmp else None,
        icmp_code=_number(record, f"{icmp}.code") if is_icmp else None,
        icmp_id=_number(record, f"{icmp}.echoid") if is_icmp else None,
        icmp_seq=_number(record, f"{icmp}.echoseq") if is_icmp else None,
        fragment=((offset or 0) & 0x1FFF) * 8 or None,
    )


def _time(record: Mapping[str, Any]) -> Optional[float]:
    """Seconds since the epoch: the packet's stamp, or when ulogd wrote it."""
    seconds, part = _number(record, "oob.time.sec"), _number(record, "oob.time.usec")
    if seconds:
        return seconds + (part or 0) % 1_000_000 / 1e6
    text = record.get("timestamp")
    return stamps.of_iso(text) if isinstance(text, str) else None


def _mark(record: Mapping[str, Any]) -> Optional[int]:
    return _number(record, "oob.mark") or None


def _name(record: Mapping[str, Any], key: str) -> Optional[str]:
    value = record.get(key)
    return value if isinstance(value, str) and value else None


def _address(record: Mapping[str, Any], *keys: str) -> Optional[str]:
    texts = (record.get(key) for key in keys)
    return next((address(text) for text in texts if isinstance(text, str)), None)


def _number(record: Mapping[str, Any], *keys: str) -> Optional[int]:
    for key in keys:
        value = record.get(key)
        if type(value) is int and 0 <= value < 1 << 32:
            return value
    return None


def _flags(record: Mapping[str, Any]) -> Optional[str]:
    values = {flag: record.get(field) for flag, field in _FLAG_FIELDS.items()}
    if all(value is None for value in values.values()):
        return None
    # A flag that is set is printed as 1 or true.
    return " ".join(flag for flag in TCP_FLAGS if values.get(flag) in (1, True))
