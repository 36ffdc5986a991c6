"""Filters that a packet suggests: its flow, its host, anything but its flow."""

from __future__ import annotations

import pytest

from tracetui.lab import recording
from tracetui.model.filter.view_filter import ViewFilter
from tracetui.model.trace.packet import Packet
from tracetui.session.replay.replay import ReplaySession
from tracetui.session.view.filter_shortcuts import hidden, only_flow, only_host


@pytest.fixture(scope="module")
def lab():
    session = ReplaySession([("lab", recording.open_recording())])
    session.read_all()
    yield session
    session.close()


def shown(session, expression):
    view = ViewFilter.parse(expression=expression)
    return {packet.id for packet in session.packets if view.matches(packet, session.explain)}


def test_a_flow_is_both_its_directions_and_hiding_it_is_the_rest(lab):
    everything = {packet.id for packet in lab.packets}
    for packet in lab.packets:
        expression = only_flow(packet)
        if expression is None:
            continue
        flow = shown(lab, expression)
        assert packet.id in flow
        assert shown(lab, hidden(packet, "")) == everything - flow
        some = shown(lab, "tcp or udp")
        assert shown(lab, hidden(packet, "tcp or udp")) == some - flow
    web = next(p for p in lab.packets if p.header.dst == "10.96.0.80" and p.header.flags == "SYN")
    assert len(shown(lab, only_flow(web))) > 1


def test_a_host_is_what_it_sends_and_gets(lab):
    for packet in lab.packets:
        if packet.header is None:
            continue
        found = shown(lab, only_host(packet))
        source = packet.header.src
        assert found == {
            one.id
            for one in lab.packets
            if any(hop.header and source in (hop.header.src, hop.header.dst) for hop in one.hops)
        }


def test_a_packet_without_a_header_suggests_nothing():
    assert [only_flow(Packet(1)), only_host(Packet(1)), hidden(Packet(1), "nat")] == [None] * 3
