"""Packets explained by the rules they met, or not at all."""

from __future__ import annotations

import pytest
from tests.recorded import assembled, hops_of, sections, unpacked

from tracetui.model.explain.explainer import Explainer
from tracetui.model.rules.history import RulesetHistory
from tracetui.model.rules.ruleset import Ruleset
from tracetui.model.trace.packet import MOST_HOPS, Packet
from tracetui.parse.listings import xtables_save
from tracetui.session.recording import report

HEAD = "IN=eth0 OUT={out} MAC=02:00:00:00:00:01:02:00:00:00:00:02:08:00 SRC={src} DST={dst} LEN=60 TOS=0x00 PREC=0x00 TTL={ttl} ID=7 DF PROTO=TCP SPT=40000 DPT={dport} SEQ=1 ACK=0 WINDOW=64240 RES=0x00 SYN URGP=0 {mark}"


def line(place: str, out="", src="10.0.0.1", dst="10.96.0.80", ttl=64, dport=80, mark="") -> str:
    return f"TRACE: {place} " + HEAD.format(**locals())


def explained(rules: str, *lines: str, sysctls=None):
    """The one packet of these lines, explained by a legacy listing."""
    history = RulesetHistory("legacy")
    ruleset = Ruleset()
    for _ in xtables_save.parse(rules.splitlines(), "ip", ruleset):
        pass
    history.add_given(ruleset)
    histories = {"legacy": history, "nft": RulesetHistory("nft")}
    (packet,) = assembled(hops_of(lines))
    explainer = Explainer(histories)
    if sysctls is not None:
        explainer.set_sysctls(sysctls)
    return packet, explainer.explain(packet)


FILTER = """\
*filter
:INPUT ACCEPT [0:0]
:FORWARD {policy} [0:0]
:OUTPUT ACCEPT [0:0]
:LOG_DROP - [0:0]
:USER - [0:0]
-A FORWARD -p tcp -m tcp --dport 80 -j USER
-A FORWARD -p tcp -m tcp --dport 81 -j LOG_DROP
-A LOG_DROP -j LOG
-A LOG_DROP -j DROP
-A USER -s 10.0.0.2/32 -j ACCEPT
-A USER -j RETURN
COMMIT
"""


def test_an_unconditional_rule_that_prints_as_the_end_of_its_chain_is_that_rule():
    _, explanation = explained(
        FILTER.format(policy="ACCEPT"),
        line("filter:FORWARD:rule:2", out="eth1", dport=81),
        line("filter:LOG_DROP:rule:1", out="eth1", dport=81),
        line("filter:LOG_DROP:return:2", out="eth1", dport=81),
    )
    assert [hop_explanation.verdict for hop_explanation in explanation.hops] == [
        "jump LOG_DROP",
        "continue",
        "drop",
    ]
    assert explanation.hops[2].rule.text == "-A LOG_DROP -j DROP"
    assert (explanation.verdict, explanation.decided) == ("drop", 2)


def test_an_unconditional_return_is_the_rule_and_the_policy_decides():
    _, explanation = explained(
        FILTER.format(policy="DROP"),
        line("filter:FORWARD:rule:1", out="eth1"),
        line("filter:USER:return:2", out="eth1"),
        line("filter:FORWARD:policy:3", out="eth1"),
    )
    assert explanation.hops[1].rule.text == "-A USER -j RETURN"
    assert explanation.hops[2].rule is None
    assert (explanation.verdict, explanation.decided) == ("drop", 2)


def test_return_in_a_base_chain_has_the_policy_decide():
    rules = "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -j RETURN\nCOMMIT\n"
    _, explanation = explained(rules, line("filter:FORWARD:policy:1", out="eth1"))
    assert explanation.hops[0].rule.text == "-A FORWARD -j RETURN"
    assert explanation.verdict == "drop"


RETURNS = """\
*filter
:FORWARD {policy} [0:0]
-A FORWARD -p udp -j DROP
-A FORWARD {match}-j RETURN
-A FORWARD -p tcp -j DROP
COMMIT
"""


