"""Which packets are shown: by source, destination, port and protocol, on both sides of NAT."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Optional, TypeVar, Union

from tracetui.errors import UsageError
from tracetui.model.header import Header
from tracetui.model.packet import Packet

FIELDS = ("src", "dst", "port", "proto")

_Matches = Callable[[Optional[str]], bool]
_Ports = tuple[int, int]
_Part = TypeVar("_Part")
_Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


class InvalidFilter(UsageError):
    """A filter field that can't be meant."""

    def __init__(self, field: str, reason: str) -> None:
        self.field = field
        """One of FIELDS."""
        self.reason = reason
        super().__init__(f"{field}: {reason}")


class ViewFilter:
    """A test for packets; all its parts must hold. Without parts it lets everything through."""

    def __init__(
        self,
        src: Optional[_Matches] = None,
        dst: Optional[_Matches] = None,
        port: Optional[_Ports] = None,
        proto: Optional[str] = None,
    ) -> None:
        self._src = src
        self._dst = dst
        self._port = port
        self._proto = proto

    @classmethod
    def parse(cls, src: str = "", dst: str = "", port: str = "", proto: str = "") -> ViewFilter:
        """Build a filter from what was typed; raises InvalidFilter.

        Addresses: whole, ADDR/N, or the beginning of one: ``10.2`` means 10.2.0.0/16, as tcpdump's
        ``net`` has it. Ports: ``53`` or ``8000-8100``. Protocols: a name or the number.
        """
        return cls(
            _parsed("src", _address, src),
            _parsed("dst", _address, dst),
            _parsed("port", _ports, port),
            _parsed("proto", _proto, proto),
        )

    @property
    def is_empty(self) -> bool:
        """Whether it lets everything through."""
        return not (self._src or self._dst or self._port or self._proto)

    def matches(self, packet: Packet) -> bool:
        """Whether the packet, as it was at any one of its hops, passes."""
        if self.is_empty:
            return True
        seen: set[int] = set()
        for hop in packet.hops:
            # All hops of one hook share one header object, so few are tested.
            if hop.header is not None and id(hop.header) not in seen:
                seen.add(id(hop.header))
                if self._passes(hop.header):
                    return True
        return False

    def _passes(self, header: Header) -> bool:
        if self._src is not None and not self._src(header.src):
            return False
        if self._dst is not None and not self._dst(header.dst):
            return False
        if self._proto is not None and header.proto != self._proto:
            return False
        return self._port is None or any(
            port is not None and self._port[0] <= port <= self._port[1]
            for port in (header.sport, header.dport)
        )


def _parsed(field: str, parse: Callable[[str], _Part], typed: str) -> Optional[_Part]:
    text = typed.strip().lower()
    if not text:
        return None
    try:
        return parse(text)
    except ValueError as error:
        raise InvalidFilter(field, str(error)) from None


def _address(typed: str) -> _Matches:
    network = _network(typed)
    if network is not None:
        return lambda address: _is_in(address, network)
    if ":" in typed and re.fullmatch(r"[0-9a-f:]+", typed):
        return lambda address: address is not None and ":" in address and address.startswith(typed)
    raise ValueError("an address, ADDR/N, or the beginning of one")


def _network(typed: str) -> Optional[_Network]:
    if re.fullmatch(r"\d{1,3}(\.\d{1,3}){0,2}\.?", typed):
        parts = typed.rstrip(".").split(".")
        typed = f"{'.'.join([*parts, *['0'] * (4 - len(parts))])}/{8 * len(parts)}"
    try:
        return ipaddress.ip_network(typed, strict=False)
    except ValueError:
        return None


def _is_in(address: Optional[str], network: _Network) -> bool:
    if address is None:
        return False
    return ipaddress.ip_address(address) in network


def _ports(typed: str) -> _Ports:
    found = re.fullmatch(r"(\d{1,5})(?:[-:](\d{1,5}))?", typed)
    if not found:
        raise ValueError("a port, or a range like 8000-8100")
    first, last = int(found[1]), int(found[2] or found[1])
    if not first <= last <= 65535:
        raise ValueError("ports go up to 65535, ranges upwards")
    return first, last


def _proto(typed: str) -> str:
    names = {"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6", "icmp6": "icmpv6"}
    if not re.fullmatch(r"[a-z0-9-]{1,10}", typed) or (typed.isdigit() and int(typed) > 255):
        raise ValueError("a name like tcp, or a number up to 255")
    return names.get(typed, typed)
