"""Comparisons of numbers in a filter: ``len > 100``, ``tcp[tcpflags] & tcp-syn != 0``.

pcap-filter(7) reads any byte of a packet. A trace has the header's fields only, the same ones from
every source, so a byte is known where it is such a field; any other is refused by name.
"""

from __future__ import annotations

import ipaddress
import operator
import re
from collections.abc import Callable
from typing import NamedTuple, Optional

from tracetui.model.filter.names import did_you_mean, protocol_number
from tracetui.model.trace.header import Header

Number = Callable[[Header], Optional[int]]
"""A number of a header, 32 bits without a sign; None where the header has no such field."""

FLAG_BITS = ("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr")
"""From the lowest bit of byte 13 (RFC 9293)."""
_TCP_FLAG_BITS = {name.upper(): 1 << bit for bit, name in enumerate(FLAG_BITS)}
CONSTANTS = {
    "tcpflags": 13, "icmptype": 0, "icmpcode": 1, "icmp6type": 0, "icmp6code": 1,
    **{f"tcp-{name}": 1 << bit for bit, name in enumerate(FLAG_BITS)}, "tcp-push": 8,
    "icmp-echoreply": 0, "icmp-unreach": 3, "icmp-sourcequench": 4, "icmp-redirect": 5,
    "icmp-echo": 8, "icmp-routeradvert": 9, "icmp-routersolicit": 10, "icmp-timxceed": 11,
    "icmp-paramprob": 12, "icmp-tstamp": 13, "icmp-tstampreply": 14, "icmp-ireq": 15,
    "icmp-ireqreply": 16, "icmp-maskreq": 17, "icmp-maskreply": 18,
    "icmp6-destinationunreach": 1, "icmp6-destinationrunreach": 1, "icmp6-packettoobig": 2,
    "icmp6-timeexceeded": 3, "icmp6-parameterproblem": 4, "icmp6-echo": 128,
    "icmp6-echoreply": 129, "icmp6-multicastlistenerquery": 130,
    "icmp6-multicastlistenerreportv1": 131, "icmp6-multicastlistenerdone": 132,
    "icmp6-routersolicit": 133, "icmp6-routeradvert": 134, "icmp6-neighborsolicit": 135,
    "icmp6-neighboradvert": 136, "icmp6-redirect": 137,
}  # fmt: skip
"""pcap-filter(7)'s names for offsets and values."""
OPERATORS = {
    "|": (1, operator.or_), "&": (2, operator.and_), "<<": (3, operator.lshift),
    ">>": (3, operator.rshift), "+": (4, operator.add), "-": (4, operator.sub),
    "*": (5, operator.mul), "/": (5, operator.floordiv), "%": (5, operator.mod),
}  # fmt: skip
"""How tightly each binds (libpcap, grammar.y), and what it does."""
RELATIONS = {
    "=": operator.eq, "==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt,
    "<=": operator.le, ">=": operator.ge,
}  # fmt: skip
_ACCESS = re.compile(r"([a-z0-9]+)\s*\[\s*([a-z0-9]+)\s*(?::\s*([124])\s*)?\]")
_MOST_BITS = 32


class _HeaderField(NamedTuple):
    """A field by where it is in its header."""

    offset: int
    size: int
    number: Number


def _address_number(text: Optional[str]) -> Optional[int]:
    return None if text is None else int(ipaddress.ip_address(text))


def _flag_bits(header: Header) -> Optional[int]:
    if header.flags is None:
        return None
    return sum(_TCP_FLAG_BITS.get(name, 0) for name in header.flags.split())


