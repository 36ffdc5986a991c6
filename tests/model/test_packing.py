"""A packet that was packed is what it was."""

from __future__ import annotations

import gc
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.recorded import datagrams, hops_of, put

from tracetui.model.trace import packet as packets
from tracetui.model.trace.assembler import Assembler
from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import Hop
from tracetui.model.trace.packet import COLUMNS_KEPT, Packet
from tracetui.model.trace.trace_point import HOOKS
from tracetui.parse.headers import ip
from tracetui.parse.netlink import nflog, nftrace

HEADERS = st.none() | st.builds(
    Header,
    family=st.sampled_from((4, 6)),
    proto=st.none() | st.just("tcp"),
    src=st.none() | st.sampled_from(("10.0.0.1", "::1")),
    dst=st.none() | st.sampled_from(("10.0.0.2", "::2")),
    sport=st.none() | st.integers(0, 65535),
    dport=st.none() | st.integers(0, 65535),
    length=st.none() | st.integers(0, 1 << 70),
    ip_id=st.none() | st.integers(0, 65535),
    ttl=st.none() | st.integers(0, 255),
    flags=st.none() | st.just("ACK PSH"),
    tcp_seq=st.none() | st.integers(0, 1 << 32),
    icmp_seq=st.none() | st.integers(0, 65535),
    fragment=st.none() | st.integers(1, 65535),
    spi=st.none() | st.integers(0, 1 << 32),
    raw=st.none() | st.binary(max_size=60),
)
HOPS = st.builds(
    Hop.of,
    backend=st.sampled_from(("legacy", "nft")),
    family=st.sampled_from(("ip", "ip6")),
    table=st.sampled_from(("raw", "nat")),
    chain=st.sampled_from((*HOOKS, "\udcff", "KUBE")),
    type=st.sampled_from(("rule", "policy")),
    rulenum=st.none() | st.integers(1, 9),
    handle=st.none() | st.integers(1, 9),
    verdict=st.none() | st.just("accept"),
    iif=st.none() | st.just("eth0"),
    oif=st.none() | st.just("eth1"),
    mark=st.none() | st.integers(0, 9),
    mac=st.none() | st.just("a > b"),
    time=st.none() | st.floats(0, 2e9) | st.integers(0, 5).map(float),
    trace_id=st.none() | st.integers(0, 1 << 32),
    interval=st.none() | st.tuples(st.integers(0, 3), st.integers(1, 4)),
    header=HEADERS,
)


def state(packet: Packet) -> tuple:
    return (
        list(packet.hops),
        list(packet.hooks),
        packet.header,
        packet.iif,
        packet.oif,
        packet.stamps(),
        packet.changed_at_each(),
        packet.verdict,
        packet.path,
    )


def filled(hops, hooks) -> Packet:
    made = Packet(1)
    for hop, hook in zip(hops, hooks):
        made.add(hop, hook)
    return made


@given(
    st.lists(HOPS, min_size=1, max_size=12),
    st.lists(st.none() | st.sampled_from(HOOKS), min_size=13, max_size=13),
    HOPS,
)
def test_nothing_of_it_changes(hops, hooks, later):
    packed, plain = filled(hops, hooks), filled(hops, hooks)
    before = state(plain)
    packed.pack()
    assert packed.path is plain.path
    assert state(packed) == before
    packed.pack()
    packed.pack()
    assert state(packed) == before
    packed.pack()
    for one in (packed, plain):
        one.add(later, hooks[-1])
    assert state(packed) == state(plain) != before
    packed.pack()
    assert state(packed) == state(plain)


def test_it_becomes_another_one_though_both_are_packed():
    one, other = (filled(hops_of(SEED[:n]), [None] * n) for n in (3, 5))
    expected = state(other)
    one.pack()
    other.pack()
    assert one.replace(other) == 2
    assert state(one) == expected
    one.pack()
    assert state(one) == expected


SEED = [
    f"[  1.00000{n}] TRACE: raw:PREROUTING:rule:{n} IN=eth0 OUT= SRC=10.0.0.1 DST=10.0.0.2 LEN=40 "
    f"TOS=0x00 PREC=0x00 TTL=64 ID={n} PROTO=UDP SPT=1 DPT=2 LEN=20"
    for n in range(1, 9)
]


def test_hops_given_other_readings_are_kept_with_them():
    packet = filled(hops_of(SEED), [None] * len(SEED))
    packet.pack()
    packet.place_in(lambda hop: hop.with_(interval=(7, 8)))
    packet.pack()
    assert {hop.interval for hop in packet.hops} == {(7, 8)}


def test_few_are_at_hand():
    made = [filled(hops_of(SEED[:2]), [None, None]) for _ in range(2 * COLUMNS_KEPT)]
    for packet in made:
        packet.pack()
    for packet in made:
        assert len(packet.hops) == 2
    assert len(packets._kept_at_hand) == COLUMNS_KEPT
    at_hand = [packet._columns is not None for packet in made]
    assert at_hand == [False] * COLUMNS_KEPT + [True] * COLUMNS_KEPT


def test_one_that_is_asked_again_and_again_is_at_hand_once():
    """It was counted anew each time it was packed, and at last went for itself, hops and all."""
    packet = filled(hops_of(SEED), [None] * len(SEED))
    for _ in range(COLUMNS_KEPT + 2):
        packet.pack()
        assert len(packet.hops) == len(SEED)
    packet.pack()
    packet.add(hops_of(SEED)[0], None)
    assert len(packet.hops) == len(SEED) + 1
    assert list(packets._kept_at_hand).count(packet) == 1


@pytest.mark.parametrize(
    ("parse", "name"),
    [
        (nflog.parse, "2cpu-interleaved-nflog.bin.gz"),
        (nftrace.parse, "2cpu-interleaved-nftrace.bin.gz"),
    ],
)
def test_a_hop_takes_less_than_200_bytes_with_what_the_kernel_sent(parse, name):
    data = list(datagrams(name))
    gc.collect()
    tracemalloc.start()
    try:
        kept = packed(parse, data)
        ip.parse.cache_clear()
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(len(packet.hops) for packet in kept) == len(data)
    assert size / len(data) < 200


def packed(parse, data) -> list[Packet]:
    assembler, kept = Assembler(), {}
    for at, one in enumerate(data):
        packet = put(assembler, parse(one, {}, 1.7e9 + at / 1e5))
        kept[packet.id] = packet
    for packet in kept.values():
        packet.pack()
    return list(kept.values())