@pytest.mark.parametrize("policy", ["ACCEPT", "DROP"])
@pytest.mark.parametrize(("match", "kind"), [("", "policy"), ("-p tcp ", "rule")])
def test_behind_return_in_a_base_chain_comes_the_policy_with_a_hop_of_its_own(match, kind, policy):
    _, explanation = explained(
        RETURNS.format(policy=policy, match=match),
        line(f"filter:FORWARD:{kind}:2", out="eth1"),
        line("filter:FORWARD:policy:4", out="eth1"),
    )
    assert [hop_explanation.state for hop_explanation in explanation.hops] == ["known", "known"]
    assert [hop_explanation.verdict for hop_explanation in explanation.hops] == [
        "return",
        policy.lower(),
    ]
    assert explanation.hops[0].rule.text.endswith("-j RETURN")
    assert explanation.verdict == policy.lower()


def test_tproxy_that_nothing_follows_is_no_accept_and_no_missing_route():
    rules = """\
*mangle
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
-A PREROUTING -p tcp -j TPROXY --on-port 3128 --on-ip 0.0.0.0 --tproxy-mark 0x1/0x1
COMMIT
"""
    _, explanation = explained(rules, line("mangle:PREROUTING:rule:1"))
    assert explanation.hops[0].verdict is None
    assert explanation.verdict == "unknown"
    assert "drops what no socket" in explanation.why
    assert "no route" not in explanation.why


def test_a_packet_to_this_node_that_no_chain_of_input_shows_is_not_called_lost():
    rules = "*raw\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n*mangle\n:FORWARD ACCEPT [0:0]\nCOMMIT\n"
    _, explanation = explained(rules, line("raw:PREROUTING:policy:1"))
    assert explanation.verdict == "unknown"
    assert "delivered to this node" in explanation.why


def test_a_packet_that_synproxy_took_over_is_told_so():
    rules = "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -p tcp -j SYNPROXY --mss 1460\nCOMMIT\n"
    _, explanation = explained(rules, line("filter:FORWARD:rule:1", out="eth1"))
    assert explanation.verdict == "unknown"
    assert explanation.why.startswith("taken over by SYNPROXY")


def test_dnat_to_this_node_s_loopback_is_a_likely_cause():
    rules = ROUTED + "*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n"
    _, explanation = explained(rules, line("mangle:PREROUTING:policy:1", dst="127.0.0.1"))
    assert "net.ipv4.conf.eth0.route_localnet=1" in explanation.why


@pytest.mark.parametrize(
    "lines",
    [
        # A chain that is longer, or shorter, than the listing says.
        [line("filter:FORWARD:policy:4", out="eth1")],
        [line("filter:FORWARD:policy:2", out="eth1")],
        # A rule that prints as a rule though it would not, and the other way round.
        [line("filter:USER:rule:2", out="eth1")],
        [line("filter:USER:return:1", out="eth1")],
        # A jump that leads elsewhere.
        [line("filter:FORWARD:rule:1", out="eth1"), line("filter:LOG_DROP:rule:1", out="eth1")],
        # A rule that this packet can't have matched.
        [line("filter:FORWARD:rule:2", out="eth1")],
        # A chain that is not there.
        [line("filter:GONE:rule:1", out="eth1")],
    ],
)
def test_a_rule_that_the_hops_contradict_is_not_shown(lines):
    _, explanation = explained(FILTER.format(policy="ACCEPT"), *lines)
    assert explanation.hops[0].state == "changed"
    assert explanation.hops[0].rule is None
    assert explanation.hops[0].verdict is None


