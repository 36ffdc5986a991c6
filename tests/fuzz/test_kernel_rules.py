"""Rules as the kernel tells them, and as it never does: a rule, none, or a Failure."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz import damage

from tracetui.errors import Failure
from tracetui.kernel import legacy_tables, links, rule_tests, xt_time
from tracetui.kernel.nft_socket import attribute
from tracetui.kernel.nft_trace_rule import trace_rule
from tracetui.model.tracing.installed_rule import InstalledRule

COMMENT = b"tracetui:1.2.3/abcdef\0"


def expression(name: bytes, *data: bytes) -> bytes:
    return attribute(1, attribute(1, name + b"\0") + attribute(2, b"".join(data)))


EXPRESSIONS = b"".join([
    expression(b"match", attribute(1, b"time\0"), attribute(3, struct.pack("=II", 0, 1795474800))),
    expression(b"match", attribute(1, b"comment\0"), attribute(3, COMMENT.ljust(256, b"\0"))),
    expression(b"counter", attribute(1, (84).to_bytes(8, "big")), attribute(2, b"\0" * 7 + b"\1")),
    expression(b"immediate", attribute(1, b"\0\0\0\x09"), attribute(2, attribute(1, b"\1"))),
    expression(b"meta", attribute(2, b"\0\0\0\x0c"), attribute(3, b"\0\0\0\x09")),
])  # fmt: skip
NFT_RULE = {2: b"OUTPUT\0", 3: (7).to_bytes(8, "big"), 4: EXPRESSIONS}


def legacy_entry(target: bytes, name: bytes = b"") -> bytes:
    """One entry of IPv4 with a comment."""
    match = struct.pack("=H29sB", 288, b"comment", 0) + COMMENT.ljust(256, b"\0")
    found = struct.pack("=H29sB", 64, target, 0) + name.ljust(32, b"\0")
    head = bytes(88) + struct.pack("=HHI", 112 + 288, 112 + 288 + 64, 0)
    return head + struct.pack("=QQ", 3, 252) + match + found


def test_a_rule_of_ours_is_read_from_both_backends():
    nft = trace_rule(4, NFT_RULE, 1)
    assert (nft.chain, nft.handle, nft.packets, nft.bytes) == ("OUTPUT", 7, 1, 84)
    assert (nft.comment, nft.expires) == ("tracetui:1.2.3/abcdef", 1795474800.0)
    entries = legacy_entry(b"ERROR", b"mine") + legacy_entry(b"TRACE")
    (legacy,) = legacy_tables._trace_rules(4, {}, entries)
    assert (legacy.chain, legacy.position, legacy.packets) == ("mine", 1, 3)
    assert legacy.comment == "tracetui:1.2.3/abcdef"


def test_a_rule_that_switches_the_trace_off_is_none():
    off = NFT_RULE | {4: EXPRESSIONS.replace(attribute(1, b"\1"), attribute(1, b"\0"))}
    assert trace_rule(4, off, 1) is None


@damage.few(200)
@given(data=st.data())
def test_any_expressions_are_a_rule_none_or_a_failure(data):
    damaged = data.draw(damage.binaries([EXPRESSIONS]))
    try:
        found = trace_rule(4, NFT_RULE | {4: damaged}, 1)
    except Failure:
        return
    assert found is None or isinstance(found, InstalledRule)


@damage.few(200)
@given(data=st.data())
def test_any_entries_are_rules_or_a_failure(data):
    entries = legacy_entry(b"ERROR", b"mine") + legacy_entry(b"TRACE") * 2
    damaged = data.draw(damage.binaries([entries]))
    try:
        found = list(legacy_tables._trace_rules(4, {0: "OUTPUT"}, damaged))
    except Failure:
        return
    assert all(isinstance(rule, InstalledRule) for rule in found)


@given(st.binary(max_size=16))
def test_any_time_is_an_end_or_none(info):
    end = xt_time.end_of(info)
    assert end is None or 0 <= end < 1 << 32


PORT = expression(
    b"payload", attribute(1, b"\0\0\0\1"), attribute(2, b"\0\0\0\2"), attribute(3, b"\0\0\0\2")
)
MARK = expression(b"meta", attribute(2, b"\0\0\0\3"), attribute(1, b"\0\0\0\1"))
CONNTRACK = expression(b"match", attribute(1, b"conntrack\0"), attribute(3, bytes(168)))
TESTS = {"transport": PORT, "mark": MARK, "conntrack": CONNTRACK}


def test_what_a_rule_tests_is_read_from_its_expressions():
    for name, data in TESTS.items():
        assert rule_tests.asked(data) == {name}
    assert rule_tests.asked(b"".join(TESTS.values())) == set(TESTS)
    told = "-A INPUT -m state --state NEW -p tcp --dport 1"
    assert rule_tests.is_told(told, frozenset({"conntrack", "transport"}))
    assert not rule_tests.is_told(told, frozenset({"mark"}))


@damage.few(200)
@given(data=st.data(), text=st.text(max_size=80))
def test_any_expressions_test_something_or_nothing(data, text):
    damaged = data.draw(damage.binaries([b"".join(TESTS.values())]))
    tests = rule_tests.asked(damaged)
    assert all(isinstance(name, str) for name in tests)
    assert rule_tests.is_told(text, tests) in (True, False)
    assert rule_tests.is_told(text, frozenset())


LINK = attribute(3, b"vxlan0\0") + attribute(18, attribute(1, b"vxlan\0"))


@damage.few(200)
@given(data=st.data())
def test_any_attributes_of_a_device_give_its_name_and_kind_or_nothing(data):
    assert links.name_and_kind(LINK) == ("vxlan0", "vxlan")
    name, kind = links.name_and_kind(data.draw(damage.binaries([LINK])))
    name.encode()
    kind.encode()
