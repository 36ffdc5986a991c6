"""The worst case of a rule, and when it needs an override."""

from __future__ import annotations

import pytest

from tracetui.model.cost import worst_case
from tracetui.model.rule import TraceRule

ONE = TraceRule(family=4)


def test_legacy_grows_with_the_table_as_measured():
    """PERF.md: 1.49 ms a packet at 40,018 rules."""
    cost = worst_case(ONE, "legacy", 40_018)
    assert cost.per_packet == pytest.approx(1.49e-3, rel=0.05)
    assert cost.share == pytest.approx(0.03, rel=0.1)
    assert cost.refusal is None
    assert cost.text == "about 1.5 ms CPU per traced packet, at most 3.0% of one core"


def test_nft_does_not():
    assert worst_case(ONE, "nft", 10) == worst_case(ONE, "nft", 100_000)


def test_without_a_limit_legacy_needs_an_override_and_nft_does_not():
    unlimited = TraceRule(family=4, limit=None)
    assert worst_case(unlimited, "legacy", 10).refusal is not None
    assert worst_case(unlimited, "nft", 10).refusal is None
    assert "no limit" in worst_case(unlimited, "nft", 10).text


def test_a_limit_too_high_for_the_table_needs_one():
    assert worst_case(TraceRule(family=4, limit=1000), "legacy", 40_000).refusal is not None
    assert worst_case(TraceRule(family=4, limit=1000), "legacy", 10).refusal is None


def test_both_families_cost_twice():
    both = worst_case(TraceRule(), "legacy", 1000)
    assert both.share == pytest.approx(2 * worst_case(ONE, "legacy", 1000).share)
