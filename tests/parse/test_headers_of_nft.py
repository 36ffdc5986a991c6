"""Headers that nft sends or prints in parts: behind extensions, of fragments, ARP's, tagged."""

from __future__ import annotations

import socket
import struct

import pytest
from tests.recorded import assembled, hop_of, hops_of

from tracetui.model.filter.expression import parse as parse_filter
from tracetui.model.filter.terms import Case
from tracetui.parse.headers import ethernet, ip
from tracetui.session.recording import report

SRC, DST = "fd00:c1::2", "fd00:c2::2"
UDP = struct.pack(">HHHH", 4000, 53, 12, 0) + b"abcd"
TCP = struct.pack(">HHIIBBHHH", 4001, 80, 1, 0, 0x50, 2, 1024, 0, 0)
ECHO = struct.pack(">BBHHH", 128, 0, 0, 7, 3) + b"x" * 16
MLD = bytes.fromhex("8f0061dc0000000304000000ff02000000000000")
NONE, ROUTING, FRAGMENT, OPTIONS = 0, 43, 44, 60


def network(following: int, payload: int) -> bytes:
    ends = socket.inet_pton(socket.AF_INET6, SRC) + socket.inet_pton(socket.AF_INET6, DST)
    return struct.pack(">IHBB", 6 << 28, payload, following, 64) + ends


@pytest.mark.parametrize("following", [NONE, ROUTING, OPTIONS])
@pytest.mark.parametrize(
    ("transport", "number"), [(UDP, 17), (TCP, 6), (ECHO, 58)], ids=["udp", "tcp", "icmpv6"]
)
def test_behind_an_extension_header_nft_says_of_a_packet_what_legacy_says(
    following, transport, number
):
    extension = bytes([number, 0, 1, 4, 0, 0, 0, 0])
    payload = len(extension) + len(transport)
    legacy = ip.parse(network(following, payload) + extension + transport)
    nft = ip.parse_parts(network(following, payload), transport[:20])
    assert nft._replace(raw=None) == legacy._replace(raw=None)


def test_multicast_listener_reports_are_icmp():
    header = ip.parse_parts(network(NONE, 96), MLD)
    assert (header.proto, header.icmp_type) == ("icmpv6", 143)


@pytest.mark.parametrize(
    ("following", "transport"),
    [(OPTIONS, bytes(20)), (OPTIONS, b""), (FRAGMENT, UDP)],
    ids=["no protocol's", "none sent", "of a fragment"],
)
def test_a_protocol_that_only_could_be_is_not_told(following, transport):
    header = ip.parse_parts(network(following, 60), transport)
    assert (header.proto, header.sport, header.dport) == (None, None, None)
    assert (header.src, header.dst) == (SRC, DST)


def test_of_a_later_fragment_the_header_stands_where_the_transport_s_would():
    header = ip.parse_cut6(network(FRAGMENT, 16)[:20])
    assert (header.family, header.length, header.ttl) == (6, 56, 64)
    assert (header.proto, header.src) == (None, None)
    # It is told by what follows, which in a header of TCP's is another number.
    assert ip.parse_cut6(struct.pack(">HHIIBBHHH", 0x6000, 80, 0x600, 0, 0x50, 2, 1, 0, 0)) is None


def printed(packet: str):
    """The header of a packet that nft printed."""
    hop = hop_of(f'trace id 0a0b0c0d inet t c packet: iif "eth0" {packet}')
    return hop.header


V6 = f"ip6 saddr {SRC} ip6 daddr {DST} ip6 dscp cs0 ip6 ecn not-ect ip6 hoplimit 64 ip6 flowlabel 0"
OPTIONS6 = f"{V6} ip6 nexthdr ipv6-opts ip6 length 20"
IPV4 = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 32, 7, 0, 64, 17, 0, bytes(4), bytes(4))
SIX = 0x6000000000102C40FD0000C10000000000000000


@pytest.mark.parametrize(
    ("packet", "told"),
    [
        # nft prints no leading zeros, and old versions decimal numbers.
        (f"{OPTIONS6} @th,0,96 0xfa00035000c000061626364", ("udp", 4000, 53)),
        (f"{OPTIONS6} @th,0,96 {0xFA00035000C000061626364}", ("udp", 4000, 53)),
        (f"{V6} ip6 nexthdr ip ip6 length 76 @th,0,160 0x{MLD.hex()}", ("icmpv6", None, None)),
        (OPTIONS6, (None, None, None)),
        (f"ether type ip6 @th,0,160 {SIX:#x}", (None, None, None)),
        (f"ether type ip6 @th,0,160 {SIX}", (None, None, None)),
        (f"@nh,0,160 0x{IPV4.hex()} @th,0,96 0x{UDP.hex()}", ("udp", 4000, 53)),
    ],
)  # fmt: skip
def test_what_nft_prints_undecoded_is_read(packet, told):
    header = printed(packet)
    assert (header.proto, header.sport, header.dport) == told
    assert header.length == int(header.length)


V4 = "ip saddr 10.0.0.1 ip daddr 10.0.0.2 ip ttl 64 ip id 777 ip protocol udp ip length {length}"


@pytest.mark.parametrize(
    ("length", "own", "ports"),
    [
        (36, 16, (20545, 22860)),
        # With options, and as a fragment.
        (40, 16, (20545, 22860)),
        (36, 20289, (None, None)),
    ],
)
def test_ports_that_nft_reads_out_of_a_fragment_s_payload_are_not_believed(length, own, ports):
    packet = f"{V4.format(length=length)} udp sport 20545 udp dport 22860 udp length {own}"
    header = printed(packet)
    assert (header.proto, header.sport, header.dport) == ("udp", *ports)


def test_an_arp_packet_has_its_operation_and_its_addresses():
    packet = struct.pack(
        ">HHBBH6s4s6s4s", 1, 0x800, 6, 4, 2, b"\2" * 6, b"\n\0\0\1", b"\4" * 6, b"\n\0\0\2"
    )
    header = ip.parse_parts(packet, b"")
    assert (header.proto, header.flags, header.src, header.dst) == (
        "arp",
        "reply",
        "10.0.0.1",
        "10.0.0.2",
    )
    assert report.protocol(header) == "arp reply"


def test_a_printed_arp_packet_is_found_by_its_name_and_has_its_macs():
    line = (
        'trace id 60d103db arp a in packet: iif "eth0" ether saddr 72:42:62:1a:d8:c3 '
        "ether daddr ff:ff:ff:ff:ff:ff arp operation request "
    )
    (packet,) = assembled(hops_of([line, "trace id 60d103db arp a in policy accept "]))
    assert report.protocol(packet.header) == "arp request"
    assert packet.first.mac == "72:42:62:1a:d8:c3 > ff:ff:ff:ff:ff:ff"
    case = Case(packet, None)
    assert parse_filter("arp").test(case, packet.header)
    assert not parse_filter("udp").test(case, packet.header)


def test_vlans_are_told_apart():
    tagged = bytes(12) + bytes.fromhex("8100600a0800")
    assert ethernet.addresses(tagged).endswith(" vlan 10")
    lines = [
        f'trace id 0000000{at} bridge b c packet: iif "p" ether saddr 4e:fa:cc:7e:f9:41 '
        f"ether daddr ff:ff:ff:ff:ff:ff vlan pcp 3 vlan dei 0 vlan id {vlan} ip saddr 10.0.0.1"
        for at, vlan in enumerate((10, 11))
    ]
    macs = [hop.mac for hop in hops_of(lines)]
    assert [mac.rpartition(" vlan ")[2] for mac in macs] == ["10", "11"]
