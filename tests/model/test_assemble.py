"""Hops become packets: by what no rule changes on the way, never by time alone."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.recorded import SEED_HOPS, assembled, datagrams, hops_of, lines, points, put, sections

from tracetui.model.trace.assembler import ALIKE_PACKETS, OPEN_PACKETS, TRACE_IDS, Assembler
from tracetui.model.trace.header import Header
from tracetui.model.trace.hook_hops import by_hook
from tracetui.model.trace.hop import Hop, PacketState
from tracetui.model.trace.packet import MOST_HOPS
from tracetui.model.trace.trace_point import HOOKS
from tracetui.parse.netlink import nflog, nftrace

SEED = hops_of(lines("seed-eks-forward.log"))
TRAVERSALS = sections("traversals-6.18.txt")


def traversal(title: str):
    return assembled(hops_of(TRAVERSALS[title]))


def test_the_seed_is_six_packets():
    packets = assembled(SEED)
    assert [len(packet.hops) for packet in packets] == SEED_HOPS
    assert [packet.header.ip_id for packet in packets] == list(range(26039, 26045))


@pytest.mark.parametrize(("parse", "name"), [(nflog.parse, "nflog"), (nftrace.parse, "nftrace")])
def test_packets_of_two_cpus_are_told_apart(parse, name):
    """800 packets, whose events interleave; each went through the same rules."""
    hops: list[Hop] = []
    received = 0.0
    for one in datagrams(f"2cpu-interleaved-{name}.bin.gz"):
        # The kernel stamps only some hooks; the others count from when they were received.
        hops.append(parse(one, {}, received))
        received = hops[-1].time
    packets = assembled(hops)
    assert len(packets) == 800
    assert sum(len(packet.hops) for packet in packets) == len(hops)
    assert {packet.hops[0].table for packet in packets} == {"raw"}


def test_nat_both_ways_is_one_packet_and_is_told():
    echo, *_ = traversal("DNAT+MASQUERADE+MARK+LOG, 2 echoes")
    assert echo.nat is not None
    assert "dst" in echo.nat
    hooks = [group.hook for group in by_hook(echo)]
    assert hooks == ["PREROUTING", "FORWARD", "POSTROUTING"]


def test_a_forwarded_packet_keeps_its_hops_when_the_ttl_falls():
    request, answer = traversal("forward icmp, new connection")
    assert len(request.hops) == len(answer.hops) == 6
    assert request.changed(2)["ttl"] == 63


def test_a_syn_to_which_tcpmss_adds_its_option_is_one_packet():
    syn = header()._replace(proto="tcp", flags="SYN", length=40)
    longer = syn._replace(length=44, ttl=63)
    hops = [hop("raw", "PREROUTING", syn, 1.0), hop("mangle", "FORWARD", longer, 1.0)]
    (packet,) = assembled(hops)
    assert len(packet.hops) == 2
    answer = [one.with_(header=one.header._replace(flags="ACK")) for one in hops]
    assert len(assembled(answer)) == 2


def test_loopback_is_two_traversals():
    packets = traversal("loopback ping")
    starts = [packet.hops[0].chain for packet in packets]
    assert starts.count("OUTPUT") == starts.count("PREROUTING") > 0


def test_a_dropped_packet_ends_where_it_was_dropped():
    for packet in traversal("policy DROP in FORWARD"):
        assert packet.hops[-1].chain == "FORWARD"
        assert packet.verdict == "unknown"


def header(ip_id: int = 7, dst: str = "10.0.0.2", ttl: int = 64, seq: int = 1) -> Header:
    return Header(
        family=4, proto="udp", src="10.0.0.1", dst=dst, sport=1, dport=53, length=60,
        ip_id=ip_id, ttl=ttl, tcp_seq=seq,
    )  # fmt: skip


def hop(table: str, chain: str, head: Header, time: float = 0.0, **more) -> Hop:
    known = {"rulenum": 1, "hook": chain, "header": head, "time": time}
    return Hop.of("legacy", "ip", table, chain, "policy", **{**known, **more})


def test_the_same_header_at_the_start_again_is_another_packet():
    """IP ID 0, or a retransmission: raw PREROUTING is passed once."""
    path = [hop("raw", "PREROUTING", header(0)), hop("mangle", "PREROUTING", header(0))]
    assert [len(packet.hops) for packet in assembled(path + path)] == [2, 2]


def test_a_packet_gets_no_hop_after_a_long_silence():
    first = hop("raw", "PREROUTING", header(), 100.0)
    late = hop("mangle", "PREROUTING", header(), 106.0)
    assert len(assembled([first, late])) == 2
    assert len(assembled([first, late._replace(time=100.4)])) == 1


def test_another_destination_before_nat_is_another_packet():
    one = hop("raw", "PREROUTING", header())
    other = hop("mangle", "PREROUTING", header(dst="10.0.0.3"))
    assert len(assembled([one, other])) == 2
    after = hop("mangle", "FORWARD", header(dst="10.0.0.3", ttl=63))
    assert len(assembled([one, hop("nat", "PREROUTING", header()), after])) == 1


def test_hops_of_both_backends_are_one_packet_in_path_order():
    legacy = [hop("filter", "FORWARD", header(ttl=63), 1.1)]
    nft = [
        Hop.of("nft", "ip", "raw", "PREROUTING", "policy", hook="PREROUTING", trace_id=9, time=1.0,
            header=header()),
        Hop.of("nft", "ip", "nat", "POSTROUTING", "policy", hook="POSTROUTING", trace_id=9, time=1.2,
            header=header(ttl=63)),
    ]  # fmt: skip
    for order in (nft + legacy, legacy + nft, [nft[0], *legacy, nft[1]]):
        (packet,) = assembled(order)
        assert [one.table for one in packet.hops] == ["raw", "filter", "nat"]


def test_a_trace_id_that_comes_again_is_another_packet():
    def path(seq):
        return [
            Hop.of("nft", "ip", "raw", "PREROUTING", kind, hook="PREROUTING", trace_id=5,
                header=header(seq=seq) if kind == "rule" else None)
            for kind in ("rule", "policy")
        ]  # fmt: skip

    assert [len(packet.hops) for packet in assembled(path(1) + path(2))] == [2, 2]


ANY_HOP = st.builds(
    Hop.of,
    backend=st.sampled_from(["legacy", "nft"]),
    family=st.sampled_from(["ip", "ip6", "inet"]),
    table=st.sampled_from(["raw", "mangle", "nat", "filter", "security", "mine"]),
    chain=st.sampled_from([*HOOKS, "KUBE-SERVICES"]),
    type=st.sampled_from(["rule", "return", "policy"]),
    rulenum=st.integers(1, 3),
    hook=st.none() | st.sampled_from(HOOKS),
    iif=st.none() | st.just("eth0"),
    trace_id=st.none() | st.integers(1, 3),
    time=st.none() | st.floats(0, 20),
    header=st.none() | st.builds(header, st.integers(0, 2), st.sampled_from(["10.0.0.2", "::1"])),
)


@given(st.lists(ANY_HOP, max_size=40))
def test_whatever_comes_every_hop_is_in_exactly_one_packet(hops):
    packets = assembled(hops)
    assert Counter(hop for packet in packets for hop in packet.hops) == Counter(hops)
    for packet in packets:
        assert packet.verdict in ("accept", "drop", "reject", "unknown")
        assert sum(len(t.hops) for g in by_hook(packet) for t in g.tables) == len(packet.hops)


LIKELY_HOP = st.builds(
    Hop.of,
    backend=st.just("legacy"),
    family=st.just("ip"),
    table=st.sampled_from(["raw", "mangle", "nat", "filter"]),
    chain=st.sampled_from(["PREROUTING", "FORWARD", "KUBE-SERVICES"]),
    type=st.sampled_from(["rule", "policy"]),
    rulenum=st.integers(1, 3),
    hook=st.sampled_from(["PREROUTING", "FORWARD"]),
    iif=st.just("eth0"),
    time=st.sampled_from([1.0, 1.5, 9.0]),
    header=st.none() | st.builds(header, st.sampled_from([0, 1]), st.just("10.0.0.2")),
)


def apart(hop: Hop) -> Hop:
    """The same, with a look of its own: the fast way is for looks that are one object."""
    own = None if hop.header is None else Header(*hop.header)
    return Hop(hop.point, PacketState(*hop.state)._replace(header=own), hop.time)


@given(st.lists(ANY_HOP | LIKELY_HOP, max_size=30) | st.lists(LIKELY_HOP, max_size=30))
def test_hops_that_share_their_look_go_where_they_go_without(hops):
    states: dict[PacketState, PacketState] = {}
    shared = [Hop(one.point, states.setdefault(one.state, one.state), one.time) for one in hops]
    together, separate = assembled(shared), assembled([apart(one) for one in hops])
    assert [(list(p.hops), p.ambiguous) for p in together] == [
        (list(p.hops), p.ambiguous) for p in separate
    ]


@given(st.permutations(range(6)))
def test_in_whatever_order_packets_mix_each_keeps_its_own(order):
    """Six packets with hops of their own order, merged in any way."""
    whole = assembled(SEED)
    rest = {number: list(whole[number].hops) for number in order}
    mixed = []
    while any(rest.values()):
        mixed += [rest[number].pop(0) for number in order if rest[number]]
    mended = {packet.header.ip_id: points(packet) for packet in assembled(mixed)}
    assert mended == {packet.header.ip_id: points(packet) for packet in whole}


def test_a_user_chain_may_bear_the_name_of_a_hook_that_its_table_is_not_at():
    lines = [
        "TRACE: raw:PREROUTING:rule:2 IN=eth0 OUT= SRC=10.0.0.1 DST=10.0.0.2 LEN=60 ID=9 PROTO=UDP SPT=1 DPT=2",
        "TRACE: raw:FORWARD:return:1 IN=eth0 OUT= SRC=10.0.0.1 DST=10.0.0.2 LEN=60 ID=9 PROTO=UDP SPT=1 DPT=2",
        "TRACE: raw:PREROUTING:policy:3 IN=eth0 OUT= SRC=10.0.0.1 DST=10.0.0.2 LEN=60 ID=9 PROTO=UDP SPT=1 DPT=2",
    ]
    (packet,) = assembled(hops_of(lines))
    assert [packet.hook_of(at) for at in range(3)] == ["PREROUTING"] * 3


def test_two_hops_that_come_again_and_again_are_no_endless_packet():
    pair = [hop("nat", f"LOOP-{name}", header(), hook="PREROUTING") for name in "AB"]
    packets = assembled(pair[number % 2]._replace() for number in range(100_000))
    assert {len(packet.hops) for packet in packets[:-1]} == {MOST_HOPS}
    assert sum(len(packet.hops) for packet in packets) == 100_000


def test_an_event_without_a_header_is_no_part_of_a_packet_that_is_full():
    first = Hop.of("nft", "inet", "t", "c", "rule", trace_id=1, header=header())
    packets = assembled([first, *(first.with_(header=None) for _ in range(MOST_HOPS))])
    assert [len(packet.hops) for packet in packets] == [MOST_HOPS, 1]


def test_packets_that_look_alike_are_open_by_the_dozen_and_not_by_the_thousand():
    """Answers of a DNS server: no IP ID, one length, any number of destinations."""
    assembler = Assembler()
    for number in range(2000):
        head = header(0, dst=f"10.0.{number >> 8}.{number & 255}")
        first, *rest = (
            put(assembler, hop(table, chain, head, number / 1000))
            for table, chain in (("raw", "OUTPUT"), ("nat", "OUTPUT"), ("nat", "POSTROUTING"))
        )
        assert (first.id, len(first.hops)) == (number + 1, 3)
        assert rest == [first, first]
    assert len(assembler._open) == ALIKE_PACKETS


def test_of_packets_that_look_alike_the_one_that_moved_last_goes_on():
    assembler = Assembler()
    one, other = (put(assembler, hop("raw", "PREROUTING", header(0), at)) for at in (1.0, 1.1))
    assert put(assembler, hop("mangle", "PREROUTING", header(0), 1.2)) is other
    assert put(assembler, hop("mangle", "PREROUTING", header(0), 1.3)) is one


def test_a_packet_with_ever_new_trace_ids_is_known_by_the_last_few():
    assembler = Assembler()
    events = [
        Hop.of("nft", "inet", "t", f"c{number}", "rule", trace_id=number, header=header())
        for number in range(1000)
    ]
    assert len({put(assembler, event).id for event in events}) == 1
    assert list(assembler._by_trace_id) == list(range(1000 - TRACE_IDS, 1000))
    assert put(assembler, events[-1].with_(header=None, chain="u")).id == 1


def test_two_packets_that_take_a_trace_id_from_each_other_note_it_once():
    assembler = Assembler()
    for number in range(1000):
        event = Hop.of(
            "nft", "inet", "t", f"c{number}", "rule", trace_id=1, header=header(number % 2)
        )
        assert put(assembler, event).id == number % 2 + 1
    assert [one.trace_ids for one in assembler._open.values()] == [[1], [1]]


def test_a_million_packets_leave_as_many_open_as_may_be():
    assembler = Assembler()
    for number in range(OPEN_PACKETS + 1000):
        event = Hop.of("nft", "ip", "raw", "PREROUTING", "rule", hook="PREROUTING", trace_id=number,
                    header=header(number))  # fmt: skip
        put(assembler, event)
    sizes = (len(assembler._open), len(assembler._by_identity), len(assembler._by_trace_id))
    assert sizes == (OPEN_PACKETS,) * 3
