"""What may be asked for as a TRACE rule, and the words iptables gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracetui.errors import InvalidRule
from tracetui.model.tracing.rule_fields import RULE_CHAINS
from tracetui.model.tracing.trace_rule import TraceRule

NOW = 1_795_000_000.0
TAG = "tracetui:1.2.3"


def rule(**fields: str) -> TraceRule:
    return TraceRule.from_fields(fields, NOW)


def test_nothing_typed_is_a_limited_rule_that_expires():
    trace_rule = rule()
    assert (trace_rule.chain, trace_rule.family, trace_rule.limit) == ("PREROUTING", None, 20)
    assert trace_rule.expires == NOW + 600


def test_the_specification_is_what_iptables_is_given():
    trace_rule = rule(
        proto="tcp", src="10.0.0.0/8", dst="10.96.0.10", dport="80", iif="eth0", syn="yes"
    )
    words = trace_rule.specification(4, TAG)
    digest = words[words.index("--comment") + 1].removeprefix(f"{TAG}/")
    assert len(digest) == 6
    assert words == [
        *("-s", "10.0.0.0/8", "-d", "10.96.0.10", "-i", "eth0", "-p", "tcp", "-m", "tcp"),
        *("--dport", "80", "--tcp-flags", "FIN,SYN,RST,ACK", "SYN"),
        *("-m", "limit", "--limit", "20/sec", "--limit-burst", "20"),
        *("-m", "time", "--datestop", "2026-11-18T11:16:40"),
        *("-m", "comment", "--comment", f"{TAG}/{digest}", "-j", "TRACE"),
    ]


def test_no_limit_and_no_expiry_leave_their_words_out():
    words = rule(limit="none", expire="none").specification(4, TAG)
    assert words[:4] == ["-m", "comment", "--comment", words[3]]


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("chain", "FORWARD"),
        ("family", "5"),
        ("proto", "tpc"),
        ("proto", "256"),
        ("proto", "-j ACCEPT"),
        ("src", "10.0.0.256"),
        ("src", "10.0.0.1; reboot"),
        ("src", "10.0.0.1/33"),
        ("dst", "fe80::1%eth0"),
        ("dst", "!10.0.0.1"),
        ("sport", "65536"),
        ("dport", "90:80"),
        ("dport", "http"),
        ("dport", "1:2:3"),
        ("iif", "-j"),
        ("iif", "!eth0"),
        ("iif", "eth 0"),
        ("iif", "a" * 16),
        ("limit", "0"),
        ("limit", "20/minute"),
        ("limit", "10001"),
        ("expire", "0"),
        ("expire", "25h"),
        ("expire", "tomorrow"),
    ],
)
def test_a_wrong_value_is_named_by_its_field(field, typed):
    fields = {"proto": "tcp", field: typed}
    with pytest.raises(InvalidRule) as caught:
        TraceRule.from_fields(fields, NOW)
    assert field in caught.value.fields


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"dport": "80"}, "dport"),
        ({"proto": "icmp", "dport": "80"}, "dport"),
        ({"syn": "yes"}, "syn"),
        ({"oif": "eth0"}, "oif"),
        ({"chain": "OUTPUT", "iif": "eth0"}, "iif"),
        ({"src": "10.0.0.1", "dst": "fd00::1"}, "dst"),
        ({"family": "6", "src": "10.0.0.1"}, "src"),
        ({"family": "6", "proto": "icmp"}, "proto"),
    ],
)
def test_fields_that_contradict_each_other_are_named(fields, wrong):
    with pytest.raises(InvalidRule) as caught:
        TraceRule.from_fields(fields, NOW)
    assert set(caught.value.fields) == {wrong}


def test_an_address_or_icmp_tells_the_family():
    assert rule(dst="fd00::1").families == (6,)
    assert rule(src="10.0.0.1").families == (4,)
    assert rule(proto="icmpv6").families == (6,)
    assert rule(proto="tcp").families == (4, 6)


def test_answers_come_in_through_prerouting_or_leave_from_here():
    trace_rule = rule(
        proto="tcp", src="10.0.0.1", dst="10.0.0.2", dport="80", iif="eth0", syn="yes"
    )
    forwarded, local = trace_rule.mirrored()
    for answer in (forwarded, local):
        assert (answer.src, answer.dst, answer.sport) == ("10.0.0.2", "10.0.0.1", "80")
        assert (answer.syn, answer.syn_ack) == (False, True)
    assert (forwarded.chain, forwarded.iif, forwarded.oif) == ("PREROUTING", None, None)
    assert (local.chain, local.iif, local.oif) == ("OUTPUT", None, "eth0")


def test_answers_to_output_come_in_where_it_went_out():
    (answer,) = rule(chain="OUTPUT", oif="eth0", proto="udp", dport="53").mirrored()
    assert (answer.chain, answer.iif, answer.sport) == ("PREROUTING", "eth0", "53")


def test_a_rule_survives_its_json():
    trace_rule = rule(proto="tcp", dport="80", dst="10.0.0.1", syn="yes")
    assert TraceRule.from_json(trace_rule.to_json()) == trace_rule


@pytest.mark.parametrize(
    "change",
    [
        {"src": "x"},
        {"chain": "INPUT"},
        {"limit": 0},
        {"iif": "-x"},
        {"proto": "x"},
        {"dport": "1"},
        {"chain": ["OUTPUT"]},
        {"chain": None},
        {"src": ["-j", "ACCEPT"]},
        {"proto": ["tcp"]},
        {"proto": "tcp", "dport": 1},
        {"limit": "20"},
        {"limit": True},
        {"limit": 0.5},
        {"family": 5},
        {"family": True},
        {"expires": 1e300},
        {"expires": "x"},
        {"expires": 10**30},
        {"expires": -1},
        {"syn": "x", "proto": "tcp"},
        {"iif": {}},
    ],
)
def test_json_that_no_form_could_make_is_refused(change):
    with pytest.raises(InvalidRule):
        TraceRule.from_json({**rule().to_json(), **change})


@given(
    st.dictionaries(st.sampled_from(["src", "dst", "sport", "iif", "proto", "limit"]), st.text())
)
def test_whatever_is_typed_is_refused_or_becomes_words_without_surprises(fields):
    try:
        trace_rule = TraceRule.from_fields(fields, NOW)
    except InvalidRule:
        return
    for family in trace_rule.families:
        words = trace_rule.specification(family, TAG)
        assert all(word.isprintable() and word for word in words)
        assert words[-2:] == ["-j", "TRACE"]
        assert words.count("-j") == 1


def test_the_same_rule_has_the_same_comment_in_every_chain_but_its_own():
    trace_rule = rule(src="10.0.0.1")
    comments = {trace_rule._replace(chain=chain).specification(4, TAG)[-3] for chain in RULE_CHAINS}
    assert len(comments) == 2
    assert trace_rule.specification(4, TAG) == trace_rule.specification(4, TAG)


@pytest.mark.parametrize("limit", [1, 20, 333, 1000, 2500, 3333, 5000, 9500, 10_000])
def test_a_limit_that_iptables_keeps_is_taken(limit):
    assert rule(limit=str(limit)).limit == limit


@pytest.mark.parametrize(("limit", "told"), [("6000", "5,000"), ("4000", "3,333")])
def test_a_limit_that_iptables_would_raise_is_refused_with_the_next_that_it_keeps(limit, told):
    """6,000 a second would be installed as 10,000 (iptables 1.8.9, tests/kernel/test_limits.py)."""
    with pytest.raises(InvalidRule) as caught:
        rule(limit=limit)
    assert caught.value.fields["limit"].endswith(f"it can keep {told}")
    typed_in_json = {**rule().to_json(), "limit": int(limit)}
    with pytest.raises(InvalidRule):
        TraceRule.from_json(typed_in_json)


@pytest.mark.parametrize(
    "fields",
    [{"proto": "icmp"}, {"proto": "udp", "sport": "53", "dport": "53"}, {}],
    ids=["ICMP", "the same port on both sides", "everything"],
)
def test_a_rule_that_is_its_own_answer_is_not_asked_for_twice(fields):
    """It was refused as "there already", by itself."""
    mirrored = rule(**fields).mirrored()
    assert [answer.chain for answer in mirrored] == ["OUTPUT"]


def test_a_field_that_is_not_known_is_refused():
    """It could be one that narrows the rule: a newer program's, say."""
    with pytest.raises(InvalidRule) as caught:
        TraceRule.from_json({**rule().to_json(), "cgroup": "x"})
    assert list(caught.value.fields) == ["cgroup"]
