"""Which rule's braces hold the rules of a chain that has no name of its own."""

from __future__ import annotations

from tracetui.model.rules import unnamed_chains
from tracetui.model.rules.ruleset import Chain, ChainKey, ListedRule, Ruleset


def ruleset(**chains: tuple[ListedRule, ...]) -> Ruleset:
    listed = Ruleset()
    for name, rules in chains.items():
        listed.chains[ChainKey("inet", "t", name)] = Chain(name, rules)
    return listed


def placed(*handles: int) -> tuple[ListedRule, ...]:
    return tuple(ListedRule(None, handle) for handle in handles)


def leading(handle: int, *block: str) -> ListedRule:
    return ListedRule("jump { … }", handle, None, True, block)


def texts(listed: Ruleset, name: str) -> list[str | None]:
    return [rule.text for rule in listed.chains[ChainKey("inet", "t", name)].rules]


def test_they_come_in_the_order_in_which_both_were_made():
    listed = ruleset(
        # The rule that was added last stands first.
        gate=(leading(12, "c", "d"), leading(6, "a", "b")),
        __chain10=placed(10, 11),
        __chain9=placed(4, 5),
    )
    unnamed_chains.fill(listed)
    assert texts(listed, "__chain9") == ["a", "b"]
    assert texts(listed, "__chain10") == ["c", "d"]


def test_chains_that_fit_no_rule_stay_without_text():
    for chains in (
        {"gate": (leading(6, "a"),), "__chain9": placed(4, 5)},
        {"gate": (leading(6, "a", "b"),), "__chain9": placed(7, 8)},
        {"gate": (leading(6, "a", "b"),), "__chain9": placed(4, 5), "__chain7": placed(1, 2)},
        {"gate": (), "__chain9": placed(4, 5)},
    ):
        listed = ruleset(**chains)
        unnamed_chains.fill(listed)
        assert texts(listed, "__chain9") == [None, None]


def test_a_chain_of_a_name_like_it_is_none():
    assert unnamed_chains.is_unnamed("__chain12")
    assert not unnamed_chains.is_unnamed("__chain")
    assert not unnamed_chains.is_unnamed("my__chain1")