NAT = """\
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:SEP - [0:0]
-A PREROUTING -d 10.96.0.80/32 -p tcp -j SEP
-A SEP -j MARK --set-xmark 0x4000/0x4000
-A SEP -p tcp -j DNAT --to-destination 10.1.2.3:8080
COMMIT
*mangle
:PREROUTING ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
-A FORWARD -j TTL --ttl-set 9
COMMIT
"""
SERVICE = (
    line("nat:PREROUTING:rule:1"),
    line("nat:SEP:rule:1"),
    line("nat:SEP:rule:2", mark="MARK=0x4000 "),
    line("mangle:FORWARD:rule:1", "eth1", dst="10.1.2.3", dport=8080, ttl=63, mark="MARK=0x4000 "),
    line("mangle:FORWARD:policy:2", "eth1", dst="10.1.2.3", dport=8080, ttl=9, mark="MARK=0x4000 "),
)


ALWAYS = """\
*mangle
:FORWARD ACCEPT [0:0]
COMMIT
*filter
:FORWARD ACCEPT [0:0]
:GATE - [0:0]
-A FORWARD {match}-m comment --comment "for all" -j GATE
COMMIT
"""


@pytest.mark.parametrize(
    ("match", "hops", "state"),
    [
        ("", ["FORWARD:rule:1", "GATE:return:1", "FORWARD:policy:2"], "known"),
        ("", ["FORWARD:policy:2"], "changed"),
        ("-s 10.9.9.9/32 ", ["FORWARD:policy:2"], "known"),
    ],
)
def test_a_chain_that_ends_without_a_hop_of_a_rule_for_all_was_another_one(match, hops, state):
    _, explanation = explained(
        ALWAYS.format(match=match),
        line("mangle:FORWARD:policy:1", out="eth1"),
        *(line(f"filter:{place}", out="eth1") for place in hops),
    )
    assert explanation.hops[-1].state == state


def test_a_change_stands_at_the_rule_that_made_it():
    _, explanation = explained(NAT, *SERVICE)
    told = {change.hop_index: [] for change in explanation.changes}
    for change in explanation.changes:
        told[change.hop_index].append(report.change_text(change))
    assert told == {
        1: ["mark 0x0 → 0x4000"],
        2: ["dst 10.96.0.80:80 → 10.1.2.3:8080"],
        3: ["ttl 64 → 63 (forwarded)", "ttl 63 → 9"],
    }


def test_a_target_that_is_not_where_the_packet_went_is_not_shown():
    _, explanation = explained(NAT.replace("10.1.2.3:8080", "10.1.2.4:8080"), *SERVICE)
    assert [hop_explanation.state for hop_explanation in explanation.hops[:3]] == [
        "known",
        "known",
        "changed",
    ]


@pytest.mark.parametrize(
    ("to", "state"),
    [
        (":8080", "known"),
        (":8081", "changed"),
        ("10.1.2.3", "known"),
        ("10.1.2.4", "changed"),
        ("10.1.2.1-10.1.2.9:8080", "known"),
        ("10.1.2.3:8000-9000", "known"),
    ],
)
def test_a_dnat_target_is_held_against_what_was_seen_as_far_as_it_tells(to, state):
    _, explanation = explained(NAT.replace("10.1.2.3:8080", to), *SERVICE)
    assert explanation.hops[2].state == state


def test_without_rules_nat_is_still_given_to_the_rule_that_ended_nat():
    (packet,) = assembled(hops_of(SERVICE))
    explanation = Explainer({}).explain(packet)
    change = next(one for one in explanation.changes if one.field == "dst")
    assert (change.by, change.hop_index) == ("rule", 2)
    assert explanation.verdict == "unknown"
    assert explanation.why


def test_an_address_rewritten_without_a_nat_hop_is_a_known_connection_s():
    _, explanation = explained(
        NAT,
        line("mangle:PREROUTING:policy:1"),
        line("mangle:FORWARD:rule:1", "eth1", dst="10.1.2.3", dport=8080, ttl=63),
    )
    change = next(one for one in explanation.changes if one.field == "dst")
    assert (change.by, change.hop_index) == ("conntrack", 1)
    assert report.change_text(change).endswith("(known connection)")


ROUTED = """\
*mangle
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
COMMIT
"""


