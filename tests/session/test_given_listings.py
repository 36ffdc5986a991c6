"""A ruleset that the user gives adds to what the trace printed itself, and takes nothing away."""

from __future__ import annotations

import pytest
from tests.recorded import RECORDINGS, assembled, hops_of

from tracetui.model.explain.printed_rule import OTHER_RULESET
from tracetui.session.rulesets.rulesets import Rulesets
from tracetui.session.state.explanations import Explanations

FIELD = RECORDINGS / "field"


def explained(trace: str, *rulesets: str):
    """The only packet of a trace of ``field/``, or of these lines, and its explanation."""
    text = trace if "\n" in trace else (FIELD / trace).read_text()
    known = Rulesets()
    for one in rulesets:
        assert known.fix(one if "\n" in one else (FIELD / one).read_text())
    (packet,) = assembled(hops_of(text.splitlines()))
    return packet, Explanations(known).of(packet)


PRINTED = 'tcp dport 443 counter packets 0 bytes 0 drop comment "why"'


@pytest.mark.parametrize("ruleset", ["m3.nft", "m3a.nft", "m3.json", "m3o.nft"])
def test_the_text_that_nft_printed_stays_whatever_ruleset_is_given(ruleset):
    _, explanation = explained("m3.txt", ruleset)
    assert explanation.hops[0].rule.text == PRINTED
    assert (explanation.verdict, explanation.why) == ("drop", "")


@pytest.mark.parametrize(("ruleset", "handle"), [("m3.nft", None), ("m3a.nft", 4), ("m3.json", 4)])
def test_a_ruleset_adds_number_chain_and_handle_to_a_printed_rule(ruleset, handle):
    _, explanation = explained("m3.txt", ruleset)
    (here,) = explanation.hops
    assert (here.number, here.rule.handle, here.chain.name) == (1, handle, "input")


OTHER = """\
table inet filter {
	chain input {
		type filter hook input priority filter; policy accept;
		tcp dport 22 accept
	}
}
"""
NO_CHAIN = "table inet filter {\n\tchain output {\n\t}\n\tchain forward {\n\t}\n}\n"


@pytest.mark.parametrize("ruleset", [OTHER, NO_CHAIN])
def test_a_ruleset_that_says_otherwise_is_refused_by_a_sentence_and_the_log_stays(ruleset):
    _, explanation = explained("m3.txt", ruleset)
    assert explanation.hops[0].rule.text == PRINTED
    assert explanation.hops[0].number is None
    assert explanation.verdict == "drop"
    assert explanation.why.startswith(OTHER_RULESET)


def test_an_accept_in_a_chain_that_was_jumped_to_does_not_end_the_hook():
    _, explanation = explained("m4.txt", "m4.nft")
    assert explanation.verdict == "unknown"
    assert "a in2 was not reached" in explanation.why


def test_the_same_accept_behind_which_no_chain_stands_is_the_packet_s():
    rules = (FIELD / "m4.nft").read_text().replace("filter + 10", "filter - 10")
    text = (FIELD / "m4.txt").read_text()
    before = "trace id 0a0b0c0d inet a in2 policy accept\n"
    _, explanation = explained(f"{before}{text}", rules)
    assert explanation.verdict == "accept"


def test_a_chain_of_the_same_priority_that_was_not_seen_was_not_reached():
    rules = (FIELD / "m4.nft").read_text().replace("filter + 10", "filter")
    base = "type filter hook prerouting priority 0; policy accept;"
    before = f"table inet b {{\n\tchain p {{\n\t\t{base}\n\t}}\n}}\n"
    first = "trace id 0a0b0c0d inet b p policy accept\n"
    text = first + (FIELD / "m4.txt").read_text()
    assert explained(text, rules, before)[1].verdict == "unknown"


def test_a_header_whose_event_was_cut_is_no_hop():
    packet, explanation = explained("m1.txt")
    assert [hop.place for hop in packet.hops] == ["filter:input:rule"]
    # It shows whose the next event is.
    assert (packet.header.dport, packet.iif) == (443, "eth0")
    assert (explanation.verdict, explanation.decided) == ("drop", 0)


def test_a_packet_of_which_only_the_header_is_there_is_one_all_the_same():
    header = (FIELD / "m1.txt").read_text().splitlines()[0]
    packet, explanation = explained(f"{header}\n")
    assert [hop.place for hop in packet.hops] == ["mangle:PREROUTING:rule"]
    assert explanation.verdict == "unknown"


def test_a_mark_is_not_handed_on_to_the_next_packet_with_the_trace_id():
    packets = assembled(hops_of((FIELD / "m2v6.txt").read_text().splitlines()))
    assert [[hop.mark for hop in packet.hops] for packet in packets] == [[0x42], [None, None]]


@pytest.mark.parametrize(
    ("rule", "may_clash"),
    [
        ("snat to 203.0.113.5:4000", True),
        ("snat ip to 203.0.113.5:4000", True),
        ("masquerade to :4000", True),
        ("snat ip6 to [fd00::5]:4000", True),
        ("snat ip6 to fd00::5:4000", False),
        ("redirect to :4000", False),
        ("snat to 203.0.113.5", False),
        ("snat to 203.0.113.5:4000-4999", False),
        ("masquerade", False),
    ],
)
def test_behind_snat_to_a_fixed_port_the_packet_may_still_be_dropped(rule, may_clash):
    text = (FIELD / "n2.txt").read_text().replace("snat to 203.0.113.5", rule)
    _, explanation = explained(text)
    assert explanation.verdict == "accept"
    assert ("insert_failed" in explanation.why) == may_clash


@pytest.mark.parametrize(
    ("target", "may_clash"),
    [
        ("SNAT --to-source 203.0.113.5:4000", True),
        ("SNAT --to-source 203.0.113.5", False),
        ("SNAT --to-source 203.0.113.5-203.0.113.9:4000-4999", False),
        ("MASQUERADE --to-ports 4000", True),
        ("MASQUERADE --to-ports 4000-4999", False),
    ],
)
def test_the_same_of_iptables_rules(target, may_clash):
    rules = (FIELD / "snat.save").read_text().replace("SNAT --to-source 203.0.113.5", target)
    _, explanation = explained("s1.txt", rules)
    assert (explanation.verdict, "insert_failed" in explanation.why) == ("accept", may_clash)
