"""Packets that look the same: told apart where anything does, marked where nothing does."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.recorded import RECORDINGS, assembled, datagrams, hops_of, lines, put, sections

from tracetui.model.trace.assembler import Assembler
from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import Hop, PacketState
from tracetui.model.trace.open_packet import PAST_SECONDS
from tracetui.parse.netlink import nflog, nftrace
from tracetui.session.recording import report
from tracetui.session.replay.replay import ReplaySession
from tracetui.session.view.about import about

ANSWER = Header(4, "udp", "10.96.0.10", "10.0.0.1", 53, 4000, length=80, ip_id=0)
WAY = [
    ("raw", "PREROUTING", "policy", 1),
    ("mangle", "PREROUTING", "policy", 1),
    ("filter", "FORWARD", "rule", 3),
    ("filter", "GATE", "rule", 1),
    ("filter", "GATE", "return", 2),
    ("filter", "FORWARD", "policy", 9),
    ("mangle", "POSTROUTING", "policy", 1),
]

LOOKS: dict[PacketState, PacketState] = {}


def hop(place: tuple, time: float, header: Header = ANSWER) -> Hop:
    table, chain, kind, number = place
    hook = chain if chain != "GATE" else "FORWARD"
    made = Hop.of(
        "legacy", "ip", table, chain, kind, number, hook=hook, iif="eth0", time=time, header=header
    )
    # As readers give them: hops of packets that look alike share their look.
    return made._replace(state=LOOKS.setdefault(made.state, made.state))


def mixed(times: list[tuple[int, float]], headers=(ANSWER, ANSWER), paths=(WAY, WAY)):
    """Packets whose hops came in this order, by number; their assembled packets."""
    at = [0] * len(headers)
    hops = []
    for number, time in times:
        hops.append(hop(paths[number][at[number]], time, headers[number]))
        at[number] += 1
    return assembled(hops)


def test_two_that_took_different_ways_at_the_same_time_are_marked():
    times = [(0, 1.0), (0, 1.1), (1, 1.2), (1, 1.3), (0, 1.4), (1, 1.5)]
    # The one is dropped by FORWARD's rule 3, and the other goes on by rule 4: by which, none tells.
    other = [*WAY[:2], ("filter", "FORWARD", "rule", 2), ("filter", "FORWARD", "rule", 4)]
    packets = mixed([*times, (0, 1.6)], paths=(WAY, other))
    assert [packet.ambiguous for packet in packets] == [True, True]


def test_two_that_went_the_same_way_so_far_are_not():
    """Which is which makes no difference then."""
    packets = mixed([(number, 1.0 + at / 10) for at in range(7) for number in (0, 1)])
    assert [packet.ambiguous for packet in packets] == [False, False]
    assert [len(packet.hops) for packet in packets] == [7, 7]


def test_the_one_after_the_other_is_not():
    packets = mixed([(0, 1 + at / 100) for at in range(7)] + [(1, 2 + at / 100) for at in range(7)])
    assert [packet.ambiguous for packet in packets] == [False, False]


def test_a_retransmission_of_a_dropped_one_is_not():
    first = [(0, 1.0 + at / 1000) for at in range(3)]
    packets = mixed([*first, *((1, 1.0 + PAST_SECONDS + at / 1000) for at in range(7))])
    assert [(len(packet.hops), packet.ambiguous) for packet in packets] == [(3, False), (7, False)]


@given(st.lists(st.integers(0, 2), min_size=21, max_size=21))
def test_what_any_field_tells_apart_is_never_mixed_nor_marked(order):
    headers = (ANSWER, ANSWER._replace(ip_id=7), ANSWER._replace(dst="10.0.0.9", dport=4001))
    left = [len(WAY)] * 3
    times = []
    for number in order + [0, 1, 2] * len(WAY):
        if left[number]:
            left[number] -= 1
            times.append((number, 1.0 + len(times) / 1000))
    packets = mixed(times, headers, (WAY,) * 3)
    assert sorted(len(packet.hops) for packet in packets) == [7, 7, 7]
    for packet in packets:
        assert not packet.ambiguous
        assert {(one.header.ip_id, one.header.dst) for one in packet.hops} == {
            (packet.header.ip_id, packet.header.dst)
        }


def test_an_answer_to_another_is_no_rewritten_one():
    """Both wait before nat, where a destination can change; each goes on with its own."""
    other = ANSWER._replace(dst="10.0.0.9", dport=4001)
    nat = ("nat", "PREROUTING", "policy", 2)
    hops = [hop(WAY[0], 1.0), hop(WAY[0], 1.1, other), hop(nat, 1.2), hop(nat, 1.3, other)]
    packets = assembled(hops)
    assert [[one.header.dst for one in packet.hops] for packet in packets] == [
        ["10.0.0.1"] * 2,
        ["10.0.0.9"] * 2,
    ]
    assert not any(packet.nat or packet.ambiguous for packet in packets)


@pytest.mark.parametrize("name", sorted(path.name for path in RECORDINGS.glob("wrap-dmesg*.txt")))
def test_no_recording_of_one_packet_after_the_other_is_ambiguous(name):
    assert not any(packet.ambiguous for packet in assembled(hops_of(lines(name))))


def test_no_traversal_of_the_kernel_is_ambiguous():
    for title, text in sections("traversals-6.18.txt").items():
        assert not any(packet.ambiguous for packet in assembled(hops_of(text))), title


@pytest.mark.parametrize(("parse", "name"), [(nflog.parse, "nflog"), (nftrace.parse, "nftrace")])
def test_packets_of_two_cpus_that_an_id_tells_apart_are_not_ambiguous(parse, name):
    hops = [parse(one, {}, 0.0) for one in datagrams(f"2cpu-interleaved-{name}.bin.gz")]
    assert not any(packet.ambiguous for packet in assembled(hops))


def test_it_is_written_read_back_and_said():
    assembler = Assembler()
    other = [*WAY[:2], ("filter", "FORWARD", "rule", 2)]
    for number, way in ((0, WAY[:2]), (1, other), (0, [WAY[2]])):
        for at, place in enumerate(way):
            packet = put(assembler, hop(place, 1.0 + number / 10 + at / 100))
    session = ReplaySession([])
    explanation = session.explain(packet)
    assert packet.ambiguous
    value = report.packet_json(packet, explanation)
    assert value["ambiguous"] is True
    assert report.head_text(packet, explanation).endswith("ambiguous")
    assert report.AMBIGUOUS in list(about(packet, explanation))
    again = ReplaySession([("x", io.BytesIO(json.dumps(value).encode()))])
    again.read_all()
    assert [one.ambiguous for one in again.packets] == [True]
