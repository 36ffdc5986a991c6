"""Packets as nft prints them in a trace: ``ip saddr 10.0.0.1 … tcp dport 80`` (trace.c)."""

from __future__ import annotations

import ipaddress
import re
import struct
from functools import lru_cache
from typing import NamedTuple, Optional

from tracetui.model.trace.header import Header
from tracetui.parse.headers import ip
from tracetui.parse.headers.ip import PROTOCOL_NAMES
from tracetui.parse.log.record_body import TCP_FLAGS, address, hexadecimal, number

_EXPRESSION = re.compile(
    r"(?:^|(?<=\s))"
    r"(ip6?|ether|vlan|arp|tcp|udp|udplite|sctp|dccp|icmpv6|icmp|esp|ah|comp|igmp|meta) "
    r"([a-z][a-z0-9-]{1,16}) (?:== )?(\"[^\"]{0,64}\"|[^\s\"]{1,64})"
)
_UNDECODED_BYTES = re.compile(r"@(nh|th),0,([0-9]{1,4}) (0x[0-9a-f]{1,80}|[0-9]{1,97})(?=\s|$)")
"""Bits that nft did not decode, from the beginning of the network or the transport header.

Old versions print a decimal number, and none prints leading zeros.
"""
_DEVICE = re.compile(r"(?:^|(?<=\s))([io])if(?:name)? \"([^\"]{0,64})\"")
_PROTOCOL_NUMBERS = {
    "ip": 0, "hopopt": 0, "icmp": 1, "igmp": 2, "ipencap": 4, "ipip": 4, "tcp": 6, "udp": 17,
    "dccp": 33, "ipv6": 41, "ipv6-route": 43, "ipv6-frag": 44, "gre": 47, "esp": 50, "ah": 51,
    "icmpv6": 58, "ipv6-icmp": 58, "ipv6-nonxt": 59, "ipv6-opts": 60, "pim": 103, "vrrp": 112,
    "comp": 108, "sctp": 132, "udplite": 136,
}  # fmt: skip
"""Protocol numbers by the names that nft prints (/etc/protocols)."""
_TRANSPORTS = ("tcp", "udp", "udplite", "sctp", "dccp", "icmp", "icmpv6", "esp", "ah", "igmp")
_NAMES_WITH_PORTS = ("tcp", "udp", "udplite", "sctp", "dccp")
_BITS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE")
_FLAG_BITS = {name: bit for bit, name in enumerate(_BITS)}
_ICMP_TYPES_BY_NAME = {
    "echo-reply": 0, "destination-unreachable": 3, "source-quench": 4, "redirect": 5,
    "echo-request": 8, "router-advertisement": 9, "router-solicitation": 10, "time-exceeded": 11,
    "parameter-problem": 12, "timestamp-request": 13, "timestamp-reply": 14, "info-request": 15,
    "info-reply": 16, "address-mask-request": 17, "address-mask-reply": 18,
}  # fmt: skip
_ICMP_CODES_BY_NAME = {
    "net-unreachable": 0, "host-unreachable": 1, "prot-unreachable": 2, "port-unreachable": 3,
    "frag-needed": 4, "net-prohibited": 9, "host-prohibited": 10, "admin-prohibited": 13,
}  # fmt: skip
_ICMPV6_TYPES_BY_NAME = {
    "destination-unreachable": 1, "packet-too-big": 2, "time-exceeded": 3, "parameter-problem": 4,
    "echo-request": 128, "echo-reply": 129, "mld-listener-query": 130, "mld-listener-report": 131,
    "mld-listener-done": 132, "mld-listener-reduction": 132, "nd-router-solicit": 133,
    "nd-router-advert": 134, "nd-neighbor-solicit": 135, "nd-neighbor-advert": 136,
    "nd-redirect": 137, "router-renumbering": 138, "ind-neighbor-solicit": 141,
    "ind-neighbor-advert": 142, "mld2-listener-report": 143,
}  # fmt: skip
_ICMPV6_CODES_BY_NAME = {
    "no-route": 0, "admin-prohibited": 1, "addr-unreachable": 3, "port-unreachable": 4,
    "policy-fail": 5, "reject-route": 6,
}  # fmt: skip


_PART = re.compile(
    r"\s?(?:[a-z0-9\".:/,=-]{0,40} )?"
    r"(?:(?:ip6?|ether|tcp|udp|udplite|sctp|dccp|icmpv6|icmp|esp|ah) [a-z]|@[a-z]{1,4},[0-9])"
)
_PART_BEGINS = re.compile(
    r"(?:ip6?|ether|tcp|udp|udplite|sctp|dccp|icmpv6|icmp|esp|ah|[io]if) |@|\("
)
_OPEN_VALUE = re.compile(r"(?:^|\s)[a-z0-9]{1,8} [a-z0-9-]{1,17} (?:== )?\S{1,64}$|\"$")


