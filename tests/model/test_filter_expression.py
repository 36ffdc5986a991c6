"""Filters in tcpdump's words, extended: what they let through, and where a wrong one goes wrong."""

from __future__ import annotations

from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracetui.model.filter.expression import KEYWORDS
from tracetui.model.filter.view_filter import ViewFilter
from tracetui.model.filter.words import InvalidFilter, quote
from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import Hop
from tracetui.model.trace.packet import Packet


def natted() -> Packet:
    """A DNS query to a service, which DNAT gives to a pod; marked on the way."""
    packet = Packet(1)
    header = Header(4, "udp", "10.1.0.9", "10.96.0.10", 4000, 53, length=60, ttl=63)
    hop = Hop.of("legacy", "ip", "raw", "PREROUTING", "policy", 2, iif="eth0", header=header)
    mac = "02:00:00:00:00:09 > 02:00:00:00:00:01 vlan 12"
    packet.add(hop.with_(mac=mac), "PREROUTING")
    rule = '-A KUBE-SVC-DNS -m comment --comment "kube-system/dns" -j KUBE-SEP-1'
    packet.add(
        hop.with_(table="nat", chain="KUBE-SVC-DNS", type="rule", mark=0x4001, rule=rule),
        "PREROUTING",
    )
    after = header._replace(dst="10.2.0.7", dport=5353)
    packet.add(hop.with_(table="filter", chain="FORWARD", oif="veth12", header=after), "FORWARD")
    return packet


def dropped6() -> Packet:
    packet = Packet(2)
    header = Header(6, "tcp", "fd00::1", "fd00::2", 5, 443, length=80, flags="ACK SYN")
    hop = Hop.of("nft", "ip6", "filter", "INPUT", "rule", handle=4, iif="lo", header=header)
    packet.add(hop.with_(verdict="drop"), "INPUT")
    return packet


NATTED, DROPPED6 = natted(), dropped6()


def let_through(expression: str) -> list[int]:
    view = ViewFilter.parse(expression=expression)
    return [packet.id for packet in (NATTED, DROPPED6) if view.matches(packet)]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("", [1, 2]),
        ("10.1.0.9", [1]),
        ("host 10.2.0.7", [1]),
        ("src 10.0.0.0/8", [1]),
        ("src host 10.2.0.7", []),
        ("net 10.96", [1]),
        ("net 10.96/16", [1]),
        ("net 10.97/16", []),
        ("net 10/8", [1]),
        ("net 10.96.0.0 mask 255.255.0.0", [1]),
        ("port domain", [1]),
        ("dst port https", [2]),
        ("tcp port HTTPS or ssh", [2]),
        ("proto ipv6-icmp", []),
        ("proto 6", [2]),
        ("ip proto \\udp", [1]),
        ("ether host 02:00:00:00:00:09", [1]),
        ("ether host 2-0-0-0-0-9", [1]),
        ("ether src 02:00:00:00:00:01", []),
        ("ether dst host 02:00:00:00:00:01", [1]),
        ("ether multicast", []),
        ("ether broadcast", []),
        ("ether proto ip6", [2]),
        ("vlan", [1]),
        ("vlan 12", [1]),
        ("vlan 1 or vlan 2", []),
        ("multicast", []),
        ("not ip6 multicast", [1, 2]),
        ("syn", [2]),
        ("tcp-syn", [2]),
        ("syn and not ack", []),
        ("ack", [2]),
        ("fin or rst", []),
        ("tcp[tcpflags] & tcp-syn != 0", [2]),
        ("tcp[tcpflags]&tcp-syn!=0", [2]),
        ("tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", [2]),
        ("(tcp[13] & 2) != 0", [2]),
        ("(tcp[13] & 2 != 0)", [2]),
        ("((tcp[13] & 2) != 0 and ip6)", [2]),
        ("not tcp[13] & 2 != 0", [1]),
        ("tcp[tcpflags] == tcp-syn|tcp-ack", [2]),
        ("tcp[tcpflags] == tcp-syn", []),
        ("tcp[tcpflags] & tcp-rst == 0", [2]),
        ("tcp[0:2] < 1024 and tcp[2:2] = 443", [2]),
        ("udp[2:2] = 5353", [1]),
        ("ip[9] = 17", [1]),
        ("ip[8] <= 63", [1]),
        ("ip[16:4] = 0x0a60000a", [1]),
        ("ip6[4:2] = 40", [2]),
        ("icmp[icmptype] = icmp-echo", []),
        ("len > 60", [2]),
        ("len>=60 and len<80", [1]),
        ("60 < len", [2]),
        ("len / 2 - 10 = 30", [2]),
        ("len % 0 = 0", []),
        ("chain len", []),
        ("text tcp[13]", []),
        ("dst net 10.96.0.0/16 and dst port 53", [1]),
        ("dst 10.96.0.10 and dst port 5353", []),
        ("dst 10.2.0.7 and dst port 5353", [1]),
        ("port 53 or 443", [1, 2]),
        ("udp port 53 or 443", [1]),
        ("portrange 440-450", [2]),
        ("src or dst port 443", [2]),
        ("src and dst net fd00::/16", [2]),
        ("udp", [1]),
        ("tcp or udp", [1, 2]),
        ("ip6", [2]),
        ("ip proto 17", [1]),
        ("proto UDP", [1]),
        ("less 60", [1]),
        ("greater 61", [2]),
        ("chain KUBE-SVC-*", [1]),
        ("chain kube-svc-*", []),
        ("table nat", [1]),
        ("backend nft", [2]),
        ("verdict drop", [2]),
        ("nat", [1]),
        ("mark 0x4001", [1]),
        ("mark 0x4000/0x4000", [1]),
        ("mark 0", [1, 2]),
        ("iface veth+", [1]),
        ("in eth0", [1]),
        ("out eth0", []),
        ('text "kube-system/DNS"', [1]),
        ("text filter:input", [2]),
        ("not nat", [2]),
        ("! nat", [2]),
        ("not host 10.96.0.10", [2]),
        ("not host 10.2.0.7", [2]),
        ("not not nat", [1]),
        # ``and`` and ``or`` bind alike, from left to right.
        ("nat or ip6 and verdict drop", [2]),
        ("ip6 and verdict drop or nat", [1, 2]),
        ("nat or (ip6 and verdict drop)", [1, 2]),
        ("udp && !(nat || ip6)", []),
        ("NOT UDP", [2]),
    ],
)
def test_an_expression_lets_through_what_it_says(expression, expected):
    assert let_through(expression) == expected