@pytest.mark.parametrize(
    ("sysctls", "ttl", "dst", "said", "unsaid"),
    [
        ({"ipv4.ip_forward": "0"}, 64, "10.2.0.1", "ip_forward is 0 here", "rp_filter"),
        (
            {"ipv4.ip_forward": "1", "rp_filter.all": "0", "rp_filter.eth0": "1"},
            64,
            "10.2.0.1",
            "rp_filter is on for eth0",
            "ip_forward",
        ),
        (
            {"ipv4.ip_forward": "1", "rp_filter.all": "0", "rp_filter.eth0": "0"},
            64,
            "10.2.0.1",
            "no route",
            "rp_filter",
        ),
        ({"ipv4.ip_forward": "1"}, 1, "10.2.0.1", "TTL is 1", "ip_forward"),
        ({"ipv4.ip_forward": "1"}, 1, "224.0.0.251", "multicast", "TTL"),
        ({}, 64, "10.2.0.1", "can't be read here", "TTL"),
    ],
)
def test_lost_after_prerouting_is_routing_with_its_likely_causes(sysctls, ttl, dst, said, unsaid):
    _, explanation = explained(
        ROUTED, line("mangle:PREROUTING:policy:1", ttl=ttl, dst=dst), sysctls=sysctls
    )
    assert explanation.verdict == "unknown"
    assert explanation.why.startswith("not dropped by a rule: routing")
    assert said in explanation.why
    assert unsaid not in explanation.why


@pytest.mark.parametrize(
    ("ttl", "dst", "sysctls", "said"),
    [
        (1, "10.2.0.1", {}, "its TTL is 1, so it can't be forwarded"),
        (64, "224.0.0.251", {}, "is multicast that nothing here has asked for"),
        (64, "10.2.0.1", {"ipv4.ip_forward": "0"}, "net.ipv4.ip_forward is 0 here"),
    ],
)
def test_without_rules_the_packet_and_the_settings_still_tell_likely_causes(
    ttl, dst, sysctls, said
):
    """As in a replay of a log: it was told that nothing can be told."""
    hop = line("mangle:PREROUTING:policy:1", ttl=ttl, dst=dst)
    _, explanation = explained("", hop, sysctls=sysctls)
    assert explanation.verdict == "unknown"
    assert "without the rules it is not known which. Likely causes" in explanation.why
    assert said in explanation.why


@pytest.mark.parametrize(
    "place", ["mangle:PREROUTING:rule:1", "filter:INPUT:policy:1", "nat:KUBE:return:3"]
)
def test_no_routing_is_blamed_where_a_packet_did_not_stop_before_it(place):
    _, explanation = explained("", line(place, ttl=1))
    assert "Likely" not in explanation.why


def test_a_table_behind_the_last_hop_means_that_its_end_was_not_seen():
    rules = ROUTED + FILTER.format(policy="ACCEPT")
    _, explanation = explained(rules, line("mangle:INPUT:policy:1"))
    assert explanation.verdict == "unknown"
    assert "filter INPUT was not reached" in explanation.why


def test_another_bridge_port_s_ethernet_address_is_a_change():
    moved = line("mangle:FORWARD:policy:1", "eth1").replace(
        "MAC=02:00:00:00:00:01", "MAC=02:00:00:00:00:09"
    )
    _, explanation = explained(ROUTED, line("mangle:PREROUTING:policy:1"), moved)
    told = [report.change_text(change) for change in explanation.changes]
    assert (
        "mac 02:00:00:00:00:02 > 02:00:00:00:00:01 → 02:00:00:00:00:02 > 02:00:00:00:00:09" in told
    )


@pytest.mark.parametrize("title", list(sections("traversals-6.18.txt")))
def test_without_rules_no_legacy_hop_is_given_a_rule_or_a_verdict(title):
    for packet in assembled(hops_of(sections("traversals-6.18.txt")[title])):
        explanation = Explainer({}).explain(packet)
        assert all(hop_explanation.rule is None for hop_explanation in explanation.hops)
        assert all(hop_explanation.verdict is None for hop_explanation in explanation.hops)
        assert explanation.verdict in ("accept", "unknown")


