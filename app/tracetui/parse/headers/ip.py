"""Raw IP packets, whole or cut, to headers."""

from __future__ import annotations

import ipaddress
import struct
from functools import lru_cache
from typing import NamedTuple, Optional

from tracetui.model.trace.header import Header

PROTOCOL_NAMES = {
    1: "icmp", 2: "igmp", 4: "ipip", 6: "tcp", 17: "udp", 33: "dccp", 41: "ipv6", 47: "gre",
    50: "esp", 51: "ah", 58: "icmpv6", 103: "pim", 112: "vrrp", 132: "sctp", 136: "udplite",
}  # fmt: skip
"""IANA protocol numbers to the names iptables uses; others are shown as numbers."""

_TCP_FLAG_NAMES = ("CWR", "ECE", "URG", "ACK", "PSH", "RST", "SYN", "FIN")
_IPV4 = struct.Struct(">HHHBB2x4s4s")
"""From the length on."""
_USUAL_HEADER = struct.Struct(">BxHHHBB2x4s4sHHI")
"""All of a header without options, the ports and what is behind them."""
_USUAL_VERSION, _OFFSET_BITS, _TCP_NUMBER, _UDP_NUMBER, _ICMPV6_NUMBER = 0x45, 0x1FFF, 6, 17, 58
_new_header = tuple.__new__
"""Makes a header of its parts for each hook; a NamedTuple's own constructor is slower."""
_NUMBERS_WITH_PORTS = frozenset((6, 17, 33, 132, 136))
_HOP_BY_HOP_HEADER, _ROUTING_HEADER, _FRAGMENT_HEADER = 0, 43, 44
_AUTHENTICATION_HEADER, _DESTINATION_HEADER = 51, 60
_EXTENSION_HEADERS = frozenset(
    (_HOP_BY_HOP_HEADER, _ROUTING_HEADER, _FRAGMENT_HEADER, _DESTINATION_HEADER)
)
_HIGHEST_ICMPV6_CODES = {1: 8, 2: 0, 3: 1, 4: 10, **dict.fromkeys((*range(128, 138), 143), 0)}
"""Types of ICMPv6 with their highest codes (IANA, ICMPv6 parameters)."""
_ARP_BEGINNING = bytes((0, 1, 8, 0, 6, 4))
"""How ARP of IPv4 over Ethernet begins (RFC 826)."""
_ARP_OPERATIONS = {1: "request", 2: "reply"}
_ECHO_TYPES = {"icmp": (0, 8), "icmpv6": (128, 129)}


@lru_cache(maxsize=4096)
def parse(packet: bytes) -> Optional[Header]:
    """The header of a packet that begins with its IP header; None if that is not whole.

    All hops of one hook carry the same bytes, so the latest results are kept.
    """
    version = packet[0] >> 4 if packet else 0
    if version == 4:
        return _parse4(packet, packet)
    return _parse6(packet, packet) if version == 6 else None


def parse_parts(network: bytes, transport: bytes) -> Optional[Header]:
    """The header of a packet whose network and transport headers come apart, as nft sends them.

    Of IPv6 only the fixed header is sent (nf_tables_trace.c, NFT_TRACETYPE network header size), so
    behind extension headers the protocol is known by what only one can have there, or not at all.
    Bridges and devices send ARP's too.
    """
    if network[:1] and network[0] >> 4 == 4:
        length = (network[0] & 15) * 4
        if length == len(network) == 20:
            whole = network + transport
            return _parse4(whole, whole)
        options = bytes(max(0, length - 20))
        return _parse4(network[:20] + options + transport, network + transport)
    if network[:1] and network[0] >> 4 == 6:
        return _parse6(network[:40] + transport, network + transport, walk=False)
    return _arp(network) if network[:6] == _ARP_BEGINNING and len(network) >= 28 else None


def parse_cut6(data: bytes) -> Optional[Header]:
    """The header by the beginning of an IPv6 header: of a later fragment nft sends no more.

    As the transport header (nft_set_pktinfo_ipv6 finds none). None for anything else.
    """
    if len(data) < 8 or data[0] >> 4 != 6 or data[6] not in _EXTENSION_HEADERS:
        return None
    payload, limit = int.from_bytes(data[4:6], "big"), data[7]
    return Header(6, None, None, None, length=payload + 40, ttl=limit, raw=data)


