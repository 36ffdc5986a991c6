"""What texts and JSON say of a packet is what is known of it, and in netfilter's words."""

from __future__ import annotations

import json

import pytest
from tests.recorded import RECORDINGS, assembled, hops_of

from tracetui import __version__
from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import Hop
from tracetui.model.trace.packet import Packet
from tracetui.session.recording import export, report
from tracetui.session.recording.recording_reader import read_packet
from tracetui.session.rulesets.rulesets import Rulesets
from tracetui.session.state.explanations import Explanations
from tracetui.session.state.session import Status
from tracetui.session.view import about

FIELD = RECORDINGS / "field"
RULES = """\
table inet filter { # handle 1
	chain input { # handle 1
		type filter hook input priority filter; policy accept;
		counter # handle 9
		tcp dport 443 counter packets 7 bytes 420 drop comment "why" # handle 4
	}
}
"""


def explained(name: str, *rulesets: str):
    known = Rulesets()
    assert all(known.fix(one) for one in rulesets)
    packets = assembled(hops_of((FIELD / name).read_text().splitlines()))
    return packets[0], Explanations(known).of(packets[0])


@pytest.mark.parametrize(
    ("rulesets", "place"),
    [((RULES,), "inet filter:input rule 2 (handle 4)"), ((), "inet filter:input rule")],
)
def test_an_nft_rule_is_told_by_its_number_and_its_handle(rulesets, place):
    packet, explanation = explained("m3.txt", *rulesets)
    assert f"nft    {place}" in report.hop_text(packet, explanation, 0)
    assert f"decided at {place}" in list(about.about(packet, explanation))
    for form in (export.TEXT, export.MARKDOWN):
        (text,) = export.exported(form, [packet], lambda _: explanation, Status(False))
        assert place in text


@pytest.mark.parametrize("form", [export.TEXT, export.MARKDOWN])
def test_a_ticket_has_when_where_which_rule_and_what_was_rewritten(form):
    rulesets = Rulesets()
    rulesets.fix(RULES)
    header = Header(4, "tcp", "10.0.0.1", "10.0.0.2", 4000, 443, flags="SYN")
    first = Hop.of(
        "nft", "inet", "nat", "pre", "policy", verdict="accept", hook="PREROUTING",
        iif="eth0", header=header._replace(dst="10.96.0.1"), time=1_795_546_120.25,
    )  # fmt: skip
    last = Hop.of(
        "nft", "inet", "filter", "input", "rule", handle=4, verdict="drop", hook="INPUT",
        iif="eth0", header=header, time=1_795_546_120.25,
    )  # fmt: skip
    packet = Packet(1)
    packet.add(first, "PREROUTING")
    packet.add(last, "INPUT")
    explanation = Explanations(rulesets).of(packet)
    status = Status(host="node-7", netns="shop")
    (text,) = export.exported(form, [packet], lambda _: explanation, status)
    plain = text.replace("`", "")
    assert "2026-11-24 18:48:40.250 UTC" in plain
    assert "dropped by rule 2 (handle 4) of input, why (nft table inet filter)" in plain
    assert "rule: tcp dport 443 counter" in plain
    assert "NAT: dst 10.96.0.1:443 → 10.0.0.2:443" in plain
    assert f"host node-7, namespace shop, tracetui {__version__}" in plain
    assert "inet filter:input rule 2 (handle 4)" in plain


def test_a_handle_whose_rule_is_not_known_is_called_a_handle():
    packet, explanation = explained("x2.txt")
    assert "filter:INPUT handle 7" in report.hop_text(packet, explanation, 0)
    assert "rule:7" not in "\n".join(report.packet_text(packet, explanation))


