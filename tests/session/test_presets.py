"""What a packet suggests to trace: rules that match it as it stood in raw."""

from __future__ import annotations

import io

import pytest
from tests.recorded import RECORDINGS

from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import Hop
from tracetui.model.trace.packet import Packet
from tracetui.session.replay.replay import ReplaySession
from tracetui.session.view.presets import presets


@pytest.fixture
def packets():
    session = ReplaySession(
        [("seed", io.BytesIO((RECORDINGS / "seed-eks-forward.log").read_bytes()))]
    )
    session.read_all()
    return list(session.packets)


def test_every_rule_but_that_of_the_answers_covers_the_packet(packets):
    for packet in packets:
        found = presets(packet)
        assert len(found) >= 5
        for preset in found:
            covers = preset.rule.covers(packet.header, packet.hook_of(0), packet.iif)
            assert covers != preset.description.startswith("its replies"), preset


def test_a_flow_is_named_by_all_that_the_packet_bears(packets):
    flow, both = presets(packets[0])[:2]
    assert not flow.both
    assert both.both
    assert flow.rule == both.rule
    rule = flow.rule
    assert (rule.chain, rule.family, rule.proto) == ("PREROUTING", 4, "tcp")
    assert (rule.src, rule.sport, rule.dst, rule.dport) == (
        *("172.31.47.174", "22896"),
        *("172.31.55.27", "8090"),
    )
    assert any(preset.rule.syn for preset in presets(packets[0]))


def translated():
    packet = Packet(1)
    header = Header(4, "udp", "10.0.0.1", "10.96.0.10", 999, 53)
    hop = Hop.of("nft", "ip", "raw", "PREROUTING", "policy", hook="PREROUTING", header=header)
    packet.add(hop, "PREROUTING")
    after = header._replace(dst="10.244.0.7", dport=5353)
    packet.add(hop.with_(table="filter", chain="FORWARD", header=after), "FORWARD")
    return packet


def test_answers_of_a_translated_flow_bear_the_servers_address():
    (answers,) = (
        one.rule for one in presets(translated()) if one.description.startswith("its replies")
    )
    assert (answers.src, answers.sport, answers.dst) == ("10.244.0.7", "5353", None)


def test_a_packet_whose_protocol_has_no_name_suggests_what_can_be_added():
    packet = Packet(1)
    header = Header(4, "253", "10.0.0.1", "10.0.0.2")
    packet.add(Hop.of("nft", "ip", "raw", "OUTPUT", "policy", header=header), "OUTPUT")
    assert {preset.rule.chain for preset in presets(packet)} == {"OUTPUT"}


def test_without_a_header_nothing_is_suggested():
    packet = Packet(1)
    packet.add(Hop.of("nft", "ip", "raw", "PREROUTING", "policy"), "PREROUTING")
    assert presets(packet) == []