def _arp(packet: bytes) -> Header:
    operation = int.from_bytes(packet[6:8], "big")
    name = _ARP_OPERATIONS.get(operation, str(operation))
    return Header(4, "arp", _dotted(packet[14:18]), _dotted(packet[24:28]), flags=name, raw=packet)


def _behind_extensions(payload: int, data: bytes) -> Optional[int]:
    """The protocol of a transport header behind extension headers that are not there.

    ``payload`` are the bytes of those and of all that follows. UDP says its length, which leaves
    the others a multiple of eight bytes; None where more than one protocol, or none, can be it.
    """
    if len(data) >= 8:
        others = payload - int.from_bytes(data[4:6], "big")
        if 8 <= others <= payload - 8 and others % 8 == 0:
            return _UDP_NUMBER
    is_icmp = len(data) >= 4 and data[1] <= _HIGHEST_ICMPV6_CODES.get(data[0], -1)
    is_tcp = len(data) >= 14 and data[12] >> 4 >= 5 and not data[12] & 0x0E and data[13] & 0x17 != 0
    return None if is_icmp == is_tcp else _ICMPV6_NUMBER if is_icmp else _TCP_NUMBER


class _Transport(NamedTuple):
    sport: Optional[int] = None
    dport: Optional[int] = None
    flags: Optional[str] = None
    tcp_seq: Optional[int] = None
    tcp_ack: Optional[int] = None
    icmp_type: Optional[int] = None
    icmp_code: Optional[int] = None
    icmp_id: Optional[int] = None
    icmp_seq: Optional[int] = None
    spi: Optional[int] = None


_NO_TRANSPORT = _Transport()


def _parse4(packet: bytes, raw: bytes) -> Optional[Header]:
    return _parse_usual4(packet, raw) or _parse4_with_care(packet, raw)


def _parse_usual4(packet: bytes, raw: bytes) -> Optional[Header]:
    """TCP or UDP without IP options, fast; None leaves it to :func:`_parse4_with_care`."""
    if len(packet) < 28 or packet[0] != _USUAL_VERSION:
        return None
    _, length, ip_id, fragment, ttl, proto, src, dst, sport, dport, seq = _USUAL_HEADER.unpack_from(
        packet
    )
    if fragment & _OFFSET_BITS:
        return None
    name: str
    flags: Optional[str]
    numbers: tuple[Optional[int], Optional[int]]
    if proto == _UDP_NUMBER:
        name, flags, numbers = "udp", None, (None, None)
    elif proto == _TCP_NUMBER and len(packet) >= 34:
        name, flags = "tcp", _flags(packet[32], packet[33])
        numbers = seq, _be32(packet, 28)
    else:
        return None
    ends = _dotted(src), _dotted(dst)
    rest = (None, None, None, None, None, None, raw)
    shown = (4, name, *ends, sport, dport, length, ip_id, ttl, flags, *numbers, *rest)
    return _new_header(Header, shown)


def _parse4_with_care(packet: bytes, raw: bytes) -> Optional[Header]:
    size = (packet[0] & 15) * 4 if packet else 0
    if len(packet) < 20 or size < 20:
        return None
    length, ip_id, fragment, ttl, proto, src, dst = _IPV4.unpack_from(packet, 2)
    offset = (fragment & 0x1FFF) * 8
    inner = _NO_TRANSPORT if offset else _transport(proto, packet[size:])
    ends = _dotted(src), _dotted(dst)
    return _header(4, proto, ends, (length, ip_id, ttl), inner, offset, raw)


