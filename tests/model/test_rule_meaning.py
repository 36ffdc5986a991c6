"""What a rule's text says, and whether a packet can have matched it."""

from __future__ import annotations

import pytest

from tracetui.model.header import Header
from tracetui.model.rule_meaning import contradiction, meaning

WEB = Header(4, "tcp", "10.200.1.2", "10.96.0.80", sport=40000, dport=80)


@pytest.mark.parametrize(
    ("text", "target", "comment"),
    [
        ('-A S -m comment --comment "default/web:http" -j KUBE-SVC-X', "KUBE-SVC-X", "default/web:http"),
        ("-A S -m comment --comment short -g U4", "U4", "short"),
        ('-A F -m comment --comment "say -j DROP" -j ACCEPT', "ACCEPT", "say -j DROP"),
        (
            '-A cali-tw-x -m comment --comment "cali:wUHhoiAYhphO9Mso" -m comment --comment "Policy '
            'default/knp.allow" -j MARK --set-xmark 0x10000/0x10000',
            *("MARK", "Policy default/knp.allow"),
        ),
        ('-A F -m comment --comment "cali:wUHhoiAYhphO9Mso" -j cali-F', "cali-F", "cali:wUHhoiAYhphO9Mso"),
        ("-A F -s 10.0.0.0/8", None, None),
        ('-A F -j LOG --log-prefix "-g" --log-level 7', "LOG", None),
        ("-A F -m string --string -j --algo bm -j DROP", "DROP", None),
        ('-A F -m comment --comment "it\\\'s" -j DROP', "DROP", "it's"),
        ('tcp dport { 80, 443 } counter jump front comment "the shop"', "front", "the shop"),
        ("ip saddr 10.0.0.1 reject with icmp type port-unreachable", "REJECT", None),
    ],
)  # fmt: skip
def test_target_and_comment(text, target, comment):
    assert (meaning(text).target, meaning(text).comment) == (target, comment)


@pytest.mark.parametrize(
    ("text", "is_unconditional"),
    [
        ("-A X -j DROP", True),
        ("-A X -j REJECT --reject-with icmp-port-unreachable", True),
        ("-A X -p icmp -j DROP", False),
        ("-A X ! -f -j DROP", False),
        ("-A X -m comment --comment why -j DROP", False),
        ("-A X ! -i lo -j RETURN", False),
    ],
)
def test_a_rule_without_any_test_is_unconditional(text, is_unconditional):
    assert meaning(text).is_unconditional is is_unconditional


@pytest.mark.parametrize(
    ("text", "failed"),
    [
        ("-A S -d 10.96.0.80/32 -p tcp -m tcp --dport 80 -j X", None),
        ("-A S -d 10.96.0.81/32 -p tcp -m tcp --dport 80 -j X", "-d 10.96.0.81/32"),
        ("-A S ! -d 10.96.0.0/16 -j X", "! -d 10.96.0.0/16"),
        ("-A S -p udp -m udp --dport 80 -j X", "-p udp"),
        ("-A S -p tcp -m tcp --dport 81:90 -j X", "--dport 81:90"),
        ("-A S -p tcp -m tcp ! --sport 40000 -j X", "! --sport 40000"),
        ("-A S -i cali+ -j X", "-i cali+"),
        ("-A S -i eth+ -o eth1 -j X", None),
        ("-A S -m set --match-set nodes src -j X", None),
        ("-A S -p 6 -j X", None),
        ("-A S -p tcp -m multiport --dports 81,82 -j X", None),
        ("-A S -d 10.96.0.81/32 -j DNAT --to-destination 10.0.0.1:80", "-d 10.96.0.81/32"),
    ],
)
def test_a_test_that_the_packet_fails_is_found(text, failed):
    found = contradiction(meaning(text), WEB, "eth0", None)
    assert (found.text if found else None) == failed


def test_what_is_not_known_of_a_packet_contradicts_nothing():
    text = "-A S -d 10.96.0.81/32 -i eth1 -j X"
    assert contradiction(meaning(text), None, None, None) is None


@pytest.mark.parametrize("text", ["", "-A", '-A X -m comment --comment "open', "-A X -j", "jump"])
def test_a_rule_that_was_cut_raises_nothing(text):
    assert meaning(text).tests == ()


@pytest.mark.parametrize("value", ["²", "\u0661", "9" * 5000, "", "http", "80:90:100", "-1"])
def test_a_port_that_is_no_number_contradicts_nothing(value):
    rule = meaning(f'-A X -p tcp --dport "{value}" -j DROP')
    assert contradiction(rule, WEB, None, None) is None


def test_a_rule_of_many_words_is_read_at_once():
    assert len(meaning(f"-A X {'-p tcp ' * 400_000}-j DROP").tests) == 400_000