class PrintedHeader(NamedTuple):
    """One printed packet."""

    iif: Optional[str]
    oif: Optional[str]
    mac: Optional[str]
    """``source > destination``."""
    header: Optional[Header]


@lru_cache(maxsize=4096)
def read(text: str) -> PrintedHeader:
    """The devices and the header in what follows ``packet: ``."""
    devices = {fields[1]: fields[2] for fields in _DEVICE.finditer(text)}
    fields: dict[str, str] = {}
    for match in _EXPRESSION.finditer(text):
        fields.setdefault(f"{match[1]} {match[2]}", match[3].strip('"'))
    source, destination = fields.get("ether saddr"), fields.get("ether daddr")
    mac = f"{source} > {destination}".lower() if source and destination else None
    if mac is not None and "vlan id" in fields:
        mac = f"{mac} vlan {fields['vlan id']}"
    raw = {
        match[1]: _undecoded(int(match[2]), match[3]) for match in _UNDECODED_BYTES.finditer(text)
    }
    header = _header(fields, raw.get("th", b"")) or _header_of_bytes(fields, raw)
    return PrintedHeader(devices.get("i"), devices.get("o"), mac, header)


def _undecoded(bits: int, digits: str) -> bytes:
    """The bytes of a number; none for one that has more than it says."""
    value = int(digits, 16) if digits.startswith("0x") else int(digits)
    return value.to_bytes(bits // 8, "big") if value >> bits // 8 * 8 == 0 else b""


def _header_of_bytes(fields: dict[str, str], raw: dict[str, bytes]) -> Optional[Header]:
    """The header of a packet of which nft decoded nothing of IP."""
    if "arp operation" in fields:
        return Header(4, "arp", None, None, flags=fields["arp operation"])
    if "nh" in raw:
        header = ip.parse_parts(raw["nh"], raw.get("th", b""))
    else:
        header = ip.parse_cut6(raw.get("th", b""))
    # What is read of text has no bytes.
    return None if header is None else header._replace(raw=None)


def is_part(text: str) -> bool:
    """Whether a line can go on with a packet that was printed over several."""
    return _PART.match(text) is not None


def joined(head: str, tail: str) -> str:
    """Two parts of a line as one; a blank between them may have been lost."""
    is_apart = head[-1:].isspace() or tail[:1].isspace()
    if not is_apart and _PART_BEGINS.match(tail) and _OPEN_VALUE.search(head[-100:]):
        return f"{head} {tail}"
    return head + tail


def _header(fields: dict[str, str], transport: bytes) -> Optional[Header]:
    families = [
        name
        for name in ("ip", "ip6")
        if any(name_and_field.startswith(f"{name} ") for name_and_field in fields)
    ]
    if not families:
        return None
    family = families[0]
    payload_length = number(fields.get(f"{family} length"))
    if _number_of_next(fields) in _EXTENSION_NUMBERS:
        header = _behind_extensions(fields, payload_length, transport)
        if header is not None:
            return header
    proto = _proto(family, fields)
    is_icmp = proto in ("icmp", "icmpv6")
    length = payload_length
    if length is not None and family == "ip6":
        length += 40
    is_whole = proto not in ("udp", "udplite") or not _is_fragment(
        family, payload_length, proto, fields
    )
    ports = [
        number(fields.get(f"{proto} {name}")) if proto in _NAMES_WITH_PORTS and is_whole else None
        for name in ("sport", "dport")
    ]
    echo_id, echo_seq = _echo(proto, fields)
    is_tcp = proto == "tcp"
    return Header(
        family=4 if family == "ip" else 6,
        proto=proto,
        src=address(fields.get(f"{family} saddr")),
        dst=address(fields.get(f"{family} daddr")),
        sport=ports[0],
        dport=ports[1],
        length=length,
        ip_id=number(fields.get("ip id")),
        ttl=number(fields.get("ip ttl", fields.get("ip6 hoplimit"))),
        flags=flags(fields["tcp flags"]) if is_tcp and "tcp flags" in fields else None,
        tcp_seq=number(fields.get("tcp sequence")) if is_tcp else None,
        tcp_ack=number(fields.get("tcp ackseq")) if is_tcp else None,
        icmp_type=_icmp(proto, "type", fields) if is_icmp else None,
        icmp_code=_icmp(proto, "code", fields) if is_icmp else None,
        icmp_id=echo_id,
        icmp_seq=echo_seq,
        fragment=_fragment(fields.get("ip frag-off")),
        spi=hexadecimal(fields.get(f"{proto} spi")) if proto in ("esp", "ah") else None,
    )


_EXTENSION_NUMBERS = frozenset((0, 43, 44, 60))
"""Numbers of IPv6's extension headers behind which the protocol stands."""


def _number_of_next(fields: dict[str, str]) -> Optional[int]:
    printed = fields.get("ip6 nexthdr")
    return None if printed is None else _PROTOCOL_NUMBERS.get(printed, number(printed))


def _behind_extensions(
    fields: dict[str, str], payload: Optional[int], transport: bytes
) -> Optional[Header]:
    """The header of an IPv6 packet whose transport header nft prints as bytes, if any."""
    src, dst = address(fields.get("ip6 saddr")), address(fields.get("ip6 daddr"))
    if src is None or dst is None or payload is None:
        return None
    limit = number(fields.get("ip6 hoplimit")) or 0
    following = _number_of_next(fields) or 0
    head = struct.pack(">IHBB", 6 << 28, payload & 0xFFFF, following & 0xFF, limit & 0xFF)
    ends = b"".join(ipaddress.IPv6Address(address_text).packed for address_text in (src, dst))
    header = ip.parse_parts(head + ends, transport)
    return None if header is None else header._replace(raw=None)


def _is_fragment(family: str, ip_length: Optional[int], proto: str, fields: dict[str, str]) -> bool:
    """Whether what is printed as a header of UDP's is not, or that of a part of a datagram.

    nft takes the payload of a later fragment for one, and prints no offset. In a whole datagram the
    lengths agree; IP options come between.
    """
    udp_length = number(fields.get(f"{proto} length"))
    if udp_length is None or ip_length is None:
        return False
    options = ip_length - udp_length - (20 if family == "ip" else 0)
    return not (0 <= options <= 40 and options % 4 == 0)


def _proto(family: str, fields: dict[str, str]) -> Optional[str]:
    """As printed; nft leaves it out where the fields of the protocol follow."""
    printed = fields.get("ip protocol" if family == "ip" else "ip6 nexthdr")
    if printed is not None:
        value = _PROTOCOL_NUMBERS.get(printed, number(printed))
        if family == "ip6" and value in _EXTENSION_NUMBERS:
            return None
        return None if value is None else PROTOCOL_NAMES.get(value, str(value))
    for name in _TRANSPORTS:
        if any(field.startswith(f"{name} ") for field in fields):
            return name
    return None


def flags(printed: str) -> Optional[str]:
    """TCP flags in LOG's order; nft prints one by name, several by names or as a number."""
    if printed[:1].isdigit():
        value = int(printed, 16) if re.fullmatch("0x[0-9a-f]{1,4}", printed) else number(printed)
        if value is None:
            return None
        return " ".join(flag for flag in TCP_FLAGS if value >> _FLAG_BITS[flag] & 1)
    names = [flag.upper() for flag in printed.split(",") if flag]
    names_of_log = {"ECN": "ECE", **{flag: flag for flag in TCP_FLAGS}}
    if not all(flag in names_of_log for flag in names):
        return None
    flag_names = {names_of_log[flag] for flag in names}
    return " ".join(flag for flag in TCP_FLAGS if flag in flag_names)


def _icmp(proto: Optional[str], field: str, fields: dict[str, str]) -> Optional[int]:
    printed = fields.get(f"{proto} {field}")
    if printed is None:
        return None
    is_v6 = proto == "icmpv6"
    if field == "type":
        names = _ICMPV6_TYPES_BY_NAME if is_v6 else _ICMP_TYPES_BY_NAME
    else:
        names = _ICMPV6_CODES_BY_NAME if is_v6 else _ICMP_CODES_BY_NAME
    return names.get(printed, number(printed))


def _echo(proto: Optional[str], fields: dict[str, str]) -> tuple[Optional[int], Optional[int]]:
    """Identifier and sequence of an echo, which old versions print as one number for IPv6."""
    kind = _icmp(proto, "type", fields) if proto in ("icmp", "icmpv6") else None
    if proto == "icmp" and kind in (0, 8):
        return number(fields.get("icmp id")), number(fields.get("icmp sequence"))
    if proto != "icmpv6" or kind not in (128, 129):
        return None, None
    if "icmpv6 id" in fields:
        return number(fields["icmpv6 id"]), number(fields.get("icmpv6 sequence"))
    both = number(fields.get("icmpv6 parameter-problem"))
    return (None, None) if both is None else (both >> 16 & 0xFFFF, both & 0xFFFF)


def _fragment(printed: Optional[str]) -> Optional[int]:
    value = number(printed) if printed and not printed.startswith("0x") else hexadecimal(printed)
    return ((value or 0) & 0x1FFF) * 8 or None
