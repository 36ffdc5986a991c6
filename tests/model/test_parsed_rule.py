"""What a rule's text says, and whether a packet can have matched it."""

from __future__ import annotations

import pytest

from tracetui.model.rules.parsed_rule import mismatch, parse_rule
from tracetui.model.trace.header import Header

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
    assert (parse_rule(text).target, parse_rule(text).comment) == (target, comment)


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
    assert parse_rule(text).is_unconditional is is_unconditional


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
    found = mismatch(parse_rule(text), WEB, "eth0", None)
    assert (found.text if found else None) == failed


def test_what_is_not_known_of_a_packet_contradicts_nothing():
    text = "-A S -d 10.96.0.81/32 -i eth1 -j X"
    assert mismatch(parse_rule(text), None, None, None) is None


@pytest.mark.parametrize("text", ["", "-A", '-A X -m comment --comment "open', "-A X -j", "jump"])
def test_a_rule_that_was_cut_raises_nothing(text):
    assert parse_rule(text).tests == ()


@pytest.mark.parametrize("value", ["²", "\u0661", "9" * 5000, "", "http", "80:90:100", "-1"])
def test_a_port_that_is_no_number_contradicts_nothing(value):
    rule = parse_rule(f'-A X -p tcp --dport "{value}" -j DROP')
    assert mismatch(rule, WEB, None, None) is None


def test_a_rule_of_many_words_is_read_at_once():
    assert len(parse_rule(f"-A X {'-p tcp ' * 400_000}-j DROP").tests) == 400_000


@pytest.mark.parametrize(
    ("test", "address", "is_in"),
    [
        ("-s 0.0.0.2/0.0.0.255", "10.0.0.2", True),
        ("-s 0.0.0.2/0.0.0.255", "0.0.0.3", False),
        ("-s 0.1.0.0/0.255.255.255", "9.1.0.0", True),
        ("-s 0.1.0.0/0.255.255.255", "0.1.0.1", False),
        ("-s 10.0.1.0/255.0.255.0", "10.77.1.9", True),
        ("-s 10.0.0.0/8", "10.1.2.3", True),
        ("-s 10.0.0.1/32", "10.0.0.2", False),
        ("-s 0.0.0.0/0", "1.2.3.4", True),
        ("-s ::7/::ffff", "fd00::7", True),
        ("-s ::7/::ffff", "fd00::8", False),
        ("-s fd00::/8", "10.0.0.1", False),
        ("-s 10.0.0.0/300", "10.0.0.0", True),
    ],
)
def test_a_mask_is_compared_bit_by_bit_whatever_its_form(test, address, is_in):
    """Python takes some masks for host masks: 0.0.0.2/0.0.0.255 was 0.0.0.0/24."""
    packet = WEB._replace(src=address)
    assert (mismatch(parse_rule(f"-A X {test} -j DROP"), packet, None, None) is None) is is_in


@pytest.mark.parametrize(
    "text",
    [
        "ct status dnat accept",
        "ct status snat,dnat accept",
        "ct status & dnat == dnat accept",
        "icmp type redirect accept",
        "icmp type != redirect accept",
        'log prefix "masquerade" accept',
        'iifname "dnat" accept',
        'iifname { "snat", "masquerade" } accept',
        "ip saddr @dnat accept",
        'ct helper set "redirect" accept',
        'meta mark "snat" counter accept comment "redirect dnat"',
        "ct mark set 0x1 accept",
    ],
)
def test_a_word_that_is_a_value_is_no_statement(text):
    said = parse_rule(text)
    assert (said.target, said.changes) == ("ACCEPT", ())


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("tcp dport 80 dnat ip to 10.0.0.1:8080", ("dst", "dport")),
        ("ct status dnat masquerade random", ("src", "sport")),
        ("icmp type redirect counter redirect to :80", ("dst", "dport")),
        ("dnat to ip daddr map { 1.1.1.1 : 10.0.0.1, 1.1.1.2 : 10.0.0.2 }", ("dst", "dport")),
        ("ip daddr set 10.0.0.1 udp sport set 53", ("dst", "sport")),
        ("ip6 saddr set fd00::1 th dport set 1", ("src", "dport")),
        ("meta mark set meta mark | 0x4000 accept", ("mark",)),
        ("ip ttl set 1 ip6 hoplimit set 1", ("ttl", "ttl")),
        ("add @seen { ip saddr set 5 }", ()),
    ],
)
def test_a_statement_tells_what_it_rewrites(text, changes):
    assert parse_rule(text).changes == changes


@pytest.mark.parametrize(
    "text",
    [
        "tcp dport vmap { 22 : jump ssh, 443 : drop }",
        "ip saddr . tcp dport vmap @verdicts",
        "fib daddr . iif type vmap { unicast : accept, blackhole : drop }",
        'iifname vmap { "eth0" : goto wan, "{ drop" : accept } comment "by port"',
        'tcp dport 81 goto { log prefix "a } b"; drop }',
        "jump { ip saddr { 1.1.1.1, 2.2.2.2 } accept; counter }",
    ],
)
def test_where_a_map_or_an_unnamed_chain_decides_the_text_names_no_target(text):
    said = parse_rule(text)
    assert (said.target, said.verdict, said.is_open) == (None, None, True)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("jump drop", "drop"),
        ("tcp dport { 8080,8081} counter accept", "ACCEPT"),
        ("tcp dport { 22 : drop,443 : drop} ip saddr { 1.1.1.1} jump a}b", "a}b"),
        ("tcp dport 22 goto accept", "accept"),
        ('counter comment "drop" accept', "ACCEPT"),
        ("meta l4proto { tcp, udp } counter continue", None),
        ("queue flags bypass to 1-3", "QUEUE"),
        ("reject with icmp type redirect", "REJECT"),
        ("tcp dport { 22, 23 } counter packets 1 bytes 2 drop", "DROP"),
        ('iifname "jump" ip saddr 10.0.0.1', None),
    ],
)
def test_the_target_of_a_rule_of_nft_is_its_statement_s(text, target):
    assert parse_rule(text).target == target


def test_a_rule_begins_a_trace_by_its_statement_not_by_its_comment():
    assert parse_rule("tcp dport 80 meta nftrace set 1").begins_trace
    assert parse_rule("-A PREROUTING -p tcp -j TRACE").begins_trace
    assert not parse_rule("meta nftrace set 0").begins_trace
    assert not parse_rule('counter comment "meta nftrace set 1"').begins_trace