@pytest.mark.parametrize(
    ("expression", "at", "reason"),
    [
        ("host", 4, "expected an address, at the end"),
        ("host 10.0.0.1 and", 17, "expected a condition"),
        ("host 10.0.0.1 port 80", 14, "expected 'and' or 'or', not 'port'"),
        ("(nat", 4, "expected ')', at the end"),
        ("nat)", 3, "expected 'and' or 'or', not ')'"),
        ("port htpp", 5, "expected a port, or a range like 8000-8100; did you mean 'http'?"),
        ("port 70000", 5, "expected a port from 0 to 65535"),
        ("443", 0, "then 'port 443'"),
        ("src 10.0.0.0/40", 4, "expected an IP address, a network like"),
        ("verdict dropped", 8, "accept, drop, reject, unknown"),
        ("mark x", 5, "a mark, like 64 or 0x4000"),
        ('text "open', 5, "the quote is not closed"),
        ("nat & udp", 4, "unexpected '&'; write 'and'"),
        ("foo", 0, "unknown word 'foo'; expected a condition"),
        ("chian X", 0, "unknown word 'chian'; did you mean 'chain'?"),
        ("nat and verdcit drop", 8, "did you mean 'verdict'?"),
        ("vlan3", 0, "did you mean 'vlan'?"),
        ("dport 80", 0, "unknown word 'dport'; did you mean 'dst port'?"),
        ("drop", 0, "did you mean 'verdict drop'?"),
        ("verdict dropp", 8, "did you mean 'drop'?"),
        ("backend ntf", 8, "legacy or nft; did you mean 'nft'?"),
        (
            "proto tpc",
            6,
            "expected a protocol like tcp, or a number up to 255; did you mean 'tcp'?",
        ),
        ("proto 256", 6, "a number up to 255"),
        ("ip proto nosuch", 9, "expected a protocol like tcp"),
        ("host www.example.com", 5, "names are not looked up"),
        ("greater", 7, "expected a number after 'greater', at the end"),
        ("chain", 5, "expected a chain after 'chain', at the end"),
        ("net 10.0.0.0 mask 255.0.255.0", 4, "expected an address and a mask"),
        ("tcp[20:4] = 0x47455420", 0, "payload bytes are not in a trace"),
        ("udp[8] = 1", 0, "payload bytes are not in a trace"),
        ("icmp[8:4] != 0", 0, "payload bytes are not in a trace"),
        ("tcp[12] > 80", 0, "tcp[12] is not in a trace; of tcp's header tcp[0:2]"),
        ("ip[6:2] & 0x1fff != 0", 0, "ip[6:2] is not in a trace; of ip's header"),
        ("ether[0] & 1 = 1", 0, "ether's bytes are not in a trace"),
        ("tpc[13] = 2", 0, "did you mean 'tcp'?"),
        ("tcp[tcpflag] = 2", 0, "did you mean 'tcpflags'?"),
        ("tcp[tcpflags] & tcp-sny != 0", 16, "did you mean 'tcp-syn'?"),
        ("tcp[13:3] = 2", 0, "expected an offset like tcp[13]"),
        ("tcp[13] & 2", 11, "expected a comparison"),
        ("len > ", 5, "expected a number, at the end"),
        ("len > 4294967296", 6, "at most 32 bits"),
        ("(len > 1", 8, "expected ')', at the end"),
        ("len > 1 port 80", 8, "expected 'and' or 'or', not 'port'"),
        ("gateway 10.0.0.1", 0, "'gateway' can't be told from a trace"),
        ("ip broadcast", 3, "'ip broadcast' can't be told from a trace; the netmasks"),
        ("inbound", 0, "'in eth0' asks for the interface"),
        ("ether host 10.0.0.1", 11, "expected a MAC address"),
        ("ether proto ipx", 12, "expected ip, ip6 or arp"),
        ("vlan 4096", 5, "expected a VLAN id up to 4095"),
        ("(" * 60 + "nat", 51, "nested too deep"),
        ("not " * 60 + "nat", 204, "nested too deep"),
        ("nat " * 600, 2000, "at most 2000 characters"),
    ],
)
def test_a_wrong_one_says_where_and_what_was_expected(expression, at, reason):
    with pytest.raises(InvalidFilter) as caught:
        ViewFilter.parse(expression=expression)
    assert (caught.value.field, caught.value.position) == ("expression", at)
    assert reason in caught.value.reason


