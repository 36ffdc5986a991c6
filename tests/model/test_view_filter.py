"""Which packets a filter lets through, on both sides of NAT."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracetui.model.filter.view_filter import FIELDS, InvalidFilter, ViewFilter
from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import Hop
from tracetui.model.trace.packet import Packet


def packet(*ends: tuple[str, int, str, int], proto: str = "tcp") -> Packet:
    """A packet seen with these source and destination ends, one hop each."""
    made = Packet(1)
    for src, sport, dst, dport in ends:
        family = 6 if ":" in src else 4
        header = Header(family, proto, src, dst, sport=sport, dport=dport)
        made.add(Hop.of("legacy", "ip", "raw", "PREROUTING", "rule", header=header), "PREROUTING")
    return made


NATTED = packet(
    ("10.1.0.9", 4000, "10.96.0.10", 53), ("10.1.0.9", 4000, "10.2.0.7", 5353), proto="udp"
)
IPV6 = packet(("fd00:c1::2", 5, "fd00:96::80", 80))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"src": "10.1.0.9"},
        {"src": "10.1"},
        {"src": "10.1."},
        {"src": "10.1.0.0/16"},
        {"dst": "10.96.0.10"},
        {"dst": "10.2.0.7"},
        {"port": "53"},
        {"port": "5353"},
        {"port": "4000"},
        {"port": "50-60"},
        {"proto": "UDP"},
        {"proto": "17"},
        {"src": "10.1", "dst": "10.2", "port": "5353", "proto": "udp"},
    ],
)
def test_what_the_packet_was_anywhere_on_its_way_passes(fields):
    assert ViewFilter.parse(**fields).matches(NATTED)


@pytest.mark.parametrize(
    "fields",
    [
        {"src": "10.2.0.7"},
        {"src": "10.10"},
        {"dst": "10.1.0.9"},
        {"port": "80"},
        {"proto": "tcp"},
        {"dst": "10.96.0.10", "port": "5353"},
        {"src": "fd00::/16"},
    ],
)
def test_what_it_never_was_does_not(fields):
    assert not ViewFilter.parse(**fields).matches(NATTED)


def test_ipv6_by_prefix_length_or_beginning():
    for typed in ("fd00:c1::2", "fd00:c1::/64", "fd00:c1"):
        assert ViewFilter.parse(src=typed).matches(IPV6), typed
    assert not ViewFilter.parse(src="fd00:96").matches(IPV6)


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("src", "10.0.0.300"),
        ("src", "web"),
        ("dst", "10.0.0.0/33"),
        ("port", "x"),
        ("port", "65536"),
        ("port", "90-80"),
        ("proto", "256"),
        ("proto", "t/p"),
    ],
)
def test_what_cannot_be_meant_names_its_field(field, typed):
    with pytest.raises(InvalidFilter) as caught:
        ViewFilter.parse(**{field: typed})
    assert caught.value.field == field
    assert caught.value.reason


@given(st.dictionaries(st.sampled_from(FIELDS), st.text()))
def test_whatever_is_typed_is_a_filter_or_invalid(typed):
    try:
        made = ViewFilter.parse(**typed)
    except InvalidFilter:
        return
    made.matches(NATTED)
    made.matches(IPV6)
