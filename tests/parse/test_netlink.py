"""Datagrams of nflog and nftrace."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.recorded import datagrams

from tracetui.parse import ip, nflog, nftrace
from tracetui.parse.netlink import attributes, first_message

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


def test_ipv6_extension_headers_are_walked():
    fixed = struct.pack(">IHBB", 6 << 28, 16, 0, 64) + bytes(15) + b"\1" + bytes(15) + b"\2"
    hop_by_hop = bytes([17, 0]) + bytes(6)
    udp = struct.pack(">HHHH", 1000, 53, 8, 0)
    header = ip.parse(fixed + hop_by_hop + udp)
    assert (header.proto, header.sport, header.dport) == ("udp", 1000, 53)
    assert (header.src, header.dst) == ("::1", "::2")
