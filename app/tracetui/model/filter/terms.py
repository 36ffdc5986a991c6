"""Terms of a filter: questions about one header on a packet's path, or the packet as a whole."""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from collections.abc import Callable, Iterable
from typing import Optional, Union

from tracetui.model.explain.explanation import PacketExplanation
from tracetui.model.filter.names import PORT_NUMBERS, did_you_mean, protocol_name
from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import Hop
from tracetui.model.trace.packet import Packet
from tracetui.model.tracing.rule_fields import BACKENDS

ExplainPacket = Callable[[Packet], PacketExplanation]
Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

PROTOCOL_KEYWORDS = (
    *("tcp", "udp", "icmp", "icmp6", "icmpv6", "sctp", "dccp", "udplite", "esp", "ah", "gre"),
    *("igmp", "pim", "vrrp", "arp", "ip", "ip6"),
)
"""Protocols that a word alone asks for."""
VERDICTS = ("accept", "drop", "reject", "unknown")
_MAC = re.compile(r"[0-9a-f]{1,2}([:-][0-9a-f]{1,2}){5}")
_HIGHEST_VLAN = 4095


class Case:
    """One packet that is asked about, with what its answers are found from."""

    __slots__ = ("_explain", "_explanation", "headers", "known", "packet")

    def __init__(self, packet: Packet, explain: Optional[ExplainPacket]) -> None:
        self.packet = packet
        self.headers = _headers(packet.hops)
        """The headers on its path, each once; None stands for no header at all."""
        self.known: dict[int, bool] = {}
        """Answers that are the same at every header, by what asked."""
        self._explain = explain
        self._explanation: Optional[PacketExplanation] = None

    @property
    def explanation(self) -> Optional[PacketExplanation]:
        """The packet's explanation; None where nobody explains."""
        if self._explanation is None and self._explain is not None:
            self._explanation = self._explain(self.packet)
        return self._explanation


FilterTest = Callable[[Case, Optional[Header]], bool]
"""Whether something is true of a packet as it was at one header."""


def _headers(hops: Iterable[Hop]) -> list[Optional[Header]]:
    # All hops of one hook share one header object, so few are tested.
    headers = {id(hop.header): hop.header for hop in hops if hop.header is not None}
    return list(headers.values()) or [None]


def at_header(test: Callable[[Header], bool]) -> FilterTest:
    """A question about one header."""
    return lambda case, header: header is not None and test(header)


def of_packet(test: Callable[[Case], bool]) -> FilterTest:
    """A question about the packet as a whole; it is asked once."""

    def ask(case: Case, header: Optional[Header]) -> bool:
        answer = case.known.get(id(ask))
        if answer is None:
            answer = case.known[id(ask)] = test(case)
        return answer

    return ask


def of_some_hop(test: Callable[[Hop], bool]) -> FilterTest:
    """A question about the hops: whether it is true of any."""
    return of_packet(lambda case: any(map(test, case.packet.hops)))


def address(direction: str, typed: str, mask: Optional[str] = None) -> FilterTest:
    """``src``, ``dst``, ``src or dst`` or ``src and dst`` is an address or in a network."""
    is_meant = _address(typed, mask)
    return at_header(_both(direction, lambda h: is_meant(h.src), lambda h: is_meant(h.dst)))


def ports(direction: str, typed: str) -> FilterTest:
    """``src``, ``dst``, ``src or dst`` or ``src and dst`` is a port or in a range of them."""
    first, last = port_range(typed)

    def is_meant(port: Optional[int]) -> bool:
        return port is not None and first <= port <= last

    return at_header(_both(direction, lambda h: is_meant(h.sport), lambda h: is_meant(h.dport)))


def protocol(typed: str) -> FilterTest:
    """A protocol by name or number; ``ip`` and ``ip6`` are the families."""
    name = protocol_name(typed)
    if name == "ip":
        return at_header(lambda header: header.family == 4 and header.proto != "arp")
    if name == "ip6":
        return at_header(lambda header: header.family == 6)
    return at_header(lambda header: header.proto == name)


