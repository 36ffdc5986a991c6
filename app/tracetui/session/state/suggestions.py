"""Rules to try after the guard tripped: what was traced, but less of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Optional

from tracetui.errors import InvalidRule
from tracetui.model.trace.header import endpoint
from tracetui.model.tracing.talkers import Talkers, Target
from tracetui.model.tracing.trace_rule import TraceRule

SHARE = 0.5
"""The part of the guard's threshold that a proposed rule may use up."""


class Suggestion(NamedTuple):
    """One rule, and why it helps."""

    rule: TraceRule
    backend: str
    why: str


def proposals(
    seen: Talkers, asked: Sequence[tuple[TraceRule, str]], threshold: int
) -> list[Suggestion]:
    """Narrower rules than those asked for, given what they traced; the gentlest change first.

    ``asked`` are rules with their backends, ``threshold`` is the guard's in hops per second.
    """
    source = _cause(seen, asked)
    if source is None:
        return []
    rule, backend = source
    each = seen.hops_per_match(rule.chain) * len(rule.families)
    limit = max(1, int(threshold * SHARE / each))
    limit = limit if rule.limit is None else min(limit, max(1, rule.limit // 2))
    found = [
        Suggestion(
            rule._replace(limit=limit), backend, f"the same, at most {limit} packets a second"
        )
    ]
    found += _narrowed(seen, rule._replace(limit=limit), backend)
    if rule.proto == "tcp" and not (rule.syn or rule.syn_ack):
        openings = rule._replace(syn=True, limit=limit)
        found.append(Suggestion(openings, backend, "only packets that open a connection"))
    return _sound(found)


def _cause(
    seen: Talkers, asked: Sequence[tuple[TraceRule, str]]
) -> Optional[tuple[TraceRule, str]]:
    """The rule that traced the busiest flow; the last one asked for where that is not known."""
    packet = seen.example
    if packet is not None and packet.header is not None:
        hook = packet.hook_of(0)
        for rule, backend in asked:
            if rule.covers(packet.header, hook, packet.iif):
                return rule, backend
    return asked[-1] if asked else None


def _narrowed(seen: Talkers, rule: TraceRule, backend: str) -> Iterable[Suggestion]:
    """The rule for the busiest target only, where that says more than the rule does."""
    if seen.example is None or seen.example.header is None or not seen.targets:
        return
    target, packets = seen.targets[0]
    family = seen.example.header.family
    port = rule.dport if target.dport is None else str(target.dport)
    narrow = rule._replace(family=family, proto=target.proto, dst=target.dst, dport=port)
    if narrow != rule._replace(family=family):
        share = packets / seen.packets
        yield Suggestion(narrow, backend, f"{share:.0%} of the packets went to {name(target)}")


def _sound(found: Iterable[Suggestion]) -> list[Suggestion]:
    """Those that can be added: a packet's protocol may be one that no rule can name."""
    kept = []
    for one in found:
        try:
            TraceRule.from_json(one.rule.to_json())
        except InvalidRule:
            continue
        kept.append(one)
    return kept


def words(rule: TraceRule) -> str:
    """What a rule matches, in iptables' words."""
    return " ".join([rule.chain, *rule.matches(rule.families[0])])


def text(rule: TraceRule) -> str:
    """A rule on one line: what it matches, and its limit."""
    limit = "no limit" if rule.limit is None else f"{rule.limit}/second"
    return f"{words(rule)} · {limit}"


def name(target: Target) -> str:
    """A target in words: ``udp 10.96.0.10:53``."""
    return f"{target.proto} {endpoint(target.dst, target.dport)}"