def _parse6(packet: bytes, raw: bytes, walk: bool = True) -> Optional[Header]:
    if len(packet) < 40:
        return None
    payload, first, limit = struct.unpack_from(">HBB", packet, 4)
    proto: Optional[int] = first
    rest, fragment_id, offset = packet[40:], None, 0
    if walk:
        proto, rest, fragment_id, offset = _skip_extensions(first, rest)
    elif first in _EXTENSION_HEADERS:
        proto = None if first == _FRAGMENT_HEADER else _behind_extensions(payload, rest)
    inner = _NO_TRANSPORT if offset or proto is None else _transport(proto, rest)
    ends = address6(packet[8:24]), address6(packet[24:40])
    return _header(6, proto, ends, (payload + 40, fragment_id, limit), inner, offset, raw)


def _header(
    family: int,
    proto: Optional[int],
    ends: tuple[str, str],
    numbers: tuple[int, Optional[int], int],
    inner: _Transport,
    offset: int,
    raw: bytes,
) -> Header:
    """The header of these parts; positions, not names, as it is made for each hook of a packet."""
    name = None if proto is None else PROTOCOL_NAMES.get(proto) or str(proto)
    src, dst = ends
    length, ip_id, ttl = numbers
    sport, dport, flags, seq, ack, icmp_type, icmp_code, icmp_id, icmp_seq, spi = inner
    return Header(
        family, name, src, dst, sport, dport, length, ip_id, ttl, flags, seq, ack,
        icmp_type, icmp_code, icmp_id, icmp_seq, offset or None, spi, raw,
    )  # fmt: skip


def _skip_extensions(proto: int, rest: bytes) -> tuple[int, bytes, Optional[int], int]:
    """The transport protocol behind extension headers, its bytes, and the fragment's id and offset.

    RFC 8200; a chain that is cut ends at the extension header that is not whole.
    """
    fragment_id, offset = None, 0
    while (
        proto in (_HOP_BY_HOP_HEADER, _ROUTING_HEADER, _FRAGMENT_HEADER, _DESTINATION_HEADER)
        and len(rest) >= 8
    ):
        if proto == _FRAGMENT_HEADER:
            field, fragment_id = struct.unpack_from(">HI", rest, 2)
            offset, size = field & 0xFFF8, 8
        else:
            size = (rest[1] + 1) * 8
        proto, rest = rest[0], rest[size:]
        if offset:
            break
    return proto, rest, fragment_id, offset


def _transport(proto: int, data: bytes) -> _Transport:
    """The fields of a transport header that may be cut."""
    if proto in _NUMBERS_WITH_PORTS:
        if len(data) < 8:
            return _NO_TRANSPORT
        sport, dport, first = struct.unpack_from(">HHI", data)
        if proto != 6:
            return _Transport(sport, dport)
        if len(data) < 14:
            return _Transport(sport, dport, None, first)
        return _Transport(sport, dport, _flags(data[12], data[13]), first, _be32(data, 8))
    if proto in (1, 58) and len(data) >= 2:
        return _icmp(PROTOCOL_NAMES[proto], data)
    if proto in (50, 51):
        spi_offset = 0 if proto == 50 else 4
        return (
            _Transport(spi=_be32(data, spi_offset))
            if len(data) >= spi_offset + 4
            else _NO_TRANSPORT
        )
    return _NO_TRANSPORT


def _icmp(proto: str, data: bytes) -> _Transport:
    if data[0] in _ECHO_TYPES[proto] and len(data) >= 8:
        number, sequence = struct.unpack_from(">HH", data, 4)
        return _Transport(icmp_type=data[0], icmp_code=data[1], icmp_id=number, icmp_seq=sequence)
    return _Transport(icmp_type=data[0], icmp_code=data[1])


@lru_cache(maxsize=512)
def _flags(reserved: int, bits: int) -> str:
    """TCP flags in the order nf_log prints them; AE is the lowest reserved bit (RFC 9768)."""
    names = [name for bit, name in enumerate(_TCP_FLAG_NAMES) if bits & (0x80 >> bit)]
    return " ".join(["AE", *names] if reserved & 1 else names)


@lru_cache(maxsize=4096)
def _dotted(address: bytes) -> str:
    return ".".join(map(str, address))


@lru_cache(maxsize=4096)
def address6(address: bytes) -> str:
    """An IPv6 address of 16 bytes in its compressed form (RFC 5952)."""
    return ipaddress.IPv6Address(address).compressed


def _be32(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 4], "big")