def test_fields_and_expression_must_both_hold():
    assert ViewFilter.parse(port="53", expression="nat").matches(NATTED)
    assert not ViewFilter.parse(port="80", expression="nat").matches(NATTED)
    assert not ViewFilter.parse(port="53", expression="not nat").matches(NATTED)


def test_fields_are_short_for_expressions():
    for field in ({"src": "10.1"}, {"dst": "10.2.0.7"}, {"port": "53"}, {"proto": "udp"}):
        ((name, value),) = field.items()
        word = {"src": "src net", "dst": "dst", "port": "port", "proto": "proto"}[name]
        for packet in (NATTED, DROPPED6):
            by_field = ViewFilter.parse(**field).matches(packet)
            assert by_field == ViewFilter.parse(expression=f"{word} {value}").matches(packet)


def test_a_field_takes_protocols_that_exist():
    for typed in ("tcp", "UDP", "ospf", "89", "gre", "ipv6-icmp"):
        ViewFilter.parse(proto=typed)
    with pytest.raises(InvalidFilter) as caught:
        ViewFilter.parse(proto="tpc")
    assert caught.value.field == "proto"
    assert "did you mean 'tcp'?" in caught.value.reason


@pytest.mark.parametrize("expression", ["len > 5", "syn", "tcp[4:4] = 7", "less 60"])
def test_values_of_one_packet_are_not_answered_for_its_path(expression):
    assert ViewFilter.parse(expression=expression).needs_own_values
    assert not ViewFilter.parse(expression="host 10.1.0.9 and vlan 5").needs_own_values


def test_a_hostile_one_costs_no_time():
    for typed in (
        "not " * 50 + "nat",
        "nat or " * 280 + "nat",
        "chain " + "*a" * 900,
        "(" * 40 + "len" + ")" * 40 + " > 1",
        "len" + "+1" * 900 + " > 1",
    ):
        ViewFilter.parse(expression=typed).matches(NATTED)


def what_is_wrong_with(typed: str) -> Optional[InvalidFilter]:
    try:
        ViewFilter.parse(expression=typed).matches(NATTED)
    except InvalidFilter as error:
        return error
    return None


TERMS = st.sampled_from(
    ["nat", "host 10.1.0.9", "dst port 53", "tcp", "verdict drop", "chain KUBE-*", "port 443"]
)
EXPRESSIONS = st.recursive(
    TERMS,
    lambda inner: st.one_of(
        inner.map(lambda one: f"not ({one})"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(
            lambda three: f"({three[0]}) {three[1]} ({three[2]})"
        ),
    ),
    max_leaves=8,
)


@given(EXPRESSIONS, EXPRESSIONS)
def test_negation_and_choice_are_what_they_are_in_logic(one, other):
    all_of_them = let_through("")
    assert let_through(f"not ({one})") == [n for n in all_of_them if n not in let_through(one)]
    assert let_through(f"not not ({one})") == let_through(one)
    assert set(let_through(f"({one}) or ({other})")) == {*let_through(one), *let_through(other)}
    assert set(let_through(f"({one}) and ({other})")) <= {*let_through(one)} & {*let_through(other)}
    assert let_through(f"{one} or {other} and nat") == let_through(f"({one} or {other}) and nat")


SIGNS = ["(", ")", "10.1", "53", '"', "x", "&&", "tcp[13]", "&", "!=", "<", "+"]


@given(st.lists(st.sampled_from([*KEYWORDS, *SIGNS]), max_size=12))
def test_any_words_are_a_filter_or_are_said_to_be_wrong_at_a_place(found):
    typed = " ".join(found)
    wrong = what_is_wrong_with(typed)
    assert wrong is None or 0 <= wrong.position <= len(typed)


@given(st.text(max_size=40))
def test_any_text_is_a_filter_or_is_said_to_be_wrong(typed):
    wrong = what_is_wrong_with(typed)
    assert wrong is None or wrong.reason


@given(st.text(min_size=1, max_size=20))
def test_a_quoted_text_is_looked_for_as_it_is(text):
    packet = natted()
    second = packet.hops[1]
    packet.place_in(lambda hop: hop.with_(rule=f"x{text}y") if hop is second else hop)
    assert ViewFilter.parse(expression=f"text {quote(text)}").matches(packet)
