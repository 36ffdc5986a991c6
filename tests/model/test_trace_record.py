"""What TRACE can say of a packet at a hook, and what only somebody else can have said."""

from __future__ import annotations

import pytest
from tests.recorded import put

from tracetui.model.explain.explainer import Explainer
from tracetui.model.rules.history import RulesetHistory
from tracetui.model.rules.logged_points import LOGGED_POINTS_KEPT, LoggedPoints, is_possible
from tracetui.model.rules.ruleset import Chain, ChainKey, ListedRule, Ruleset, built_in_chain
from tracetui.model.rules.snapshot import Snapshot
from tracetui.model.trace.assembler import Assembler
from tracetui.model.trace.batch import batches_of
from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import NFLOG, Hop
from tracetui.model.trace.trace_point import FORGED, HOOKS
from tracetui.session.recording import report

POSSIBLE = [
    ("raw", "PREROUTING", "policy", 1, "PREROUTING"),
    ("raw", "PREROUTING", "rule", 4294967295, "PREROUTING"),
    ("raw", "INPUT", "return", 1, "OUTPUT"),
    ("nat", "FORWARD", "rule", 1, "POSTROUTING"),
    ("mangle", "SHOP", "return", 2, "FORWARD"),
    ("security", "FORWARD", "policy", 2, "FORWARD"),
]
IMPOSSIBLE = [
    ("raw", "PREROUTING", "policy", 1, "OUTPUT"),
    ("raw", "PREROUTING", "rule", 1, "OUTPUT"),
    ("raw", "SHOP", "rule", 1, "INPUT"),
    ("nat", "SHOP", "rule", 1, "FORWARD"),
    ("filter", "SHOP", "return", 1, "PREROUTING"),
    ("filter", "SHOP", "policy", 1, "INPUT"),
    ("filter", "INPUT", "return", 1, "INPUT"),
    ("raw", "INPUT", "policy", 1, "INPUT"),
    ("shop", "INPUT", "rule", 1, "INPUT"),
    ("filter", "INPUT", "rule", 0, "INPUT"),
    ("filter", "INPUT", "rule", 4294967296, "INPUT"),
    ("filter", "INPUT", "rule", 1, None),
]


@pytest.mark.parametrize("said", POSSIBLE)
def test_what_trace_can_say(said):
    assert is_possible(*said)


@pytest.mark.parametrize("said", IMPOSSIBLE)
def test_what_trace_can_not_say(said):
    assert not is_possible(*said)


HEADER = Header(family=4, proto="udp", src="192.0.2.1", dst="192.0.2.2", sport=1, dport=2, ip_id=7)


def hop(table: str, chain: str, kind: str, number: int, **more) -> Hop:
    fields = {"hook": chain if chain in HOOKS else None, "header": HEADER, "time": 1e9, **more}
    return Hop.of("legacy", "ip", table, chain, kind, number, **fields)


def test_a_made_up_hop_is_a_packet_of_its_own_wherever_it_comes():
    """Between the hops of a packet that looks the same, in one run or one by one."""
    path = [hop(table, "OUTPUT", "policy", 1) for table in ("raw", "mangle", "filter")]
    forged = hop("raw", "PREROUTING", "policy", 1, hook="OUTPUT", source=FORGED)
    # One look, as the reader of datagrams gives hops that look the same.
    one_look = [each._replace(state=path[0].state) for each in path]
    for at in range(len(path) + 1):
        hops = [*one_look[:at], forged._replace(state=path[0].state), *one_look[at:]]
        for found in (together(hops), one_by_one(hops)):
            assert sorted(len(packet.hops) for packet in found) == [1, 3]
            (alone,) = (packet for packet in found if packet.hops[0].source == FORGED)
            assert len(alone.hops) == 1
            assert alone.verdict == "unknown"
            assert alone.header == HEADER


def together(hops: list[Hop]) -> list:
    found = {}
    Assembler().take(batches_of(hops), lambda packet, count: found.update({packet.id: packet}))
    return list(found.values())


def one_by_one(hops: list[Hop]) -> list:
    assembler = Assembler()
    return list({packet.id: packet for packet in (put(assembler, hop) for hop in hops)}.values())


def test_many_made_up_hops_keep_no_packet_from_its_next_hop():
    assembler = Assembler(open_packets=2)
    first = put(assembler, hop("raw", "OUTPUT", "policy", 1))
    for number in range(1, 100):
        put(assembler, hop("nat", "SHOP", "policy", number, hook="OUTPUT", source=FORGED))
    assert put(assembler, hop("mangle", "OUTPUT", "policy", 1)) is first


def history(*snapshots: Ruleset | None) -> RulesetHistory:
    past = RulesetHistory("legacy")
    for number, ruleset in enumerate(snapshots, start=1):
        past.take(Snapshot("legacy", number, True, ruleset))
    return past


def ruleset(*rules: str, **chains: tuple[str, ...]) -> Ruleset:
    """Of the filter table: the rules of OUTPUT, and other chains."""
    listed = {name: tuple(map(ListedRule, texts)) for name, texts in chains.items()}
    found = {ChainKey("ip", "filter", name): Chain(name, one) for name, one in listed.items()}
    output = built_in_chain("filter", "OUTPUT", "accept", tuple(map(ListedRule, rules)))
    return Ruleset({ChainKey("ip", "filter", "OUTPUT"): output, **found})


