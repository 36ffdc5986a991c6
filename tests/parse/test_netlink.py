"""Datagrams of nflog and nftrace."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.recorded import datagrams

from tracetui.parse.headers import ip
from tracetui.parse.netlink import nflog, nftrace
from tracetui.parse.netlink.attributes import attributes, first_message

PARSERS = {"nflog": nflog.parse, "nftrace": nftrace.parse}
FIRST = {name: next(datagrams(f"2cpu-interleaved-{name}.bin.gz")) for name in PARSERS}


class Links(dict):
    """Every interface has a name."""

    def get(self, index, default=None):
        return f"if{index}"


def test_an_nflog_datagram_is_a_legacy_hop():
    hop = nflog.parse(FIRST["nflog"], Links(), 5.0)
    assert (hop.backend, hop.table, hop.chain, hop.hook) == (
        *("legacy", "raw", "PREROUTING"),
        "PREROUTING",
    )
    assert hop.rulenum >= 1
    assert hop.iif.startswith("if")
    assert hop.header.proto == "udp" or hop.header.proto == "tcp"
    assert hop.header.src.startswith("10.")


def test_an_nftrace_datagram_is_an_nft_hop_with_its_trace_id():
    hop = nftrace.parse(FIRST["nftrace"], Links(), 5.0)
    assert (hop.backend, hop.table, hop.chain) == ("nft", "raw", "PREROUTING")
    assert hop.trace_id is not None
    assert hop.verdict is not None
    assert hop.time == 5.0


@pytest.mark.parametrize("name", PARSERS)
def test_a_datagram_cut_anywhere_is_a_hop_or_none(name):
    whole = FIRST[name]
    assert PARSERS[name](whole, {}, 0.0) is not None
    for end in range(len(whole)):
        assert PARSERS[name](whole[:end], {}, 0.0) is None


@pytest.mark.parametrize("name", PARSERS)
@given(data=st.data())
def test_a_datagram_with_changed_bytes_raises_nothing(name, data):
    damaged = bytearray(FIRST[name])
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    PARSERS[name](bytes(damaged), {}, 0.0)


@given(st.binary())
def test_whatever_the_bytes_nothing_is_raised(data):
    first_message(data)
    attributes(data)
    ip.parse(data)
    ip.parse_parts(data[:20], data[20:])
    for parse in PARSERS.values():
        parse(data, {}, 0.0)


@given(st.binary(min_size=20), st.sampled_from([4, 6]))
def test_a_header_of_garbage_raises_nothing(data, version):
    header = ip.parse(bytes([version << 4 | 5]) + data)
    assert header is None or header.family == version


@given(
    st.binary(min_size=18, max_size=18),
    st.sampled_from([1, 6, 17, 50, 132]),
    st.binary(min_size=20, max_size=20),
    st.integers(0, 20),
)
def test_a_usual_packet_is_read_as_one_with_options_is(fields, proto, behind, size):
    """Those are never read fast."""
    behind = behind[:size]
    fixed = fields[:7] + bytes([proto]) + fields[8:]
    plain = ip.parse(bytes([0x45, 0]) + fixed + behind)
    with_options = ip.parse(bytes([0x46, 0]) + fixed + bytes(4) + behind)
    assert plain._replace(raw=None) == with_options._replace(raw=None)
    apart = ip.parse_parts(bytes([0x45, 0]) + fixed, behind)
    assert apart == plain


def test_ipv6_extension_headers_are_walked():
    fixed = struct.pack(">IHBB", 6 << 28, 16, 0, 64) + bytes(15) + b"\1" + bytes(15) + b"\2"
    hop_by_hop = bytes([17, 0]) + bytes(6)
    udp = struct.pack(">HHHH", 1000, 53, 8, 0)
    header = ip.parse(fixed + hop_by_hop + udp)
    assert (header.proto, header.sport, header.dport) == ("udp", 1000, 53)
    assert (header.src, header.dst) == ("::1", "::2")


def rebuilt(name: str, **values: bytes) -> bytes:
    """The first datagram of a recording with some attributes' values replaced, or more of them."""
    whole = FIRST[name]
    found = attributes(whole[20:]) | {int(kind[1:]): value for kind, value in values.items()}
    body = b"".join(
        struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)
        for kind, value in found.items()
    )
    return struct.pack("=I", 20 + len(body)) + whole[4:20] + body


HUGE = b"\x7f" * 2500
"""As a number it has more digits than Python prints."""


def test_a_number_of_another_size_than_the_kernel_s_is_not_known():
    """Of nflog: mark, interfaces and hardware type; of nft: mark, interfaces and trace id."""
    for size in (b"", b"\1", HUGE):
        hop = nflog.parse(rebuilt("nflog", _2=size, _4=size, _5=size, _15=size), {}, 0.0)
        assert (hop.mark, hop.iif, hop.oif, hop.mac) == (None, None, None, None)
        hop = nftrace.parse(rebuilt("nftrace", _14=size, _10=size, _12=size, _6=size), {}, 0.0)
        assert (hop.mark, hop.iif, hop.oif, hop.trace_id) == (None, None, None, None)


@pytest.mark.parametrize("verdict", [b"", b"\4\0\1\0", HUGE])
def test_a_verdict_without_its_code_is_no_drop(verdict):
    assert nftrace.parse(rebuilt("nftrace", _5=verdict), {}, 0.0).verdict is None


@pytest.mark.parametrize(
    "values", [{"_3": HUGE}, {"_3": b"\7"}, {"_1": b""}, {"_2": b"\0"}, {"_4": b"\3"}]
)
def test_an_event_whose_place_can_t_be_read_is_none(values):
    """A handle that is not known would make a rule the end of its chain."""
    assert nftrace.parse(rebuilt("nftrace", **values), {}, 0.0) is None


@pytest.mark.parametrize("number", [b"9" * 5000, "\u0661".encode(), b"1\n"])
def test_a_rule_number_that_no_kernel_prints_is_no_hop(number):
    prefix = b"TRACE: raw:PREROUTING:rule:" + number + b" \0"
    assert nflog.parse(rebuilt("nflog", _10=prefix), {}, 0.0) is None


@pytest.mark.parametrize(
    ("seconds", "fraction"), [(1 << 63, 0), (253_402_300_800, 0), (1_700_000_000, 1_000_000)]
)
def test_a_stamp_that_no_clock_shows_is_not_taken(seconds, fraction):
    stamp = struct.pack(">QQ", seconds, fraction)
    assert nflog.parse(rebuilt("nflog", _3=stamp), {}, 5.0).time == 5.0


def test_a_packet_whose_header_says_it_is_shorter_than_one_has_no_ports():
    header = bytes([0x41]) + bytes(8) + bytes([17]) + bytes(10)
    assert ip.parse(header + b"\0\x35\0\x35" + bytes(4)) is None
    assert ip.parse_parts(header, b"\0\x35\0\x35" + bytes(4)) is None
