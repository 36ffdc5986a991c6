"""Hops of nft and of legacy at one hook stand in the order in which the packet passed them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tracetui.model.rules.ruleset import Chain, ChainKey, ListedRule, Ruleset, built_in_chain
from tracetui.model.rules.snapshot import Snapshot
from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import Hop
from tracetui.model.trace.packet import Packet
from tracetui.session.rulesets.rulesets import Rulesets
from tracetui.session.state.explanations import Explanations

HEADER = Header(4, "tcp", "10.0.0.1", "10.0.0.2", sport=40000, dport=80)
RULE = ListedRule("counter", 9)


def hop(backend: str, table: str, chain: str, kind: str = "policy", **more) -> Hop:
    family = "inet" if table == "firewalld" else "ip"
    values = {"verdict": "accept"} if backend == "nft" else {"rulenum": 1}
    return Hop.of(
        backend=backend, family=family, table=table, chain=chain, type=kind, header=HEADER,
        iif="eth0", interval=(1, 2), **{**values, **more},
    )  # fmt: skip


def explanations_of(*chains: tuple[str, int]) -> Explanations:
    """On a node whose legacy tables are raw and filter, and whose nft chains are these."""
    rulesets = Rulesets()
    legacy = Ruleset()
    for table, chain in (("raw", "PREROUTING"), ("filter", "INPUT")):
        legacy.chains[ChainKey("ip", table, chain)] = built_in_chain(table, chain, "accept", ())
    nft = Ruleset(instances={("inet", "firewalld"): 1})
    for name, priority in chains:
        key = ChainKey("inet", "firewalld", name)
        nft.chains[key] = Chain(name, (RULE,), "accept", "INPUT", priority)
    nft.chains[ChainKey("inet", "firewalld", "zone")] = Chain("zone", ())
    for number in (1, 2):
        for backend, ruleset in (("legacy", legacy), ("nft", nft)):
            rulesets.histories[backend].take(Snapshot(backend, number, True, ruleset))
    return Explanations(rulesets)


def packet_of(hops: Sequence[Hop]) -> Packet:
    packet = Packet(1)
    for one in hops:
        packet.add(one, one.hook)
    return packet


def told(packet: Packet) -> list[str]:
    return [f"{one.backend} {one.chain}" for one in packet.hops]


LEGACY = (hop("legacy", "raw", "PREROUTING"), hop("legacy", "filter", "INPUT"))
EARLY, LATE = hop("nft", "firewalld", "early"), hop("nft", "firewalld", "late")


@pytest.mark.parametrize(
    "arrived", [(EARLY, LATE, *LEGACY), (*LEGACY, EARLY, LATE), (LEGACY[0], EARLY, LATE, LEGACY[1])]
)
def test_they_stand_by_priority_whichever_came_first(arrived):
    packet = packet_of(arrived)
    explanation = explanations_of(("early", -10), ("late", 10)).of(packet)
    assert told(packet) == ["legacy PREROUTING", "nft early", "legacy INPUT", "nft late"]
    assert (explanation.verdict, explanation.decided) == ("accept", 3)
    assert len(explanation.hops) == 4


def test_a_chain_that_was_met_is_not_said_to_be_not_reached():
    packet = packet_of((LATE, *LEGACY))
    explanation = explanations_of(("late", 10)).of(packet)
    assert (explanation.verdict, explanation.why) == ("accept", "")


def test_a_chain_behind_the_last_one_that_was_not_met_is_still_told_of():
    packet = packet_of((EARLY, *LEGACY))
    explanation = explanations_of(("early", -10), ("late", 10)).of(packet)
    assert explanation.verdict == "unknown"
    assert "firewalld late was not reached" in explanation.why


def test_a_user_chain_goes_with_the_base_chain_that_led_there():
    jump = hop("nft", "firewalld", "late", "rule", verdict="jump zone", handle=9)
    back = hop("nft", "firewalld", "zone", "return", verdict="continue")
    packet = packet_of((jump, back, LATE, *LEGACY))
    explanations_of(("late", 10)).of(packet)
    assert told(packet) == [
        "legacy PREROUTING", "legacy INPUT", "nft late", "nft zone", "nft late",
    ]  # fmt: skip


def test_of_one_priority_they_stay_as_they_came():
    packet = packet_of((EARLY, *LEGACY))
    explanation = explanations_of(("early", 0)).of(packet)
    assert told(packet) == ["legacy PREROUTING", "nft early", "legacy INPUT"]
    assert explanation.verdict == "accept"


def test_where_a_place_is_not_known_nothing_is_moved():
    stranger = hop("nft", "firewalld", "zone", "return", verdict="continue")
    packet = packet_of((stranger, *LEGACY))
    before = told(packet)
    explanations_of(("late", 10)).of(packet)
    assert told(packet) == before


def test_a_packed_packet_is_put_in_order_too():
    packet = packet_of((EARLY, LATE, *LEGACY))
    packet.pack()
    explanations_of(("early", -10), ("late", 10)).of(packet)
    assert told(packet) == ["legacy PREROUTING", "nft early", "legacy INPUT", "nft late"]