def explained(one: Hop, *snapshots: Ruleset | None, logged: str = ""):
    """The explanation of a hop between the first two snapshots, alone in its packet."""
    legacy, nft = history(*snapshots), RulesetHistory("nft")
    if logged:
        nft.add_given(Ruleset({ChainKey("inet", "t", "c"): Chain("c", (ListedRule(logged, 5),))}))
    packet = put(Assembler(), one.with_(interval=(1, 2)))
    explanation = Explainer({"legacy": legacy, "nft": nft}).explain(packet)
    return packet, explanation, report.packet_json(packet, explanation)["hops"][0]


RULES = ruleset("-A OUTPUT -j SHOP", SHOP=("-A SHOP -p tcp -j ACCEPT",))


@pytest.mark.parametrize(
    ("chain", "kind", "number"),
    [
        ("OUTPUT", "rule", 2),
        ("OUTPUT", "rule", 3),
        ("OUTPUT", "policy", 3),
        ("SHOP", "return", 3),
        ("OTHER", "rule", 1),
    ],
)
def test_a_rule_that_neither_reading_found_may_be_made_up(chain, kind, number):
    one = hop("filter", chain, kind, number, hook="OUTPUT")
    packet, explanation, value = explained(one, RULES, None)
    assert value["source"] == NFLOG
    assert "(no such rule was installed)" in report.hop_text(packet, explanation, 0)
    assert "may be forged" in report.head_text(packet, explanation)


@pytest.mark.parametrize(
    ("chain", "kind", "number"),
    [("OUTPUT", "rule", 1), ("OUTPUT", "policy", 2), ("SHOP", "rule", 1), ("SHOP", "return", 2)],
)
def test_a_rule_that_both_readings_found_is_the_kernels_word(chain, kind, number):
    one = hop("filter", chain, kind, number, hook="OUTPUT")
    assert "source" not in explained(one, RULES, None)[2]


def test_a_chain_that_came_or_went_meanwhile_is_not_called_made_up():
    one = hop("filter", "OTHER", "rule", 1, hook="OUTPUT")
    more = ruleset("-A OUTPUT -j SHOP", SHOP=(), OTHER=("-A OTHER -j DROP",))
    assert "source" not in explained(one, RULES, more)[2]
    assert "source" not in explained(one, more, RULES)[2]


def test_a_chain_of_a_table_that_could_not_be_read_is_not_called_made_up():
    one = hop("mangle", "OTHER", "rule", 1, hook="OUTPUT")
    assert "source" not in explained(one, RULES, None)[2]
    assert "source" not in explained(hop("filter", "OTHER", "rule", 1), Ruleset(), None)[2]


def test_a_name_that_a_listing_may_show_otherwise_is_not_called_made_up():
    one = hop("filter", 'O"TH', "rule", 1, hook="OUTPUT")
    assert "source" not in explained(one, RULES, None)[2]


@pytest.mark.parametrize(
    "logged",
    [
        '-A OUTPUT -j NFLOG --nflog-prefix "TRACE: filter:OUTPUT:policy:2 "',
        '-A OUTPUT -j NFLOG --nflog-prefix "TRACE: filter:OUTPUT:policy:2 " --nflog-threshold 1',
        'ip daddr 192.0.2.2 log prefix "TRACE: filter:OUTPUT:policy:2 " group 0',
    ],
)
def test_a_hop_that_a_rule_says_too_may_be_made_up(logged):
    """No matter in whose tables that rule stands; what became of the packet is not known then."""
    one = hop("filter", "OUTPUT", "policy", 2, hook="OUTPUT")
    _, explanation, value = explained(one, RULES, None, logged=logged)
    assert value["source"] == NFLOG
    assert (explanation.verdict, explanation.decided) == ("unknown", None)
    other = hop("filter", "OUTPUT", "rule", 1, hook="OUTPUT")
    assert "source" not in explained(other, RULES, None, logged=logged)[2]


@pytest.mark.parametrize(
    "text",
    [
        '-A OUTPUT -m comment --comment "TRACE: filter:OUTPUT:policy:2 " -j ACCEPT',
        '-A OUTPUT -j NFLOG --nflog-prefix "TRACE: filter:OUTPUT:policy:21 "',
        '-A OUTPUT -j NFLOG --nflog-prefix "x"',
    ],
)
def test_a_rule_that_says_something_else_marks_nothing(text):
    one = hop("filter", "OUTPUT", "policy", 2, hook="OUTPUT")
    assert "source" not in explained(one, RULES, None, logged=text)[2]


def test_where_rules_say_more_than_is_remembered_every_hop_may_be_theirs():
    points = LoggedPoints()
    said = '-A X -j NFLOG --nflog-prefix "TRACE: raw:X:rule:{} "'
    texts = (ListedRule(said.format(number)) for number in range(1, LOGGED_POINTS_KEPT + 1))
    points.note(Chain("X", tuple(texts)))
    assert "raw:X:rule:1" in points
    assert "raw:Y:rule:1" not in points
    points.note(Chain("X", (ListedRule(said.format(LOGGED_POINTS_KEPT + 1)),)))
    assert "raw:Y:rule:1" in points
