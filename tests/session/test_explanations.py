"""Packets that went one way are explained, and written, once: and each as if it were alone."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.recorded import datagrams, put

from tracetui import lab
from tracetui.model.rules.lookup import CHANGED, KNOWN
from tracetui.model.rules.ruleset import ChainKey, ListedRule, Ruleset, built_in_chain
from tracetui.model.rules.snapshot import Snapshot
from tracetui.model.trace.assembler import Assembler
from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import Hop
from tracetui.model.trace.packet import Packet
from tracetui.parse.netlink import nflog, nftrace
from tracetui.session.recording import report
from tracetui.session.recording.packet_lines import PacketLines
from tracetui.session.replay.replay import ReplaySession
from tracetui.session.rulesets.rulesets import Rulesets
from tracetui.session.state.explanations import Explanations

LAB = Path(lab.__file__).with_name("recording.ndjson")
LINKS = {number: f"if{number}" for number in range(50)}
CHANGES = {
    "iif": st.sampled_from((None, "eth0", "cali7")),
    "oif": st.sampled_from((None, "eth0", "cali7")),
    "mark": st.sampled_from((None, 1, 0x4000)),
    "mac": st.sampled_from((None, "02:00:00:00:00:01 > 02:00:00:00:00:02")),
    "interval": st.tuples(st.integers(0, 6), st.integers(1, 7)),
    "verdict": st.sampled_from((None, "accept", "drop", "continue", "jump KUBE-SERVICES")),
    "rulenum": st.integers(1, 9),
    "rule": st.sampled_from((None, "-A FORWARD -p udp -j DROP")),
}
FIELDS = {
    "src": st.sampled_from(("10.200.1.2", "10.0.0.9")),
    "dst": st.sampled_from(("10.96.0.80", "10.200.2.2")),
    "sport": st.integers(1, 3),
    "dport": st.sampled_from((80, 8080, 9999)),
    "ttl": st.sampled_from((1, 63, 64)),
    "proto": st.sampled_from(("tcp", "udp", "icmp")),
    "flags": st.sampled_from((None, "SYN", "ACK")),
    "ip_id": st.integers(0, 3),
    "length": st.integers(20, 22),
}


@pytest.fixture(scope="module")
def session():
    """What the lab recorded, with its rulesets."""
    file = io.BytesIO(LAB.read_bytes())
    made = ReplaySession([("lab", file)])
    made.read_all()
    return made


def alike(explanations: Explanations, packet: Packet) -> None:
    """Fail unless the packet's explanation and line are those it has alone."""
    alone = explanations.explainer.explain(packet)
    shared = explanations.of(packet)
    assert shared == alone
    for is_ascii in (False, True):
        line = LINES[is_ascii].line(packet, shared)
        assert json.loads(line) == json.loads(json.dumps(report.packet_json(packet, alone)))
        assert line.isprintable()


LINES = {is_ascii: PacketLines(is_ascii) for is_ascii in (False, True)}


def test_every_packet_of_the_lab(session):
    for packet in session.packets:
        alike(session.explanations, packet)


@given(data=st.data())
def test_a_packet_that_differs_in_anything(session, data):
    packets = list(session.packets)
    for packet in packets[:30]:
        alike(session.explanations, packet)
    packet = data.draw(st.sampled_from(packets[:30]))
    other = Packet(10_000 + data.draw(st.integers(0, 1 << 30)))
    hops = list(packet.hops)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(hops) - 1))
        hops[at] = changed(hops[at], data)
    for hop, hook in zip(hops, packet.hooks):
        other.add(hop, hook)
    alike(session.explanations, other)


@given(data=st.data())
def test_a_packet_of_other_addresses_and_ports_all_the_way(session, data):
    packets = list(session.packets)
    packet = data.draw(st.sampled_from(packets))
    alike(session.explanations, packet)
    there = sorted({value for one in packets for value in one.path.values}, key=str)
    values = packet.path.values or (0,)
    other = {}
    for old in data.draw(st.lists(st.sampled_from(values), min_size=1, max_size=3, unique=True)):
        others = [value for value in there if type(value) is type(old) and is_like(value, old)]
        new = st.integers(0, 65535) if isinstance(old, int) else st.nothing()
        other[old] = data.draw(st.sampled_from(others or [old]) | new)
    moved = Packet(1 << 30)
    for hop, hook in zip(packet.hops, packet.hooks):
        if hop.header is not None:
            fields = {name: getattr(hop.header, name) for name in ("src", "dst", "sport", "dport")}
            fields = {name: other.get(value, value) for name, value in fields.items()}
            hop = hop.with_(header=hop.header._replace(**fields))
        moved.add(hop, hook)
    alike(session.explanations, moved)


def is_like(value, old) -> bool:
    return isinstance(old, int) or (":" in value) == (":" in old)


def changed(hop: Hop, data) -> Hop:
    name = data.draw(st.sampled_from((*CHANGES, *FIELDS)))
    if name in CHANGES:
        return hop.with_(**{name: data.draw(CHANGES[name])})
    if hop.header is None:
        return hop
    return hop.with_(header=hop.header._replace(**{name: data.draw(FIELDS[name])}))


@pytest.mark.parametrize(
    ("name", "parse"),
    [
        ("2cpu-interleaved-nflog.bin.gz", nflog.parse),
        ("2cpu-interleaved-nftrace.bin.gz", nftrace.parse),
        ("scenario-nft.bin.gz", nftrace.parse),
    ],
)
def test_packets_without_rulesets(name, parse):
    assembler, explanations, packets = Assembler(), Explanations(Rulesets()), {}
    for number, one in enumerate(datagrams(name)):
        packet = put(assembler, parse(one, LINKS, 1.7e9 + number / 1e5))
        packets[packet.id] = packet
    for packet in packets.values():
        alike(explanations, packet)
    made = {id(explanations.of(packet)) for packet in packets.values()}
    assert len(made) < len(packets)


def policy(sport: int) -> Packet:
    """A packet of which all that came are two ends of chains; mangle dropped it."""
    header = Header(4, "udp", "10.0.0.1", "10.0.0.2", sport, 53)
    packet = Packet(sport)
    for table, verdict in (("raw", "accept"), ("mangle", "drop")):
        hop = Hop.of(
            *("nft", "ip", table, "PREROUTING", "policy"),
            verdict=verdict, hook="PREROUTING", header=header, interval=(1, 2),
        )  # fmt: skip
        packet.add(hop, "PREROUTING")
    return packet


def test_when_it_is_looked_at_makes_no_difference_once_the_reading_to_come_is_there():
    rulesets, ruleset = Rulesets(), Ruleset()
    explanations = Explanations(rulesets)
    every = ListedRule("-A PREROUTING -j LOG", 5)
    for number, (table, rules) in enumerate((("raw", ()), ("mangle", (every,))), start=1):
        ruleset.instances["ip", table] = number
        key = ChainKey("ip", table, "PREROUTING")
        ruleset.chains[key] = built_in_chain(table, "PREROUTING", "drop", rules)
    early, late = policy(1000), policy(1001)
    for number in (1, 2):
        rulesets.histories["nft"].take(Snapshot("nft", number, True, ruleset))
        rulesets.version += 1
        assert explanations.of(early).is_pending == (number == 1)
    assert explanations.of(early).hops == explanations.of(late).hops
    assert [hop.state for hop in explanations.of(late).hops] == [KNOWN, CHANGED]
