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
    header = Header(4, "udp", "10.1.0.9", "10.96.0.10", 4000, 53, length=60)
    hop = Hop.of("legacy", "ip", "raw", "PREROUTING", "policy", 2, iif="eth0", header=header)
    packet.add(hop, "PREROUTING")
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
    header = Header(6, "tcp", "fd00::1", "fd00::2", 5, 443, length=80)
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
        ("host 10.0.0.1 and", 17, "expected a test"),
        ("host 10.0.0.1 port 80", 14, "expected 'and' or 'or', not 'port'"),
        ("(nat", 4, "expected ')', at the end"),
        ("nat)", 3, "expected 'and' or 'or', not ')'"),
        ("port http", 5, "expected a port, or a range like 8000-8100"),
        ("port 70000", 5, "ports go up to 65535"),
        ("443", 0, "then 'port 443'"),
        ("src 10.0.0.0/40", 4, "expected an address, ADDR/N"),
        ("verdict dropped", 8, "accept, drop, reject, unknown"),
        ("mark x", 5, "a mark, like 64 or 0x4000"),
        ('text "open', 5, "the quote is not closed"),
        ("nat & udp", 4, "'&' has no meaning here"),
        ("foo", 0, "an address"),
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


def test_a_hostile_one_costs_no_time():
    for typed in ("not " * 50 + "nat", "nat or " * 280 + "nat", "chain " + "*a" * 900):
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


@given(st.lists(st.sampled_from([*KEYWORDS, "(", ")", "10.1", "53", '"', "x", "&&"]), max_size=12))
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
