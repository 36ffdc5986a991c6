"""The bounded store, and the filtered view that is kept up to date piece by piece."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tracetui.model.explain.explanation import PacketExplanation
from tracetui.model.filter.view_filter import ViewFilter
from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import Hop
from tracetui.model.trace.packet import Packet
from tracetui.session.state.store import PacketStore
from tracetui.session.view.filtered import FilteredView


def hop(dport: int = 80) -> Hop:
    header = Header(4, "tcp", "10.0.0.1", "10.0.0.2", sport=1, dport=dport)
    return Hop.of("legacy", "ip", "raw", "PREROUTING", "rule", header=header)


def begin(store: PacketStore, packet_id: int, dport: int = 80) -> Packet:
    packet = Packet(packet_id)
    grow(store, packet, dport)
    return packet


def grow(store: PacketStore, packet: Packet, dport: int = 80) -> None:
    packet.add(hop(dport), "PREROUTING")
    store.took(packet)


def test_the_oldest_go_first_and_are_counted():
    store = PacketStore(capacity=3)
    for number in range(1, 6):
        begin(store, number)
    assert [packet.id for packet in store] == [3, 4, 5]
    assert (store.hops, store.evicted, store.first_id) == (3, 2, 3)
    assert store.get(2) is None
    assert store.get(4).id == 4


def test_the_newest_packet_stays_however_long_it_is():
    store = PacketStore(capacity=2)
    packet = begin(store, 1)
    for _ in range(5):
        grow(store, packet)
    assert len(store) == 1


def test_a_hop_of_a_packet_that_is_gone_brings_nothing_back():
    store = PacketStore(capacity=1)
    first = begin(store, 1)
    begin(store, 2)
    grow(store, first)
    assert [packet.id for packet in store] == [2]
    assert store.hops == 1


def test_what_changed_is_told_once():
    store = PacketStore()
    packet = begin(store, 1)
    grow(store, packet)
    assert store.take_changed() == [packet]
    assert store.take_changed() == []


def test_a_packet_that_passes_only_after_nat_is_shown_then():
    store = PacketStore()
    view = FilteredView(store)
    view.set_filter(ViewFilter.parse(port="8080"))
    packet = begin(store, 1)
    view.refresh()
    assert view.rows == []
    grow(store, packet, dport=8080)
    assert view.refresh()
    assert view.rows == [packet]


def test_packets_of_one_way_are_told_apart_by_their_length():
    store = PacketStore()
    view = FilteredView(store)
    for number, length in enumerate((40, 60, 80), start=1):
        packet = Packet(number)
        header = Header(4, "tcp", "10.0.0.1", "10.0.0.2", sport=1, dport=2, length=length)
        packet.add(hop().with_(header=header), "PREROUTING")
        store.took(packet)
    assert len({packet.path for packet in store}) == 1
    view.set_filter(ViewFilter.parse(expression="less 60 and dst port 2"))
    assert [packet.id for packet in view.rows] == [1, 2]
    view.set_filter(ViewFilter.parse(expression="dst port 2"))
    assert [packet.id for packet in view.rows] == [1, 2, 3]
    view.set_filter(ViewFilter.parse(expression="not dst port 2"))
    assert view.rows == []


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["begin", "grow", "look", "filter"]), st.integers(0, 9)), max_size=60
)


@given(ACTIONS)
def test_the_view_is_what_filtering_everything_anew_gives(actions):
    store = PacketStore(capacity=8)
    view, chosen, known = FilteredView(store), ViewFilter(), []
    for action, number in actions:
        if action == "begin":
            known.append(begin(store, len(known) + 1, dport=number))
        elif action == "grow" and known:
            grow(store, known[-1 - number % len(known)], dport=number)
        elif action == "filter":
            chosen = ViewFilter.parse(port=str(number)) if number else ViewFilter()
            view.set_filter(chosen)
        view.refresh()
        assert view.rows == [packet for packet in store if chosen.matches(packet)]
        for row, packet in enumerate(view.rows):
            assert view.index_of(packet.id) == row


def test_a_new_filter_is_tried_on_the_newest_first_and_goes_on_piece_by_piece():
    store = PacketStore()
    for number in range(1, 301):
        begin(store, number, dport=number % 3)
    view, chosen = FilteredView(store), ViewFilter.parse(port="1")
    view.set_filter(chosen)
    view.set_filter(chosen)
    whole = list(view.rows)
    assert view.untried == 0
    view._rest, view._oldest_tried, view.rows = reversed(list(store)), 301, []
    rounds = 0
    while view.work(0.0):
        rounds += 1
        assert view.rows == whole[-len(view.rows) :]
        grow(store, next(iter(store)), dport=1)
        begin(store, 300 + rounds, dport=rounds % 3)
        view.refresh()
        whole = [packet for packet in store if packet.id > 1 and chosen.matches(packet)]
    assert rounds > 5
    assert view.rows == [packet for packet in store if chosen.matches(packet)]


def test_packets_that_go_while_a_filter_is_tried_are_not_shown():
    store = PacketStore(capacity=100)
    for number in range(1, 101):
        begin(store, number, dport=1)
    view, chosen = FilteredView(store), ViewFilter.parse(port="1")
    view.set_filter(chosen)
    view._rest, view._oldest_tried, view.rows = reversed(list(store)), 101, []
    view.work(0.0)
    for number in range(101, 151):
        begin(store, number, dport=1)
    while view.work(0.0):
        pass
    view.refresh()
    assert [packet.id for packet in view.rows] == list(range(51, 151))


def test_a_packet_of_which_more_becomes_known_is_asked_about_again():
    store, explanations = PacketStore(), Known()
    view = FilteredView(store, explanations)
    view.set_filter(ViewFilter.parse(expression="verdict drop"))
    packet = begin(store, 1)
    view.refresh()
    assert view.rows == []
    explanations.learn("drop")
    assert view.refresh()
    assert view.rows == [packet]
    explanations.learn("accept")
    assert view.refresh()
    assert view.rows == []


class Known:
    """Explanations of which the test says what they are."""

    def __init__(self):
        self.version, self.verdict = 0, "unknown"

    def learn(self, verdict):
        self.version, self.verdict = self.version + 1, verdict

    def of(self, packet):
        return PacketExplanation((), (), self.verdict, None, "", False)
