"""Rules whose text the trace itself printed: a ruleset can only add to them."""

from __future__ import annotations

import re
from functools import lru_cache

from tracetui.model.explain.explanation import HopExplanation
from tracetui.model.rules.history import RulesetHistory
from tracetui.model.rules.lookup import CHANGED, KNOWN
from tracetui.model.rules.parsed_rule import parse_rule
from tracetui.model.rules.ruleset import ChainKey, ListedRule
from tracetui.model.trace.hop import Hop

OTHER_RULESET = "the ruleset given is not the one of this trace"
_COUNTER_VALUES = re.compile(r"\b(packets|bytes|used) [0-9]+")
_COMMENT = re.compile(r'\bcomment ("[^"]*"|\S+)')
_PRINTED_HANDLE = re.compile(r" # handle [0-9]+$")


def with_printed(hop: Hop, by_ruleset: HopExplanation, history: RulesetHistory) -> HopExplanation:
    """The explanation of a hop whose source printed its rule, given what the ruleset says of it.

    A snapshot that was read while the packets came is preferred; a ruleset that the user gave may
    be another node's, or of another day: where it has another rule the state is ``changed``.
    """
    if not history.is_given_for(hop.interval):
        return (
            _printed_rule(hop)
            if by_ruleset.state != KNOWN or by_ruleset.rule is None
            else by_ruleset
        )
    if by_ruleset.state == CHANGED:
        return _printed_against_ruleset(hop)
    if by_ruleset.rule is not None:
        text = by_ruleset.rule.text
        if text is None or _is_same_rule(text, hop.rule or ""):
            return by_ruleset._replace(rule=by_ruleset.rule._replace(text=hop.rule))
        return (
            _printed_against_ruleset(hop)
            if _are_comparable(text, hop.rule or "")
            else _printed_with_number(hop, by_ruleset)
        )
    return _by_text(hop, by_ruleset, history)


def _printed_rule(hop: Hop) -> HopExplanation:
    """The rule as the trace printed it."""
    return HopExplanation(KNOWN, hop.verdict, ListedRule(hop.rule, hop.handle), hop.rulenum)


def _printed_against_ruleset(hop: Hop) -> HopExplanation:
    """The rule as the trace printed it, where the ruleset has another one."""
    return _printed_rule(hop)._replace(state=CHANGED)


def _printed_with_number(hop: Hop, by_ruleset: HopExplanation) -> HopExplanation:
    """The rule in the trace's words, with its number in the ruleset."""
    rule = ListedRule(hop.rule, hop.handle) if by_ruleset.rule is None else by_ruleset.rule
    return by_ruleset._replace(rule=rule._replace(text=hop.rule))


def _by_text(hop: Hop, by_ruleset: HopExplanation, history: RulesetHistory) -> HopExplanation:
    """The rule looked up by its text: ``nft monitor trace`` prints no handles unless asked to."""
    chain, printed = by_ruleset.chain, hop.rule or ""
    if chain is None:
        chain_lookup = history.chain(ChainKey(hop.family, hop.table, hop.chain), hop.interval)
        return (
            _printed_against_ruleset(hop) if chain_lookup.state == CHANGED else _printed_rule(hop)
        )
    for number, rule in enumerate(chain.rules, start=1):
        if rule.text is not None and _is_same_rule(rule.text, printed):
            return by_ruleset._replace(rule=rule._replace(text=printed), number=number)
    texts = [rule.text for rule in chain.rules if rule.text is not None]
    if texts and not any(_are_comparable(text, printed) for text in texts):
        return _printed_rule(hop)._replace(chain=chain)
    target = parse_rule(printed).target
    is_there = any(parse_rule(text).target == target for text in texts)
    return _printed_rule(hop)._replace(chain=chain) if is_there else _printed_against_ruleset(hop)


def _are_comparable(text: str, other: str) -> bool:
    """Whether both are iptables' or both are nft's words."""
    return text.startswith("-A ") == other.startswith("-A ")


def _is_same_rule(text: str, other: str) -> bool:
    return _comparable_text(text) == _comparable_text(other)


@lru_cache(maxsize=4096)
def _comparable_text(text: str) -> str:
    """A rule without what its counters were, and with its comment last, wherever it is printed."""
    text = _COUNTER_VALUES.sub(r"\1", _PRINTED_HANDLE.sub("", text))
    comments = " ".join(comment[0] for comment in _COMMENT.finditer(text))
    words = _COMMENT.sub("", text).split() if not text.startswith("-A ") else text.split()
    rest = [word for word in words if word not in ("packets", "bytes", "used")]
    return " ".join([*rest, comments] if not text.startswith("-A ") else rest)
