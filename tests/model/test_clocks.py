"""Distances are told between hops that one clock stamped, and between no others."""

from __future__ import annotations

import json

from tests.recorded import assembled

from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import Hop
from tracetui.session.recording import report
from tracetui.session.recording.recording_reader import read_packet
from tracetui.session.rulesets.rulesets import Rulesets
from tracetui.session.state.explanations import Explanations

HEADER = Header(4, "udp", "192.0.2.1", "198.51.100.1", 4000, 53, 60, 5, 64)


def legacy(table: str, hook: str, time: float, source=None) -> Hop:
    return Hop.of(
        "legacy", "ip", table, hook, "policy", 1, hook=hook, time=1e9 + time, header=HEADER,
        source=source,
    )  # fmt: skip


def forwarded(source=None):
    (packet,) = assembled(
        [
            legacy("raw", "PREROUTING", 0.001, source),
            legacy("filter", "FORWARD", 0.002, source),
            # Nobody stamps it before it is received.
            legacy("mangle", "POSTROUTING", 0.5, source),
        ]
    )
    return packet


def test_a_hop_that_was_stamped_when_it_was_received_is_not_held_against_the_kernel_s_stamps():
    packet = forwarded()
    assert packet.stamps() == [0, 1000, None]


def test_a_log_has_one_clock():
    assert forwarded("log").stamps() == [0, 1000, 499000]


def test_a_record_says_of_which_hops_no_distance_is_known():
    packet = forwarded()
    value = report.packet_json(packet, Explanations(Rulesets()).of(packet))
    assert [hop["us"] for hop in value["hops"]] == [0, 1000, None]
    _, again = read_packet(json.dumps(value), 1)
    assert again.stamps() == [0, 1000, None]
    # As it was recorded, whatever would be known today.
    value["hops"][2]["us"] = 2000
    _, again = read_packet(json.dumps(value), 1)
    again.pack()
    assert again.stamps() == [0, 1000, 2000]
