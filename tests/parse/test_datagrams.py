"""What is remembered of datagrams changes nothing: the same hops come out as without."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.recorded import datagrams

from tracetui.parse.netlink import nflog, nftrace
from tracetui.parse.netlink.datagrams import BYTES_KEPT, attributes_at
from tracetui.parse.netlink.nflog_datagrams import NflogDatagrams
from tracetui.parse.netlink.nftrace_datagrams import NftraceDatagrams

LINKS = {number: f"if{number}" for number in range(50)}
SOURCES = {
    "2cpu-interleaved-nflog.bin.gz": (nflog.parse, NflogDatagrams),
    "scenario-legacy-nflog.bin.gz": (nflog.parse, NflogDatagrams),
    "2cpu-interleaved-nftrace.bin.gz": (nftrace.parse, NftraceDatagrams),
    "scenario-nft.bin.gz": (nftrace.parse, NftraceDatagrams),
}
FEW = {name: list(datagrams(name))[:300] for name in SOURCES}


def remembering(name, links=LINKS):
    made = SOURCES[name][1]()
    made.set_links(links)
    return made


@pytest.mark.parametrize("name", SOURCES)
def test_every_recorded_datagram_is_the_same_hop(name):
    parse, reader = SOURCES[name][0], remembering(name)
    for number, one in enumerate(datagrams(name)):
        assert reader.hop(one, float(number + 1)) == parse(one, LINKS, float(number + 1))


@pytest.mark.parametrize("name", SOURCES)
@given(data=st.data())
def test_one_with_other_values_is_what_it_is_without_memory(name, data):
    """Of what the kernel builds only values differ: the order of the attributes is its code's."""
    parse, reader = SOURCES[name][0], remembering(name)
    for one in FEW[name]:
        reader.hop(one, 1.0)
    for _ in range(3):
        changed = bytearray(data.draw(st.sampled_from(FEW[name])))
        kind, at = data.draw(st.sampled_from(attributes_at(bytes(changed))))
        size = changed[at] | changed[at + 1] << 8
        for _ in range(data.draw(st.integers(1, 4))):
            if size > 4:
                changed[data.draw(st.integers(at + 4, at + size - 1))] = data.draw(
                    st.integers(0, 255)
                )
        assert reader.hop(bytes(changed), 2.0) == parse(bytes(changed), LINKS, 2.0), kind


@pytest.mark.parametrize("name", SOURCES)
def test_one_with_other_bytes_anywhere_is_what_it_is_without_memory(name):
    """Also where the bytes tell how to read: sizes and kinds of attributes, the message's own."""
    parse = SOURCES[name][0]
    reader, random = remembering(name), Random(1)  # noqa: S311
    for one in FEW[name]:
        reader.hop(one, 1.0)
    for _ in range(20_000):
        changed = bytearray(random.choice(FEW[name]))
        for _ in range(random.choice((1, 1, 2))):
            at = random.randrange(len(changed))
            value = changed[at]
            changed[at] = random.choice((0, 255, value ^ 1, (value + 4) & 255, value ^ 4))
        longer = bytes(changed) + bytes(random.choice((0, 0, 0, 4)))
        assert reader.hop(longer, 2.0) == parse(longer, LINKS, 2.0), longer.hex()


@pytest.mark.parametrize("name", SOURCES)
@given(data=st.data())
def test_one_that_is_damaged_raises_nothing_and_one_that_is_cut_is_none(name, data):
    reader = remembering(name)
    for one in FEW[name]:
        reader.hop(one, 1.0)
    whole = data.draw(st.sampled_from(FEW[name]))
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    reader.hop(bytes(damaged), 2.0)
    assert reader.hop(whole[: data.draw(st.integers(0, len(whole) - 1))], 2.0) is None


@pytest.mark.parametrize("name", SOURCES)
def test_names_and_readings_hold_for_what_comes_after_them(name):
    reader = remembering(name)
    (hop, *_) = (hop for one in FEW[name] if (hop := reader.hop(one, 1.0)) and hop.iif)
    assert hop.iif.startswith("if")
    assert hop.interval is None
    reader.set_links(dict.fromkeys(LINKS, "renamed"))
    reader.set_interval((3, 4))
    hops = [reader.hop(one, 1.0) for one in FEW[name]]
    assert {hop.interval for hop in hops} == {(3, 4)}
    assert {hop.iif for hop in hops} <= {"renamed", None}
    assert "renamed" in {hop.iif for hop in hops}
    again = [reader.hop(one, 1.0) for one in FEW[name]]
    assert again == hops


def test_what_never_comes_again_is_forgotten():
    reader = remembering("2cpu-interleaved-nflog.bin.gz")
    whole = FEW["2cpu-interleaved-nflog.bin.gz"][0]
    at = dict(attributes_at(whole))[9]
    for number in range(2 * BYTES_KEPT):
        one = bytearray(whole)
        one[at + 8 : at + 10] = number.to_bytes(2, "big")
        assert reader.hop(bytes(one), 1.0).header.ip_id == number
    assert len(reader._states) <= BYTES_KEPT


@pytest.mark.parametrize("name", [name for name in SOURCES if name.startswith("2cpu")])
def test_what_is_the_same_is_there_once(name):
    """An nft packet has two looks at a hook: its events in base chains show the header."""
    reader = remembering(name)
    hops = [reader.hop(one, 1.0) for one in datagrams(name)]
    states, values = {id(hop.state) for hop in hops}, {hop.state for hop in hops}
    assert len(states) < 1.5 * len(values)


@pytest.mark.parametrize("head", [b"\0\0", b"\xff\0", b"\x08\0\x08\0"])
def test_what_stands_behind_the_headers_is_looked_at_too(head):
    """The connection, which newer kernels tell: broken, or a header once more."""
    name = "scenario-nft.bin.gz"
    parse, reader = SOURCES[name][0], remembering(name)
    connection, network = 21, 8
    for one in FEW[name]:
        reader.hop(one, 1.0)
    seen = [one for one in FEW[name] if {connection, network} <= dict(attributes_at(one)).keys()]
    assert seen
    for one in seen:
        at = dict(attributes_at(one))[connection]
        changed = one[:at] + head + one[at + len(head) :]
        assert reader.hop(changed, 2.0) == parse(changed, LINKS, 2.0)


def test_one_shorter_than_the_tails_that_are_known_is_read_too():
    parse, reader = nftrace.parse, NftraceDatagrams()
    for number, text in enumerate(SHORT):
        one = bytes.fromhex(text)
        assert reader.hop(one, float(number)) == parse(one, {}, float(number))


SHORT = (
    "4c000000110a000000000000000000000200000008000f000000000208000400000000010800060063a781fb"
    "0f000200505245524f5554494e47000008000100726177000800080000080001",
    "ac000000110a000000000000000000000500000008000f000000000208000400000000020800060000000003"
    "060002006300000006000100740000000c000500080001000000000108000a000000000106000b00020000"
    "002c0008006000000000283c400000000000000000000000000000000200000000000000000000000000000002"
    "17000900010050000800505080000001500100500008010010000700020000000001020000000002",
    "4c000000110a000000000000000000000200000008000f0000000002080004000000000108000600a6844cf8"
    "0f000200505245524f5554494e47000008000100726177000800100000000001",
)
"""The second has as many bytes behind its place as the others have in all, and 24 more."""