def test_a_whole_recording_agrees_with_its_ruleset():
    histories = {"legacy": RulesetHistory("legacy"), "nft": RulesetHistory("nft")}
    lines: dict[tuple[str, str, str], list[str]] = {}
    for name, family in (("iptables", "ip"), ("ip6tables", "ip6")):
        text, ruleset, table = unpacked(f"scenario-legacy.{name}-save.gz"), Ruleset(), ""
        for _ in xtables_save.parse(text.splitlines(), family, ruleset):
            pass
        histories["legacy"].add_given(ruleset)
        for one in text.splitlines():
            table = one[1:] if one.startswith("*") else table
            rule = one.partition("] ")[2] if one.startswith("[") else one
            if rule.startswith("-A"):
                lines.setdefault((family, table, rule.split()[1]), []).append(rule)
    explainer = Explainer(histories)
    hops = 0
    for packet in assembled(hops_of(unpacked("scenario-legacy.kmsg.gz").splitlines())):
        for hop, hop_explanation in zip(packet.hops, explainer.explain(packet).hops):
            there = lines.get((hop.family, hop.table, hop.chain), [])
            rule = there[hop.rulenum - 1] if hop.rulenum <= len(there) else None
            assert hop_explanation.state == "known", hop.place
            assert (hop_explanation.rule.text if hop_explanation.rule else None) == rule, hop.place
            hops += 1
    assert hops > 1000


def unmatched(rules: str, *lines: str) -> list[list[int]]:
    """The numbers of the rules that were passed by before each hop."""
    history = RulesetHistory("legacy")
    ruleset = Ruleset()
    for _ in xtables_save.parse(rules.splitlines(), "ip", ruleset):
        pass
    history.add_given(ruleset)
    (packet,) = assembled(hops_of(lines))
    explainer = Explainer({"legacy": history})
    assert all(
        hop_explanation.state == "known" for hop_explanation in explainer.explain(packet).hops
    )
    return [
        [number for number, _ in explainer.unmatched_before(packet, index)]
        for index in range(len(packet.hops))
    ]


VISITS = """\
*filter
:FORWARD ACCEPT [0:0]
:U - [0:0]
:V - [0:0]
-A FORWARD -p udp -j DROP
-A FORWARD -p tcp -j U
-A FORWARD -s 10.9.9.9/32 -j DROP
-A FORWARD -p tcp -m tcp --dport 80 -j U
-A FORWARD -p tcp -m tcp --sport 40000 -g V
-A FORWARD -s 10.9.9.8/32 -j DROP
-A U -s 10.8.8.8/32 -j DROP
-A U -s 10.8.8.7/32 -j DROP
-A V -s 10.7.7.7/32 -j DROP
COMMIT
*mangle
:FORWARD ACCEPT [0:0]
COMMIT
"""


def test_unmatched_rules_are_told_of_each_visit_to_a_chain():
    assert unmatched(
        VISITS,
        line("mangle:FORWARD:policy:1", "eth1"),
        line("filter:FORWARD:rule:2", "eth1"),
        line("filter:U:return:3", "eth1"),
        line("filter:FORWARD:rule:4", "eth1"),
        line("filter:U:return:3", "eth1"),
        line("filter:FORWARD:rule:5", "eth1"),
        line("filter:V:return:2", "eth1"),
        line("filter:FORWARD:policy:7", "eth1"),
    ) == [[], [1], [1, 2], [3], [1, 2], [], [1], []]


def test_a_rule_that_drops_is_not_that_of_a_packet_that_went_on():
    _, explanation = explained(
        "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -p tcp -j DROP\nCOMMIT\n",
        line("filter:FORWARD:rule:1", "eth1"),
        line("nat:POSTROUTING:policy:1", "eth1"),
    )
    assert explanation.hops[0].state == "changed"
    assert explanation.verdict == "accept"


