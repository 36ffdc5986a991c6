"""Rules to try after the guard tripped: what was traced, but less of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Optional

from tracetui.errors import InvalidRule
from tracetui.model.trace.header import endpoint
from tracetui.model.tracing.rule_fields import MAX_LIMIT, next_kept_limit
from tracetui.model.tracing.talkers import Talkers, Target
from tracetui.model.tracing.trace_rule import TraceRule

THRESHOLD_SHARE = 0.5
"""Share of the guard's threshold that a suggested rule may use."""


class Suggestion(NamedTuple):
    """A rule to add, and why it helps."""

    rule: TraceRule
    backend: str
    why: str


def suggest(
    talkers: Talkers, requests: Sequence[tuple[TraceRule, str]], threshold: int
) -> list[Suggestion]:
    """Suggest rules narrower than the requested ones, by what these traced; gentlest change first.

    ``requests`` are rules with their backends, ``threshold`` is the guard's in hops per second.
    """
    source = _cause(talkers, requests)
    if source is None:
        return []
    rule, backend = source
    hops_per_match = talkers.hops_per_match(rule.chain) * len(rule.families)
    limit = max(1, int(threshold * THRESHOLD_SHARE / hops_per_match))
    limit = limit if rule.limit is None else min(limit, max(1, rule.limit // 2))
    limit = next_kept_limit(min(limit, MAX_LIMIT))
    suggestions = [
        Suggestion(
            rule._replace(limit=limit),
            backend,
            f"the same rule, at most {limit} packets per second",
        )
    ]
    suggestions += _narrowed(talkers, rule._replace(limit=limit), backend)
    if rule.proto == "tcp" and not (rule.syn or rule.syn_ack):
        openings = rule._replace(syn=True, limit=limit)
        suggestions.append(Suggestion(openings, backend, "only packets that open a connection"))
    return _sound(suggestions)


def _cause(
    talkers: Talkers, requests: Sequence[tuple[TraceRule, str]]
) -> Optional[tuple[TraceRule, str]]:
    """The newest rule that traced the busiest flow; the last one where that is not known."""
    packet = talkers.example
    if packet is not None and packet.header is not None:
        hook = packet.hook_of(0)
        for rule, backend in reversed(requests):
            if rule.covers(packet.header, hook, packet.iif):
                return rule, backend
    return requests[-1] if requests else None


def _narrowed(talkers: Talkers, rule: TraceRule, backend: str) -> Iterable[Suggestion]:
    """The rule for the busiest target only, where that says more than the rule does."""
    if talkers.example is None or talkers.example.header is None or not talkers.targets:
        return
    target, packets = talkers.targets[0]
    family = talkers.example.header.family
    port = rule.dport if target.dport is None else str(target.dport)
    narrowed = rule._replace(family=family, proto=target.proto, dst=target.dst, dport=port)
    if narrowed != rule._replace(family=family):
        share = packets / talkers.packets
        yield Suggestion(narrowed, backend, f"{share:.0%} of the packets went to {name(target)}")


def _sound(suggestions: Iterable[Suggestion]) -> list[Suggestion]:
    """Drop rules that can't be added: a packet's protocol may be one that no rule can name."""
    sound = []
    for suggestion in suggestions:
        try:
            TraceRule.from_json(suggestion.rule.to_json())
        except InvalidRule:
            continue
        sound.append(suggestion)
    return sound


def words(rule: TraceRule) -> str:
    """The tests of a rule, in iptables' words."""
    return " ".join([rule.chain, *rule.matches(rule.families[0])])


def text(rule: TraceRule) -> str:
    """A rule on one line: its tests and its limit."""
    limit = "no limit" if rule.limit is None else f"{rule.limit}/second"
    return f"{words(rule)} · {limit}"


def name(target: Target) -> str:
    """A target in words: ``udp 10.96.0.10:53``."""
    return f"{target.proto} {endpoint(target.dst, target.dport)}"
