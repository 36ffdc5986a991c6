"""Batches hold hops in their order, and end where another packet may begin."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz.hops import arrivals
from tests.recorded import put

from tracetui.model.trace.assembler import Assembler
from tracetui.model.trace.batch import LONGEST_BATCH, batches_of
from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import Hop
from tracetui.model.trace.packet import MOST_HOPS, Packet

ONE = Header(4, "udp", "10.0.0.1", "10.0.0.2", 1024, 53, 60, 7, 64)
TURNED = ONE._replace(dst="10.0.0.3", ttl=63)
OTHER = ONE._replace(ip_id=8)


def hop(table: str, chain: str = "PREROUTING", **fields) -> Hop:
    return Hop.of("legacy", "ip", table, chain, "rule", rulenum=1, hook=chain, **fields)


def event(table: str, trace_id: int, handle: int = 1, **fields) -> Hop:
    at = {"handle": handle, "verdict": "continue", "hook": "PREROUTING"}
    return Hop.of("nft", "ip", table, "PREROUTING", "rule", trace_id=trace_id, **at, **fields)


def sizes(hops: list[Hop]) -> list[int]:
    return [len(batch.points) for batch in batches_of(hops)]


@given(arrivals(), st.data())
def test_what_is_left_behind_some_hops_are_the_others(hops, data):
    found = list(batches_of(hops))
    assert [one for batch in found for one in batch.hops] == hops
    for batch in found:
        assert all(count > 0 for count in batch.counts)
        if len(batch.points) > 1:
            cut = data.draw(st.integers(1, len(batch.points) - 1))
            assert batch.after(cut).hops == batch.hops[cut:]
        assert batch.head().hops == batch.hops[:1]


def test_a_packet_that_was_turned_is_in_one_batch():
    path = [hop("raw", header=ONE), hop("nat", header=ONE), hop("mangle", "FORWARD", header=TURNED)]
    assert sizes(path) == [3]


@pytest.mark.parametrize(
    "second",
    [
        hop("mangle", header=OTHER),
        hop("mangle"),
        event("mangle", 5, header=ONE),
        Hop.of("nft", "ip", "mangle", "PREROUTING", "rule", handle=2, header=ONE),
    ],
    ids=["another IP id", "no header", "a trace id", "another backend"],
)
def test_what_can_be_another_packets_is_in_another_batch(second):
    assert sizes([hop("raw", header=ONE), second]) == [1, 1]


def test_the_next_packet_that_looks_the_same_begins_another_batch():
    path = [hop("raw", header=ONE), hop("mangle", header=ONE)]
    assert sizes(path * 3) == [2, 2, 2]
    assert sizes(path[1:] + path * 2) == [1, 2, 2]


def test_events_of_one_trace_id_are_in_one_batch():
    assert sizes([event("raw", 5, header=ONE), event("raw", 5, 2), event("raw", 6)]) == [2, 1]


def test_no_run_is_longer_than_what_is_looked_up_by_it_should_be():
    loop = [event("raw", 5, handle) for handle in range(1, 3 * LONGEST_BATCH)]
    assert max(sizes(loop)) <= LONGEST_BATCH
    assert sum(sizes(loop)) == len(loop)


def test_a_thousand_hops_that_look_alike_are_several_batches():
    """Lines that are all alike behind their places, as no kernel prints so many of."""
    hops = [hop("a", header=ONE, time=1.0).with_(rulenum=number) for number in range(1, 1201)]
    found = list(batches_of(hops))
    assert max(len(batch.points) for batch in found) < 2 * LONGEST_BATCH
    assert [one for batch in found for one in batch.hops] == hops
    assert [len(each) for each in together(hops)] == [MOST_HOPS, 1200 - MOST_HOPS]


def together(hops: list[Hop]) -> list[list[Hop]]:
    packets: dict[int, Packet] = {}
    Assembler().take(batches_of(hops), lambda packet, _: packets.setdefault(packet.id, packet))
    return [packet.hops for packet in packets.values()]


def one_by_one(hops: list[Hop]) -> list[list[Hop]]:
    assembler = Assembler()
    packets = {packet.id: packet for packet in (put(assembler, hop) for hop in hops)}
    return [packet.hops for packet in packets.values()]


FORWARDED = hop("mangle", "FORWARD", header=ONE, iif="eth0")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ([event("raw", 5, header=ONE), event("nat", 5), event("filter", 5, header=OTHER)], [2, 1]),
        ([event("raw", 5, header=ONE), event("nat", 5, header=TURNED)], [2]),
        ([event("raw", 5, header=ONE), event("mangle", 5, header=TURNED)], [1, 1]),
        (
            [event("raw", 5, header=ONE, iif="eth0"), event("nat", 5, header=ONE, iif="eth1")],
            [1, 1],
        ),
        ([FORWARDED, FORWARDED.with_(table="filter", iif="eth1")], [1, 1]),
        ([FORWARDED, FORWARDED.with_(table="filter", header=TURNED)], [1, 1]),
        ([hop("raw", header=ONE), FORWARDED, FORWARDED], [2, 1]),
        (
            [
                event("raw", 5, header=ONE, time=1000.0),
                event("raw", 6, time=1000.0),
                event("mangle", 5, header=ONE),
                event("nat", 5, header=ONE, time=994.0),
            ],
            [2, 1, 1],
        ),
    ],
    ids=[
        "a trace id is another packet's now", "turned in nat", "turned where nothing turns",
        "from another device", "the same without an id", "turned in FORWARD", "there twice",
        "too late, behind one without a time",
    ],
)  # fmt: skip
def test_only_hops_of_one_packet_are_put_together(path, expected):
    assert [len(hops) for hops in together(path)] == expected
    assert together(path) == one_by_one(path)
