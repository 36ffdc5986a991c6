"""The report of a trip: what is suggested comes from a rule that can have flooded."""

from __future__ import annotations

from tests.installed import installed
from tests.recorded import RECORDINGS
from tests.ui.desk import Desk

from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.session.state.trip_report import TripReport

SEED = (RECORDINGS / "seed-eks-forward.log").read_text().splitlines()
NEW = "[7:420] -A PREROUTING -p tcp -m comment --comment tracetui:1.2.3/abcdef -j TRACE"
OLD = NEW.replace("-p tcp", "-d 172.31.55.27/32 -p tcp")


def requested(**fields: str) -> TraceRule:
    return TraceRule.from_fields({"limit": "none", **fields}, 0.0)


def suggested(*lines: str) -> tuple[str, str]:
    """The source of the first suggestion where both rules were requested, the second one later."""
    desk = Desk()
    desk.feed(SEED)
    report = TripReport(desk.packets)
    report.note_request(requested(proto="tcp", dst="172.31.55.27"), "nft")
    report.note_request(requested(proto="tcp"), "nft")
    rules = installed("\n".join(["*raw", *lines, "COMMIT", ""]), "tracetui:1.2.3")
    report.note_trip(max(packet.newest for packet in desk.packets), rules)
    rule = report.suggestions(5000)[0].rule
    return rule.proto, rule.dst


def test_a_rule_that_was_deleted_is_not_suggested():
    assert suggested(NEW) == ("tcp", None)


def test_an_older_rule_is_suggested_where_the_newer_one_is_gone():
    assert suggested(OLD) == ("tcp", "172.31.55.27")


def test_of_several_the_newest_is_suggested():
    assert suggested(OLD, NEW) == ("tcp", None)