def test_an_accepted_packet_whose_trace_ends_is_accepted_so_far_and_in_json_unknown():
    header = Header(family=6, proto="icmpv6", src="fd00::1", dst="fd00::2", icmp_type=129)
    hop = Hop.of(
        "nft", "ip6", "raw", "PREROUTING", "policy", verdict="accept", iif="eth0", header=header
    )
    (packet,) = assembled([hop])
    explanation = Explanations(Rulesets()).of(packet)
    assert report.head_text(packet, explanation).endswith("1 hops  accepted so far")
    assert "verdict    accepted so far" in list(about.about(packet, explanation))
    value = report.packet_json(packet, explanation)
    assert (value["verdict"], value["accepted_so_far"]) == ("unknown", True)
    assert not value["complete"]


def test_json_has_the_number_and_the_handle_of_an_nft_rule_and_legacy_s_number_twice():
    rulesets = Rulesets()
    rulesets.fix(RULES)
    hop = Hop.of("nft", "inet", "filter", "input", "rule", handle=4, verdict="drop")
    (packet,) = assembled([hop])
    (hop,) = report.packet_json(packet, Explanations(rulesets).of(packet))["hops"]
    assert (hop["rulenum"], hop["handle"], hop["number"]) == (None, 4, 2)
    line = "TRACE: filter:INPUT:rule:6 IN=eth0 OUT= SRC=10.0.0.1 DST=10.0.0.2 LEN=60 PROTO=UDP"
    (packet,) = assembled(hops_of([line]))
    (hop,) = report.packet_json(packet, Explanations(Rulesets()).of(packet))["hops"]
    assert (hop["rulenum"], hop["handle"], hop["number"]) == (6, None, 6)


def test_a_protocol_that_the_tool_does_not_print_is_told_by_the_rule_that_matched():
    packet, explanation = explained("x2.txt")
    assert "  udp  192.0.2.1:4000 → 198.51.100.1:53" in report.head_text(packet, explanation)
    assert report.packet_json(packet, explanation)["proto"] == "udp"


def test_echoes_are_told_apart_by_identifier_and_sequence_in_text_and_json():
    packets = assembled(hops_of((FIELD / "p1.txt").read_text().splitlines()))
    explain = Explanations(Rulesets()).of
    heads = [report.head_text(packet, explain(packet)) for packet in packets]
    assert ["id 8 seq 1" in heads[0], "id 8 seq 2" in heads[1]] == [True, True]
    values = [report.packet_json(packet, explain(packet)) for packet in packets]
    assert [(one["icmp_id"], one["icmp_seq"]) for one in values] == [(8, 1), (8, 2)]
    # And they are read back.
    _, packet = read_packet(json.dumps(values[1]), 1)
    assert (packet.header.icmp_id, packet.header.icmp_seq) == (8, 2)


def test_a_fragment_is_called_one():
    text = (
        "TRACE: filter:INPUT:policy:1 IN=eth0 OUT= SRC=192.0.2.1 DST=198.51.100.1 LEN=84 TOS=0x00 "
        "PREC=0x00 TTL=64 ID=1 FRAG:185 PROTO=UDP"
    )
    (packet,) = assembled(hops_of([text]))
    explanation = Explanations(Rulesets()).of(packet)
    assert "udp fragment at 1480" in report.head_text(packet, explanation)
    assert report.packet_json(packet, explanation)["fragment"] == 1480


def test_a_rewritten_address_is_a_known_connection_s_only_where_the_rules_are_known():
    head = "IN=eth0 OUT={} SRC=192.0.2.1 DST={} LEN=60 TTL=64 ID=1 DF PROTO=TCP SPT=1 DPT=2 SYN"
    lines = [
        f"TRACE: raw:PREROUTING:policy:1 {head.format('', '198.51.100.1')}",
        f"TRACE: filter:FORWARD:policy:1 {head.format('eth1', '10.0.0.1')}",
    ]
    (packet,) = assembled(hops_of(lines))
    explanation = Explanations(Rulesets()).of(packet)
    (change,) = [one for one in explanation.changes if one.field == "dst"]
    assert report.change_text(change) == "dst 198.51.100.1:2 → 10.0.0.1:2"
