"""However hops arrive each is in one packet, and what the assembler remembers has its bounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz import damage
from tests.fuzz.hops import STREAMS, arrivals
from tests.recorded import put

from tracetui.model.trace.assembler import ALIKE_PACKETS, TRACE_IDS, Assembler
from tracetui.model.trace.batch import batches_of
from tracetui.model.trace.hook_hops import by_hook
from tracetui.model.trace.hop import Hop, PacketState
from tracetui.model.trace.packet import Packet
from tracetui.session.state.store import PacketStore


def assembled(assembler: Assembler, hops: Iterable[Hop]) -> list[Packet]:
    """The packets in the order they began; their ids grow by one."""
    packets: dict[int, Packet] = {}
    for hop in hops:
        expected = assembler.next_id
        packet = put(assembler, hop)
        assert packet.id == expected or packets[packet.id] is packet
        packets[packet.id] = packet
    assert list(packets) == list(range(1, len(packets) + 1))
    return list(packets.values())


def check_memory(assembler: Assembler, limit: int) -> None:
    """Fail for more than the open packets, and a few names of each, remembered."""
    opened = assembler._open
    assert len(opened) <= limit
    known = [one for alike in assembler._by_identity.values() for one in alike.values()]
    assert {id(one) for one in known} <= {id(one) for one in opened.values()}
    assert len(known) == sum(one.header is not None for one in opened.values())
    assert all(0 < len(alike) <= ALIKE_PACKETS for alike in assembler._by_identity.values())
    assert all(len(one.trace_ids) <= TRACE_IDS for one in opened.values())
    for trace_id, one in assembler._by_trace_id.items():
        assert opened[one.packet.id] is one
        assert trace_id in one.trace_ids


@damage.few(150)
@given(arrivals(), st.sampled_from((1, 2, 8, 64)))
def test_every_hop_is_in_one_packet_and_once(hops, limit):
    assembler = Assembler(limit)
    packets = assembled(assembler, hops)
    inside = Counter(hop for packet in packets for hop in packet.hops)
    assert inside == Counter(hops)
    check_memory(assembler, limit)
    for packet in packets:
        assert packet.verdict in ("accept", "drop", "reject", "unknown")
        grouped = [hop for at in by_hook(packet) for table in at.tables for _, hop in table.hops]
        assert grouped == packet.hops
        assert len(packet.stamps()) == len(packet.changed_at_each()) == len(packet.hops)
        assert all(us is None or us >= 0 for us in packet.stamps())


@damage.few(150)
@given(arrivals(), st.sampled_from((1, 8, 64)))
def test_together_they_come_to_what_each_alone_comes_to(hops, limit):
    states: dict[PacketState, PacketState] = {}
    shared = [hop._replace(state=states.setdefault(hop.state, hop.state)) for hop in hops]
    packets: dict[int, Packet] = {}
    counted: Counter[int] = Counter()

    def took(packet: Packet, count: int) -> None:
        packets[packet.id] = packet
        counted[packet.id] += count

    Assembler(limit).take(batches_of(shared), took)
    expected = assembled(Assembler(limit), shared)
    assert [state(packet) for packet in packets.values()] == [state(one) for one in expected]
    assert counted == {packet.id: len(packet.hops) for packet in expected}
    for packet in expected:
        packet.pack()
    assert [packet.path for packet in packets.values()] == [packet.path for packet in expected]


def state(packet: Packet) -> tuple[object, ...]:
    """All there is to know of a packet: as it grew, then as it is with its hops at hand."""
    grown = packet.id, packet.length, packet.header, packet.iif, packet.oif, packet.ambiguous
    return (*grown, packet.hops, packet.hooks, packet.header, packet.iif, packet.oif)


@damage.few(100)
@given(arrivals(), st.integers(1, 200), st.integers(1, 64))
def test_the_store_keeps_its_capacity_and_counts_what_it_let_go(hops, capacity, limit):
    assembler, store = Assembler(limit), PacketStore(capacity)
    packets: dict[int, Packet] = {}
    for hop in hops:
        packet = put(assembler, hop)
        packets[packet.id] = packet
        store.took(packet)
        newest = list(store)[-1:]
        assert store.hops <= max(capacity, *(len(one.hops) for one in newest))
    kept = {packet.id for packet in store}
    assert store.hops == sum(len(packet.hops) for packet in store)
    assert store.evicted + len(store) == len(packets)
    gone = sum(len(packet.hops) for packet in packets.values() if packet.id not in kept)
    assert store.hops + gone == len(hops)
    assert {packet.id for packet in store.take_changed()} <= kept


def test_whole_recordings_one_after_the_other_leave_no_more_than_open_packets():
    assembler = Assembler(100)
    hops = [hop for stream in STREAMS for hop in stream]
    packets = assembled(assembler, hops)
    assert sum(len(packet.hops) for packet in packets) == len(hops)
    check_memory(assembler, 100)
