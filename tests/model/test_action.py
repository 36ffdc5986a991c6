"""A hop says first, in a word or two, what its rule did."""

from __future__ import annotations

import pytest

from tracetui.model.explain.action import action, is_told
from tracetui.model.explain.explanation import FieldChange, HopExplanation
from tracetui.model.rules.lookup import KNOWN
from tracetui.model.rules.parsed_rule import parse_rule
from tracetui.model.rules.ruleset import ListedRule

TO_POD = FieldChange("dst", ("10.96.0.80", 80), ("10.50.3.2", 8080), "rule", 0)
FROM_NODE = FieldChange("src", ("10.50.3.2", 40000), ("192.0.2.1", 40000), "rule", 0)
MARKED = FieldChange("mark", (0, None), (0x4000, None), "rule", 0)


def acted(rule: str, *changes: FieldChange, verdict: str = "") -> str:
    """The action of a rule, by its own verdict or by the one that the kernel printed."""
    parsed = verdict or parse_rule(rule).verdict
    return action(HopExplanation(KNOWN, parsed, ListedRule(rule, 7)), changes)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("-p tcp -j DNAT --to-destination 10.50.3.2:8080", "DNAT → 10.50.3.2:8080"),
        ("-j MASQUERADE", "MASQUERADE"),
        ("-j SNAT --to-source 192.0.2.1", "SNAT → 192.0.2.1"),
        ("-p tcp -j REDIRECT --to-ports 3128", "REDIRECT → :3128"),
        ("-j REJECT --reject-with icmp-port-unreachable", "reject"),
        ("-j DROP", "drop"),
        ("-j ACCEPT", "accept"),
        ("-j RETURN", "return"),
        ("-j NFQUEUE --queue-num 3", "queue 3"),
        ("-j TEE --gateway 10.0.0.9", "TEE copy"),
        ("-j CT --notrack", "CT notrack"),
        ("-j NOTRACK", "CT notrack"),
        ("-j MARK --set-xmark 0x4000/0xffffffff", "MARK 0x4000"),
        ("-j MARK --set-xmark 0x4000/0x4000", "MARK 0x4000"),
        ("-j CONNMARK --restore-mark --nfmask 0xf --ctmask 0xf", "CONNMARK restore"),
        ('-j LOG --log-prefix "x -j DROP "', "LOG"),
        ('-p tcp -m comment --comment "-j DNAT" -j ACCEPT', "accept"),
        ("-p tcp", ""),
    ],
)
def test_a_target_of_iptables(target, words):
    assert acted(f"-A X {target}") == words


@pytest.mark.parametrize(
    ("rule", "verdict", "words"),
    [
        ("tcp dport 80 dnat ip to 10.50.3.2:8080", "accept", "DNAT → 10.50.3.2:8080"),
        ('oifname "eth0" masquerade', "accept", "MASQUERADE"),
        ("ct status dnat accept", "accept", "accept"),
        ("icmp type redirect drop", "drop", "drop"),
        ("reject with icmp type admin-prohibited", "drop", "reject"),
        ("queue flags bypass to 4", "queue", "queue 4"),
        ("queue num 0", "queue", "queue 0"),
        ("tcp flags syn synproxy mss 1460", "stolen", "stolen by SYNPROXY"),
        ("fwd to eth1", "stolen", "fwd → eth1"),
        ("dup to 10.0.0.9", "continue", "TEE copy"),
        ("notrack", "continue", "CT notrack"),
        ("meta mark set 0x00004000", "continue", "MARK 0x4000"),
        ('log prefix "dnat to " accept', "accept", "accept"),
        ("tcp dport 80 jump dnat", "jump dnat", "jump dnat"),
        ("counter", "continue", ""),
    ],
)
def test_a_statement_of_nft(rule, verdict, words):
    assert acted(rule, verdict=verdict) == words


def test_the_packet_shows_where_to_better_than_the_rule():
    assert acted("-A X -j DNAT --to-destination 10.50.3.2-10.50.3.9", TO_POD) == (
        "DNAT → 10.50.3.2:8080"
    )
    assert acted("-A X -j MASQUERADE", FROM_NODE) == "MASQUERADE → 192.0.2.1:40000"
    assert acted("-A X -j MARK --set-xmark 0x0/0x1", MARKED) == "MARK 0x4000"


def test_a_change_is_told_once():
    told = acted("-A X -j DNAT --to-destination 10.50.3.2:8080", TO_POD)
    assert is_told(TO_POD, told)
    assert not is_told(FROM_NODE, told)
    assert is_told(MARKED, "MARK 0x4000")
    assert not is_told(TO_POD, "accept")


def test_without_a_rule_the_kernel_s_verdict_is_all():
    assert action(HopExplanation(KNOWN, "drop"), ()) == "drop"
    assert action(HopExplanation(KNOWN, None), (TO_POD,)) == ""