def flag(name: str) -> FilterTest:
    """A TCP flag that is set, whatever others are."""
    wanted = name.upper()
    return at_header(lambda header: wanted in (header.flags or "").split())


def multicast() -> FilterTest:
    """The destination is a multicast address."""
    return at_header(
        lambda header: header.dst is not None and ipaddress.ip_address(header.dst).is_multicast
    )


def mac_address(direction: str, typed: str) -> FilterTest:
    """``src``, ``dst`` or either of the Ethernet header is this address; raises ValueError."""
    if not _MAC.fullmatch(typed):
        raise ValueError("a MAC address like 02:42:ac:11:00:02")
    mac = ":".join(part.zfill(2) for part in re.split("[:-]", typed))

    def is_meant(hop: Hop) -> bool:
        source, _, rest = (hop.mac or "").partition(" > ")
        is_source, is_destination = source == mac, rest.partition(" ")[0] == mac
        if direction in ("src", "dst"):
            return is_source if direction == "src" else is_destination
        is_both = direction == "src and dst"
        return is_source and is_destination if is_both else is_source or is_destination

    return of_some_hop(is_meant)


def mac_multicast() -> FilterTest:
    """The destination in the Ethernet header is a group's: a multicast or the broadcast."""

    def is_group(hop: Hop) -> bool:
        first_byte = (hop.mac or "").partition(" > ")[2][:2]
        return first_byte != "" and int(first_byte, 16) & 1 == 1

    return of_some_hop(is_group)


def vlan(typed: Optional[str] = None) -> FilterTest:
    """A VLAN tag in the Ethernet header, of this id where one is given; raises ValueError."""
    if typed is None:
        return of_some_hop(lambda hop: " vlan " in (hop.mac or ""))
    vlan_id = int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 5 else -1
    if not 0 <= vlan_id <= _HIGHEST_VLAN:
        raise ValueError(f"a VLAN id up to {_HIGHEST_VLAN}")
    return of_some_hop(lambda hop: (hop.mac or "").endswith(f" vlan {vlan_id}"))


def length(word: str, typed: str) -> FilterTest:
    """``less N`` or ``greater N`` bytes; both mean N too, as in pcap-filter(7)."""
    bound = _number(typed, "a number of bytes")
    if word == "less":
        return at_header(lambda header: header.length is not None and header.length <= bound)
    return at_header(lambda header: header.length is not None and header.length >= bound)


def chain(typed: str) -> FilterTest:
    """A chain on the path, ``*`` and ``?`` standing for anything."""
    match = re.compile(fnmatch.translate(typed)).match
    return of_some_hop(lambda hop: match(hop.chain) is not None)


def table(typed: str) -> FilterTest:
    """A table on the path."""
    return of_some_hop(lambda hop: hop.table == typed)


def backend(typed: str) -> FilterTest:
    """Hops of legacy tables, or of nf_tables; raises ValueError."""
    if typed not in BACKENDS:
        raise ValueError(f"legacy or nft{did_you_mean(typed, BACKENDS)}")
    return of_some_hop(lambda hop: hop.backend == typed)


def verdict(typed: str) -> FilterTest:
    """The packet's verdict; raises ValueError."""
    if typed not in VERDICTS:
        raise ValueError(f"{', '.join(VERDICTS)}{did_you_mean(typed, VERDICTS)}")

    def is_meant(case: Case) -> bool:
        verdict_now = case.packet.verdict if case.explanation is None else case.explanation.verdict
        return verdict_now == typed

    return of_packet(is_meant)


def nat() -> FilterTest:
    """Any rewriting of an address or a port."""
    return of_packet(lambda case: case.packet.nat is not None)


def mark(typed: str) -> FilterTest:
    """A mark at any hop: ``0x4000``, or ``0x4000/0x4000`` for some of its bits."""
    value, _, mask = typed.partition("/")
    wanted, bits = _number(value, "a mark"), _number(mask, "a mask") if mask else 0xFFFFFFFF
    return of_some_hop(lambda hop: (hop.mark or 0) & bits == wanted & bits)


