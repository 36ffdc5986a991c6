"""A packet's header fields, as far as TRACE shows them."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple, Optional


class Header(NamedTuple):
    """The fields of one packet at one hop; None for every field the source did not show."""

    family: int
    """4 or 6."""
    proto: Optional[str]
    """Lower case (``tcp``, ``udp``, ``icmp``, ``icmpv6``, ``sctp`` …) or the number as text."""
    src: Optional[str]
    dst: Optional[str]
    sport: Optional[int] = None
    dport: Optional[int] = None
    length: Optional[int] = None
    """Bytes from the start of the IP header (IPv6: payload length + 40)."""
    ip_id: Optional[int] = None
    ttl: Optional[int] = None
    """TTL, or hop limit."""
    flags: Optional[str] = None
    """TCP flags in LOG's order, blank between: ``ACK PSH``; None for other protocols."""
    tcp_seq: Optional[int] = None
    tcp_ack: Optional[int] = None
    icmp_type: Optional[int] = None
    icmp_code: Optional[int] = None
    icmp_id: Optional[int] = None
    icmp_seq: Optional[int] = None
    fragment: Optional[int] = None
    """Fragment offset in bytes; None for a first or only fragment."""
    spi: Optional[int] = None
    """Security parameters index of AH or ESP."""
    raw: Optional[bytes] = None
    """The bytes it was read from: the packet's beginning (nflog), or its network and transport
    headers (nft); None for text."""


def endpoint(address: Optional[str], port: Optional[int]) -> str:
    """An address and, where there is one, its port."""
    shown = address or "?"
    if port is None:
        return shown
    return f"[{shown}]:{port}" if ":" in shown else f"{shown}:{port}"


@lru_cache(maxsize=4096)
def is_to_many(address: Optional[str]) -> bool:
    """Whether an address is multicast's, or can be a broadcast's: its netmask is not known."""
    if address is None:
        return False
    try:
        return ip_address(address).is_multicast or address.endswith(".255")
    except ValueError:
        return False


def identity(header: Header) -> tuple[object, ...]:
    """The fields that no rule changes before the last table of a traversal."""
    return (header[2], header[4], *lasting(header))


def lasting(header: Header) -> tuple[object, ...]:
    """The fields that no rule changes at all: source NAT comes before some nft chains do.

    Family, protocol, length, IP id; flags, TCP's numbers, ICMP's type and code; ICMP's sequence,
    the fragment, the SPI. By position, as it is made for each hook of each packet. TCPMSS makes a
    SYN longer that has no such option (net/netfilter/xt_TCPMSS.c).
    """
    flags = header[9]
    lengths = header[6:8] if flags is None or "SYN" not in flags else header[7:8]
    return header[:2] + lengths + header[9:14] + header[15:18]


def is_alike(one: Header, other: Header) -> bool:
    """Whether two headers have one identity."""
    return one[2] == other[2] and one[4] == other[4] and lasting(one) == lasting(other)