_PORT_FIELDS = (_HeaderField(0, 2, lambda h: h.sport), _HeaderField(2, 2, lambda h: h.dport))
_ICMP_FIELDS = (
    _HeaderField(0, 1, lambda h: h.icmp_type),
    _HeaderField(1, 1, lambda h: h.icmp_code),
    _HeaderField(4, 2, lambda h: h.icmp_id),
    _HeaderField(6, 2, lambda h: h.icmp_seq),
)
_FIELDS_OF = {
    "tcp": (
        *_PORT_FIELDS,
        _HeaderField(4, 4, lambda h: h.tcp_seq),
        _HeaderField(8, 4, lambda h: h.tcp_ack),
        _HeaderField(13, 1, _flag_bits),
    ),
    "udp": _PORT_FIELDS, "sctp": _PORT_FIELDS, "dccp": _PORT_FIELDS, "udplite": _PORT_FIELDS,
    "icmp": _ICMP_FIELDS, "icmp6": _ICMP_FIELDS, "icmpv6": _ICMP_FIELDS,
    "ip": (
        _HeaderField(2, 2, lambda h: h.length),
        _HeaderField(4, 2, lambda h: h.ip_id),
        _HeaderField(8, 1, lambda h: h.ttl),
        _HeaderField(9, 1, lambda h: protocol_number(h.proto)),
        _HeaderField(12, 4, lambda h: _address_number(h.src)),
        _HeaderField(16, 4, lambda h: _address_number(h.dst)),
    ),
    "ip6": (
        _HeaderField(4, 2, lambda h: None if h.length is None else max(0, h.length - 40)),
        _HeaderField(7, 1, lambda h: h.ttl),
    ),
}  # fmt: skip
_HEADER_BYTES = {"tcp": 20, "udp": 8, "sctp": 12, "dccp": 12, "udplite": 8, "ip": 20, "ip6": 40}
"""Bytes of a header without options; behind it is payload. ICMP's has eight."""
_ICMP_HEADER_BYTES = 8
_LINK_LAYERS = ("ether", "arp", "rarp", "fddi", "tr", "wlan", "ppp", "slip", "link", "radio")


def length_of(header: Header) -> Optional[int]:
    """``len``: the packet's bytes from its IP header on."""
    return header.length


def header_field(typed: str) -> Number:
    """The number that ``PROTO[OFFSET]`` or ``PROTO[OFFSET:SIZE]`` stands for.

    Raises ValueError for bytes that are not in a trace.
    """
    access = _ACCESS.fullmatch(typed.lower())
    if access is None:
        raise ValueError("expected an offset like tcp[13] or ip[2:2]")
    proto, offset_text, size_text = access.groups()
    if proto in _LINK_LAYERS:
        raise ValueError(f"{proto}'s bytes are not in a trace; 'ether host' and 'vlan' can be told")
    if proto not in _FIELDS_OF:
        raise ValueError(f"{proto!r} has no bytes here{did_you_mean(proto, _FIELDS_OF)}")
    offset, size = constant(offset_text), int(size_text or 1)
    for field in _FIELDS_OF[proto]:
        if (field.offset, field.size) == (offset, size):
            return _of_protocol(proto, field.number)
    if offset >= _HEADER_BYTES.get(proto, _ICMP_HEADER_BYTES):
        raise ValueError("payload bytes are not in a trace")
    known = ", ".join(_written(proto, field) for field in _FIELDS_OF[proto])
    raise ValueError(f"{typed} is not in a trace; of {proto}'s header {known} are")


def _written(proto: str, field: _HeaderField) -> str:
    return f"{proto}[{field.offset}{f':{field.size}' if field.size > 1 else ''}]"


def _of_protocol(proto: str, number: Number) -> Number:
    if proto in ("ip", "ip6"):
        family = 4 if proto == "ip" else 6
        return lambda header: number(header) if header.family == family else None
    name = "icmpv6" if proto == "icmp6" else proto
    return lambda header: number(header) if header.proto == name else None


def constant(typed: str) -> int:
    """A number, or a name of CONSTANTS; raises ValueError."""
    name = typed.lower()
    if name in CONSTANTS:
        return CONSTANTS[name]
    try:
        value = int(typed, 8 if re.fullmatch("0[0-7]+", typed) else 0) if len(typed) <= 12 else -1
    except ValueError:
        raise ValueError(f"expected a number{did_you_mean(name, (*CONSTANTS, 'len'))}") from None
    if not 0 <= value < 1 << _MOST_BITS:
        raise ValueError(f"a number has at most {_MOST_BITS} bits")
    return value


def combined(sign: str, left: Number, right: Number) -> Number:
    """Two numbers with one of OPERATORS between them."""
    calculate = OPERATORS[sign][1]

    def number(header: Header) -> Optional[int]:
        first, second = left(header), right(header)
        if first is None or second is None:
            return None
        if (sign in "/%" and second == 0) or (sign in ("<<", ">>") and second >= _MOST_BITS):
            return None if sign in "/%" else 0
        result: int = calculate(first, second)
        return result % (1 << _MOST_BITS)

    return number


def compared(relation: str, left: Number, right: Number) -> Callable[[Header], bool]:
    """Two numbers compared by one of RELATIONS; false where one of them is not known."""
    compare = RELATIONS[relation]

    def test(header: Header) -> bool:
        first, second = left(header), right(header)
        return first is not None and second is not None and bool(compare(first, second))

    return test