def device(word: str, typed: str) -> FilterTest:
    """An interface at any hop: ``in``, ``out``, or either for ``iface``; ``eth+`` begins so."""

    def is_meant(name: Optional[str]) -> bool:
        if typed.endswith("+"):
            return name is not None and name.startswith(typed[:-1])
        return name == typed

    return of_some_hop(
        lambda hop: (word != "out" and is_meant(hop.iif)) or (word != "in" and is_meant(hop.oif))
    )


def text(typed: str) -> FilterTest:
    """A text, in capitals or not, in a trace point or in the text of a rule."""
    wanted = typed.casefold()

    def is_there(case: Case) -> bool:
        if any(wanted in f"{hop.place} {hop.rule or ''}".casefold() for hop in case.packet.hops):
            return True
        hops = case.explanation.hops if case.explanation is not None else ()
        return any(
            explanation.rule is not None and wanted in (explanation.rule.text or "").casefold()
            for explanation in hops
            if not explanation.is_own
        )

    return of_packet(is_there)


def network(typed: str, mask: Optional[str] = None) -> Optional[Network]:
    """``ADDR``, ``ADDR/N`` or the beginning of an IPv4 address; None for anything else.

    ``10.50`` is 10.50.0.0/16, and so is ``10.50/16``; ``mask`` stands in the place of the length.
    """
    beginning = re.fullmatch(r"(\d{1,3}(?:\.\d{1,3}){0,2})\.?(/\d{1,2})?", typed, re.ASCII)
    if beginning:
        parts = beginning[1].split(".")
        address = ".".join([*parts, *["0"] * (4 - len(parts))])
        typed = address + (beginning[2] or (f"/{8 * len(parts)}" if mask is None else ""))
    try:
        return ipaddress.ip_network(typed if mask is None else f"{typed}/{mask}", strict=False)
    except ValueError:
        return None


def port_range(typed: str) -> tuple[int, int]:
    """``53``, ``http`` or ``8000-8100``; raises ValueError."""
    if typed.lower() in PORT_NUMBERS:
        return (PORT_NUMBERS[typed.lower()],) * 2
    ports = re.fullmatch(r"(\d{1,5})(?:[-:](\d{1,5}))?", typed, re.ASCII)
    if not ports:
        near = did_you_mean(typed, PORT_NUMBERS) if typed[:1].isalpha() else ""
        raise ValueError(f"a port, or a range like 8000-8100{near}")
    first, last = int(ports[1]), int(ports[2] or ports[1])
    if not first <= last <= 65535:
        raise ValueError("a port from 0 to 65535, in a range the lower one first")
    return first, last


def _address(typed: str, mask: Optional[str] = None) -> Callable[[Optional[str]], bool]:
    parsed = network(typed, mask)
    if parsed is not None:
        net = parsed
        if net.prefixlen == net.max_prefixlen:
            plain = str(net.network_address)
            return lambda address: address == plain
        return lambda address: address is not None and ipaddress.ip_address(address) in net
    if ":" in typed and re.fullmatch(r"[0-9a-f:]+", typed):
        return lambda address: address is not None and ":" in address and address.startswith(typed)
    if mask is not None:
        raise ValueError("an address and a mask like 255.255.0.0")
    if re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+\.?", typed) and not typed[-1].isdigit():
        raise ValueError("an IP address: names are not looked up")
    raise ValueError("an IP address, a network like 10.1.0.0/16, or the beginning of one")


def _both(
    direction: str, src: Callable[[Header], bool], dst: Callable[[Header], bool]
) -> Callable[[Header], bool]:
    if direction == "src":
        return src
    if direction == "dst":
        return dst
    if direction == "src and dst":
        return lambda header: src(header) and dst(header)
    return lambda header: src(header) or dst(header)


def _number(typed: str, what: str) -> int:
    try:
        value = int(typed, 0) if len(typed) <= 12 else -1
    except ValueError:
        value = -1
    if not 0 <= value <= 0xFFFFFFFF:
        raise ValueError(f"{what}, like 64 or 0x4000")
    return value
