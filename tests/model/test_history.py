"""Which ruleset a hop met: what the snapshots before and after it both have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracetui.model.rules.history import RulesetHistory
from tracetui.model.rules.lookup import Lookup
from tracetui.model.rules.ruleset import Chain, ChainKey, ListedRule, Ruleset
from tracetui.model.rules.snapshot import Snapshot

KEY = ChainKey("ip", "nat", "SVC")


def chain(*texts: str, first_handle: int | None = None) -> Chain:
    handles = range(first_handle, first_handle + len(texts)) if first_handle else None
    return Chain(
        "SVC",
        tuple(ListedRule(text, handles[at] if handles else None) for at, text in enumerate(texts)),
    )


def ruleset(one: Chain | None, instance: int | None = None) -> Ruleset:
    found = Ruleset({KEY: one} if one else {})
    if instance is not None:
        found.instances["ip", "nat"] = instance
    return found


DISCONTINUOUS = False
"""A snapshot that can miss a change to and fro."""


def history(backend: str, *snapshots) -> RulesetHistory:
    """A history of rulesets, each alone or with whether its snapshot is continuous."""
    past = RulesetHistory(backend)
    for number, one in enumerate(snapshots, start=1):
        found, continuous = one if isinstance(one, tuple) else (one, True)
        past.take(Snapshot(backend, number, continuous, found))
    return past


A, B = chain("-A SVC -j A"), chain("-A SVC -j B")


def test_what_two_snapshots_found_stood_between_them():
    past = history("legacy", ruleset(A), None)
    assert past.chain(KEY, (1, 2)) == Lookup("known", A)


def test_before_the_next_snapshot_nothing_is_known():
    past = history("legacy", ruleset(A))
    assert past.chain(KEY, (1, 2)) == Lookup("pending", None)
    assert past.chain(KEY, (0, 1)) == Lookup("unread", None)


def test_a_chain_that_was_rewritten_between_is_not_shown():
    past = history("legacy", ruleset(A), ruleset(B))
    assert past.chain(KEY, (1, 2)) == Lookup("changed", None)
    assert past.chain(KEY, (2, 3)) == Lookup("pending", None)


def test_a_chain_that_is_gone_stays_known_for_what_met_it():
    past = history("legacy", ruleset(A), None, ruleset(None))
    assert past.chain(KEY, (1, 2)) == Lookup("known", A)
    assert past.chain(KEY, (3, 4)) == Lookup("changed", None)


def test_a_legacy_chain_that_can_have_changed_to_and_fro_is_not_shown():
    snapshots = [ruleset(A), *[None] * 20, (None, DISCONTINUOUS), *[None] * 20]
    past = history("legacy", *snapshots)
    assert past.chain(KEY, (21, 22)) == Lookup("changed", None)
    assert past.chain(KEY, (20, 21)) == Lookup("known", A)
    assert past.chain(KEY, (22, 23)) == Lookup("known", A)


def test_an_nft_chain_with_the_same_handles_is_the_same_whatever_changed_besides():
    one = chain("-A SVC -j A", first_handle=7)
    past = history("nft", ruleset(one, 3), (ruleset(one, 3), DISCONTINUOUS))
    assert past.chain(KEY, (1, 2)) == Lookup("known", one)


def test_a_handle_names_its_rule_also_when_the_rule_is_gone():
    old, new = chain("-A SVC -j A", first_handle=7), chain("-A SVC -j B", first_handle=8)
    past = history("nft", ruleset(old, 3), ruleset(new, 3), None)
    assert past.rule(("ip", "nat"), 7, (1, 2)) == Lookup("known", (KEY, old.rules[0]))
    assert past.rule(("ip", "nat"), 8, (1, 2)) == Lookup("known", (KEY, new.rules[0]))
    assert past.rule(("ip", "nat"), 9, (1, 2)).state == "changed"
    assert past.chain(KEY, (1, 2)).state == "changed"


def test_a_handle_means_nothing_across_a_table_made_anew():
    old, new = chain("-A SVC -j A", first_handle=7), chain("-A SVC -j B", first_handle=7)
    past = history("nft", ruleset(old, 3), ruleset(new, 4), None)
    assert past.rule(("ip", "nat"), 7, (1, 2)).state == "changed"
    assert past.rule(("ip", "nat"), 7, (2, 3)) == Lookup("known", (KEY, new.rules[0]))


def test_the_first_snapshot_has_any_number():
    past = RulesetHistory("nft")
    past.take(Snapshot("nft", 7, False, None))
    assert past.latest == 0
    past.take(Snapshot("nft", 7, False, ruleset(A, 1)))
    past.take(Snapshot("nft", 8, True, None))
    assert past.latest == 8


@pytest.mark.parametrize("number", [1, 3, 7])
def test_a_snapshot_out_of_turn_is_not_taken(number):
    past = history("nft", ruleset(A, 1))
    past.take(Snapshot("nft", number, True, ruleset(B, 1)))
    assert past.latest == 1


def test_a_listing_that_was_brought_explains_what_has_no_snapshots():
    past = RulesetHistory("legacy")
    assert past.chain(KEY, None) == Lookup("unread", None)
    past.add_given(Ruleset({KEY: A, ChainKey("ip", "nat", "MORE"): A}))
    assert past.chain(KEY, None) == Lookup("known", A)
    assert past.chain(ChainKey("ip", "nat", "OTHER"), None) == Lookup("changed", None)


def test_what_is_long_gone_is_forgotten(monkeypatch):
    monkeypatch.setattr("tracetui.model.rules.history.ENDED_RULES_KEPT", 20)
    past = RulesetHistory("legacy")
    for number in range(1, 101):
        past.take(Snapshot("legacy", number, True, ruleset(chain(f"-A SVC -j N{number}"))))
    assert past.chain(KEY, (5, 5)).state == "changed"
    assert past.chain(KEY, (99, 99)).value.rules[0].text == "-A SVC -j N99"
    assert past.chain(KEY, (100, 100)).state == "known"


def test_a_listing_that_was_brought_explains_a_recording_that_has_none():
    past = RulesetHistory("legacy")
    past.add_given(ruleset(A))
    assert past.chain(KEY, (3, 4)) == Lookup("known", A)


def test_a_rule_whose_chain_was_renamed_is_what_it_was():
    new_key = ChainKey("ip", "nat", "NEW")
    old, new = chain("-A SVC -j OLD", first_handle=7), chain("-A NEW -j OLDER", first_handle=7)
    renamed = Ruleset({new_key: new}, {("ip", "nat"): 3})
    past = history("nft", ruleset(old, 3), None, renamed, None)
    assert past.rule(("ip", "nat"), 7, (1, 2)) == Lookup("known", (KEY, old.rules[0]))
    assert past.rule(("ip", "nat"), 7, (2, 3)).state == "changed"
    assert past.rule(("ip", "nat"), 7, (3, 4)) == Lookup("known", (new_key, new.rules[0]))


def test_what_a_listing_does_not_have_was_not_read():
    past = RulesetHistory("legacy")
    past.add_given(ruleset(A))
    assert past.chain(ChainKey("ip6", "nat", "SVC"), None).state == "unread"
    # One chain alone is what `nft list chain` shows of a table.
    assert past.chain(ChainKey("ip", "nat", "GONE"), None).state == "unread"
    leads = chain("-A MORE -p tcp -j LEFT_OUT", "-A MORE -m comment --comment GONE")
    past.add_given(Ruleset({ChainKey("ip", "nat", "MORE"): leads}))
    assert past.chain(ChainKey("ip", "nat", "GONE"), None).state == "changed"
    assert past.chain(ChainKey("ip", "nat", "LEFT_OUT"), None).state == "unread"
    assert past.rule(("ip", "nat"), 7, None).state == "unread"


OTHER = ChainKey("ip", "nat", "OTHER")


@st.composite
def nft_rulesets(draw) -> list[Ruleset]:
    """Snapshots while chains come, go, change, are renamed; the table comes anew."""
    found, stand, handle, instance = [], {}, 0, 1
    for _ in range(draw(st.integers(2, 12))):
        change = draw(st.sampled_from(["add", "drop", "rename", "delete", "anew", "none"]))
        key, other = draw(st.permutations([KEY, OTHER]))
        if change == "add":
            handle += 1
            rules = (*stand.get(key, ()), ListedRule(f"-A {key.name} {handle}", handle))
            stand = {**stand, key: rules}
        elif change == "drop" and stand.get(key):
            stand = {**stand, key: stand[key][1:]}
        elif change == "rename" and key in stand and other not in stand:
            stand = {other if one == key else one: rules for one, rules in stand.items()}
        elif change == "delete":
            stand = {one: rules for one, rules in stand.items() if one != key}
        elif change == "anew":
            stand, instance, handle = {}, instance + 1, 0
        ruleset = Ruleset({one: Chain(one.name, rules) for one, rules in stand.items()})
        ruleset.instances["ip", "nat"] = instance
        found.append(ruleset)
    return found


@given(nft_rulesets(), st.data())
def test_what_is_forgotten_is_never_missed_by_later_hops(rulesets, data):
    before = data.draw(st.integers(1, len(rulesets)))
    whole, cut = history("nft", *rulesets), RulesetHistory("nft")
    at = data.draw(st.integers(before, len(rulesets)))
    for number, one in enumerate(rulesets, start=1):
        cut.take(Snapshot("nft", number, True, one))
        if number == at:
            cut.forget_before(before)
    for after in range(before, len(rulesets)):
        for end in range(after, len(rulesets) + 2):
            interval = (after, end)
            assert cut.base_chains(interval) == whole.base_chains(interval)
            for key in (KEY, OTHER):
                assert cut.chain(key, interval) == whole.chain(key, interval)
            met = rulesets[after - 1 : end]
            for handle in {r.handle for one in met for c in one.chains.values() for r in c.rules}:
                found = whole.rule(("ip", "nat"), handle, interval)
                assert cut.rule(("ip", "nat"), handle, interval) == found


@pytest.mark.parametrize("first_handle", [None, 1])
def test_a_chain_that_changes_for_ever_takes_no_more_room_for_ever(first_handle):
    past = RulesetHistory("legacy" if first_handle is None else "nft")
    sizes = []
    for number in range(1, 400):
        handle = None if first_handle is None else 10 * number
        found = ruleset(chain(*f"{number} {number + 1} {number + 2}".split(), first_handle=handle))
        found.instances["ip", "nat"] = 1
        past.take(Snapshot(past.backend, number, True, found))
        past.forget_before(number - 5)
        sizes.append(past.remembered)
    assert max(sizes[20:]) == sizes[20]
    assert sizes[20] <= 2 * 7 * 4
