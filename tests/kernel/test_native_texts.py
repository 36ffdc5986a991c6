"""nft is asked for texts when there are new rules, and not whenever anything changed."""

from __future__ import annotations

import pytest

from tracetui.collector.snapshots.ruleset_reader import NftRulesetReader
from tracetui.kernel import netns, xtables
from tracetui.kernel.xtables import Xtables

pytestmark = pytest.mark.kernel


@pytest.fixture
def asked(monkeypatch):
    """What nft was asked for."""
    calls = []
    for name in ("nft_table", "nft_chain"):
        ask = getattr(xtables, name)
        monkeypatch.setattr(xtables, name, lambda *words, a=ask: calls.append(words) or a(*words))
    return calls


@pytest.fixture
def read(namespace):
    """Reads the ruleset of a namespace with a set in it; the natives' texts."""
    for command in (
        "add table inet shop",
        "add set inet shop blocked { type ipv4_addr; }",
        "add chain inet shop gate { type filter hook output priority 0; }",
        "add rule inet shop gate ip daddr @blocked drop",
    ):
        namespace.run("nft", command)
    reader = NftRulesetReader(Xtables())

    def read_now():
        outcome = netns.call_inside(netns.resolve(namespace.name), lambda: reader.read(True))
        texts = [text for head, text in outcome.parts if head["what"] == "native"]
        return outcome, "".join(texts)

    yield read_now
    reader.close()


def test_the_first_reading_tells_places_at_once_and_the_next_has_the_texts(read, asked):
    first, texts = read()
    assert (texts, asked, first.again) == ("", [], 0.0)
    second, texts = read()
    assert "ip daddr @blocked drop" in texts
    assert (asked, second.again) == ([("inet", "shop")], None)
    assert not second.same
    assert read()[0].same


def test_what_changes_no_rule_has_nothing_listed_again(namespace, read, asked):
    read()
    read()
    namespace.run("nft", "add element inet shop blocked { 10.0.0.1 }")
    namespace.run("iptables-nft", "-A", "INPUT", "-p", "icmp", "-j", "DROP")
    outcome, texts = read()
    assert not outcome.same
    assert "ip daddr @blocked drop" in texts
    assert len(asked) == 1


def test_new_rules_and_renamed_chains_have_their_table_listed_again(namespace, read, asked):
    read()
    read()
    namespace.run("nft", "add rule inet shop gate ip daddr 10.0.0.9 counter")
    read()
    # What it took is paid for before it is asked for again, and no hop waits for that.
    while (outcome := read())[0].again is not None:
        assert outcome[0].same or "@blocked" in outcome[1]
    assert asked == [("inet", "shop")] * 2
    namespace.run("nft", "add chain inet shop side")
    namespace.run("nft", "rename chain inet shop side other")
    while (outcome := read())[0].again is not None:
        pass
    assert "chain other" in outcome[1]


def test_a_table_made_anew_with_the_same_handles_is_another_one(namespace, read, asked):
    read()
    read()
    namespace.run("nft", "delete table inet shop")
    for command in (
        "add table inet shop",
        "add set inet shop blocked { type ipv4_addr; }",
        "add chain inet shop gate { type filter hook output priority 0; }",
        "add rule inet shop gate ip daddr @blocked accept",
    ):
        namespace.run("nft", command)
    while (outcome := read())[0].again is not None:
        assert "@blocked" not in outcome[1]
    assert "ip daddr @blocked accept" in outcome[1]