def test_forwarding_is_not_blamed_on_a_rule_that_set_the_ttl_before():
    rules = "*mangle\n:PREROUTING ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n-A PREROUTING -p tcp -j TTL --ttl-set 10\nCOMMIT\n"
    _, explanation = explained(
        rules,
        line("mangle:PREROUTING:rule:1"),
        line("mangle:PREROUTING:policy:2", ttl=10),
        line("mangle:FORWARD:policy:1", "eth1", ttl=9),
    )
    assert [(change.hop_index, report.change_text(change)) for change in explanation.changes] == [
        (0, "ttl 64 → 10"),
        (2, "ttl 10 → 9 (forwarded)"),
    ]


def test_the_settings_that_count_are_those_of_when_the_packet_came():
    history = RulesetHistory("legacy")
    ruleset = Ruleset()
    for _ in xtables_save.parse(ROUTED.splitlines(), "ip", ruleset):
        pass
    history.add_given(ruleset)
    explainer = Explainer({"legacy": history})
    explainer.set_sysctls({"ipv4.ip_forward": "0"}, 1)
    explainer.set_sysctls({"ipv4.ip_forward": "1"}, 2)
    lines = [line("mangle:PREROUTING:policy:1", dport=port) for port in (80, 81)]
    first, second = (explainer.explain(packet).why for packet in assembled(hops_of(lines)))
    assert "ip_forward is 0" in first
    assert "ip_forward" not in second


@pytest.mark.parametrize("port", ["²", "9" * 5000])
def test_a_destination_whose_port_is_no_number_has_none(port):
    rules = (
        "*nat\n:PREROUTING ACCEPT [0:0]\n"
        f"-A PREROUTING -p tcp -j DNAT --to-destination 10.1.0.1:{port}\nCOMMIT\n"
    )
    _, explanation = explained(
        rules,
        line("nat:PREROUTING:rule:1"),
        line("filter:FORWARD:policy:1", dst="10.1.0.1", dport=8080),
    )
    assert explanation.hops[0].rule is not None


class Counted(Packet):
    """Counts how often all its hops are gone through for one of these."""

    __slots__ = ()
    count = 0

    def changed_at_each(self):
        Counted.count += 1
        return super().changed_at_each()

    def stamps(self):
        Counted.count += 1
        return super().stamps()


def test_the_longest_packet_is_gone_through_as_often_as_a_short_one():
    """It was gone through for each of its hops: seconds for a thousand."""
    times = []
    for length in (2, MOST_HOPS):
        points = (f"nat:KUBE-SERVICES:rule:{at}" for at in range(1, length + 1))
        (packet,) = assembled(hops_of(line(place, ttl=at % 200) for at, place in enumerate(points)))
        packet.__class__, Counted.count = Counted, 0
        explanation = Explainer({}).explain(packet)
        assert len(report.packet_json(packet, explanation)["hops"]) == length
        assert len(list(report.packet_text(packet, explanation))) == length + 2
        times.append(Counted.count)
    assert times[0] == times[1]


RAW_ONLY = "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n"


def test_a_trace_that_ends_behind_an_accepting_chain_is_accepted_so_far():
    _, explanation = explained(RAW_ONLY, line("raw:PREROUTING:policy:1"))
    assert explanation.verdict == "unknown"
    assert explanation.is_accepted_so_far
    assert explanation.why.startswith("accepted in PREROUTING")


@pytest.mark.parametrize(
    ("rules", "ttl"),
    [
        (RAW_ONLY, 1),
        (RAW_ONLY + FILTER.format(policy="ACCEPT"), 64),
        ("", 64),
    ],
    ids=["a TTL of 1", "a chain not reached", "no rules"],
)
def test_what_may_be_lost_is_unknown(rules, ttl):
    _, explanation = explained(rules, line("raw:PREROUTING:policy:1", ttl=ttl))
    assert explanation.verdict == "unknown"
    assert not explanation.is_accepted_so_far
