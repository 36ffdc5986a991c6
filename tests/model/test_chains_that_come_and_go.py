"""A packet that comes while a chain is added, removed, or changed while it is read."""

from __future__ import annotations

import json

import pytest
from tests.recorded import assembled

from tracetui.model.explain.explainer import Explainer
from tracetui.model.rules.history import RulesetHistory
from tracetui.model.rules.ruleset import Ruleset
from tracetui.model.rules.snapshot import Snapshot
from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import Hop
from tracetui.model.trace.trace_point import nft_hook
from tracetui.parse.listings import nft_outline

HEADER = Header(4, "udp", "192.0.2.1", "198.51.100.1", 4000, 53, 60, 5, 64)
RAW = ["ip", "raw", "PREROUTING", "PREROUTING", -300, "accept", "filter", [3], []]
RAW_WITH_TRACE = [*RAW[:7], [9, 3], []]
FORWARD = ["ip", "filter", "FORWARD", "FORWARD", 0, "accept", "filter", [], []]
SECOND = ["ip", "filter", "second", "FORWARD", 5, "accept", "filter", [], []]


def explained(*snapshots: list, settled: tuple[bool, ...] = (True, True)):
    """A packet that came between two snapshots and was seen in FORWARD last, explained."""
    history = RulesetHistory("nft")
    for number, (chains, is_settled) in enumerate(zip(snapshots, settled), start=1):
        ruleset = Ruleset()
        value = {"tables": [["ip", "raw", 1, False], ["ip", "filter", 2, False]], "chains": chains}
        if not is_settled:
            value["settled"] = False
        for _ in nft_outline.parse(json.dumps(value), ruleset):
            pass
        history.take(Snapshot("nft", number, True, ruleset))
    hop = Hop.of(
        "nft", "ip", "filter", "FORWARD", "policy", verdict="accept",
        hook=nft_hook("ip", "filter", "FORWARD"), iif="eth0", oif="eth1", header=HEADER,
        trace_id=7, time=1e9, interval=(1, 2),
    )  # fmt: skip
    (packet,) = assembled([hop])
    return Explainer({"legacy": RulesetHistory("legacy"), "nft": history}).explain(packet)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([FORWARD], [RAW_WITH_TRACE, FORWARD]),
        ([RAW_WITH_TRACE, FORWARD], [FORWARD]),
        ([RAW, FORWARD], [RAW_WITH_TRACE, FORWARD]),
    ],
    ids=["came", "went", "changed"],
)
def test_a_chain_that_the_packet_was_past_makes_no_difference(before, after):
    explanation = explained(before, after)
    assert (explanation.verdict, explanation.why) == ("accept", "")


@pytest.mark.parametrize(
    ("before", "after"), [([FORWARD], [FORWARD, SECOND]), ([FORWARD, SECOND], [FORWARD])]
)
def test_a_chain_ahead_that_may_have_been_there_or_not_leaves_the_packet_unknown(before, after):
    explanation = explained(before, after)
    assert explanation.verdict == "unknown"
    # Nobody knows that the kernel stopped it.
    assert "stopped" not in explanation.why


def test_a_chain_ahead_that_had_another_priority_before_may_be_ahead():
    before = [FORWARD, [*SECOND[:4], -5, *SECOND[5:]]]
    assert explained(before, [FORWARD, SECOND]).verdict == "unknown"


def test_a_chain_that_snapshots_leave_out_since_it_changed_meanwhile_may_be_there():
    known = [FORWARD, SECOND]
    snapshots = [[FORWARD], [FORWARD], known]
    assert explained(*snapshots, settled=(False, False, True)).verdict == "unknown"
    assert explained(*snapshots, settled=(True, True, True)).verdict == "accept"
