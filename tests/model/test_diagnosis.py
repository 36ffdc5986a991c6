"""Why nothing is shown: what counters and sources prove."""

from __future__ import annotations

from tracetui.model.node.diagnosis import SilentTrace, silence
from tracetui.model.node.needs import Evidence, needs
from tracetui.model.tracing.installed_rule import InstalledRule

NOW = 1_700_000_000.0


def rule(packets=0, backend="nft", chain="PREROUTING", expires=NOW + 60, position=1):
    return InstalledRule(
        backend, 4, chain, ("-p", "icmp", "-j", "TRACE"), packets, 0, "tracetui:1.2.3/a",
        expires, True, position=position,
    )  # fmt: skip


def causes(*rules, **known) -> list[str]:
    return [finding.cause for finding in silence(SilentTrace(rules, NOW, **known))]


def test_a_counter_that_stays_at_0_means_that_no_packet_matched():
    found = causes(rule(), sources={"nftrace": ("failed", "no root")})
    assert found[0] == "no packet has matched the rule yet"
    assert not any("nftrace" in one for one in found)


def test_the_other_chain_and_the_other_namespace_are_pointed_to():
    where = silence(SilentTrace([rule()], NOW))
    assert any("--chain OUTPUT" in finding.remedy for finding in where)
    assert any("this node's own namespace" in finding.cause for finding in where)
    other = silence(SilentTrace([rule(chain="OUTPUT")], NOW, netns="blue"))
    assert any("--chain PREROUTING" in finding.remedy for finding in other)
    assert any("blue" in finding.cause for finding in other)
    both = silence(SilentTrace([rule(), rule(chain="OUTPUT")], NOW))
    assert not any("--chain" in finding.remedy for finding in both)


def test_a_rule_behind_anothers_is_said_so():
    assert any("2 rules come before it in PREROUTING" in one for one in causes(rule(position=3)))
    assert not any("before it" in one for one in causes(rule()))


def test_matched_packets_without_hops_are_put_to_the_source_that_should_have_them():
    taken = {"nflog": ("failed", "nflog group 0 is taken by another program")}
    found = silence(SilentTrace([rule(7, "legacy")], NOW, taken))
    assert found[0].cause == "the rule matched 7 packets, but no hop reached us"
    assert "nflog is failed" in found[1].cause
    assert "ulogd" in found[1].remedy
    # The source of the other backend has no part in it.
    assert not any("nflog" in one for one in causes(rule(7), sources=taken))
    assert not any("nftrace" in c for c in causes(rule(7), sources={"nftrace": ("on", "")}))


def test_hops_that_came_are_no_silence():
    assert causes(rule(7), hops=9) == []


def test_a_rule_that_is_over_says_so():
    assert causes(rule(7, expires=NOW - 1)) == ["the rule has expired"]
    assert "no packet has matched" in causes(rule(expires=NOW - 1), rule())[0]


def test_a_part_of_the_kernel_that_the_rule_needs_and_that_is_missing_is_named():
    lacking = needs(Evidence(loaded=["nf_tables"], on_disk=["nfnetlink_log"], built_in=[]))
    legacy = silence(SilentTrace([rule(7, "legacy")], NOW, needs=lacking))
    assert any("modprobe nfnetlink_log" in finding.remedy for finding in legacy)
    assert any("TRACE target is missing" in finding.cause for finding in legacy)
    nft = silence(SilentTrace([rule(7)], NOW, needs=lacking))
    assert not any("TRACE target" in finding.cause for finding in nft)
