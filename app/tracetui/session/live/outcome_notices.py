"""Sentences for the user about the outcomes of commands."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Optional

from tracetui.model.tracing.installed_rule import InstalledRule
from tracetui.protocol.commands import (
    AddRules,
    Command,
    DeleteRule,
    ExtendRules,
    Flush,
    ListChain,
    LoadModule,
)
from tracetui.protocol.replies import ErrorKind, Outcome
from tracetui.session.state.session import Node

BUSY_SECONDS = 10.0
"""Seconds between two notices that commands are left out: there are many of them then."""
_SILENT = (ErrorKind.GONE, ErrorKind.BUSY)
"""Kinds that one notice tells for all the commands that meet them."""

Sentence = tuple[str, str]
"""Severity and text of a notice."""


class OutcomeNotices:
    """Makes the notices about outcomes; remembers when it told last that commands are left out."""

    def __init__(self) -> None:
        self._busy_until = 0.0
        """Monotonic seconds."""

    def of(self, command: Command, outcome: Outcome) -> list[Sentence]:
        """Return the sentences about the outcome of a command."""
        if outcome.error is ErrorKind.BUSY and time.monotonic() > self._busy_until:
            self._busy_until = time.monotonic() + BUSY_SECONDS
            return [("error", outcome.why)]
        if outcome.error in _SILENT:
            return []
        writer = _SENTENCE_WRITERS.get(type(command), _other)
        return list(writer(command, outcome))


def _added(_: AddRules, outcome: Outcome) -> Iterator[Sentence]:
    if outcome.error is None:
        yield "information", f"added {_named(outcome.rules)}"
        return
    again = f" (removed again: {_named(outcome.undone)})" if outcome.undone else ""
    yield "error", f"no rule added: {outcome.why}{again}"


def untraced_half(
    outcome: Outcome, node: Optional[Node], rules: Iterable[InstalledRule]
) -> Iterator[Sentence]:
    """Say that chains of nf_tables stay out of a trace that only legacy rules begin.

    nf_tables looks at the flag that TRACE sets only while some rule of nft can set it, in any
    namespace (static key nft_trace_enabled, net/netfilter/nft_meta.c).
    """
    is_legacy = any(rule.backend == "legacy" for rule in outcome.rules)
    has_nft_rules = node is not None and node.rules.get("nft", 0) > 0
    if is_legacy and has_nft_rules and all(rule.backend == "legacy" for rule in rules):
        yield (
            "warning",
            (
                "nf_tables has rules here too: its hops may be missing while no rule traces on "
                "nft; add the rule with the backend nft as well"
            ),
        )


def _deleted(_: DeleteRule, outcome: Outcome) -> Iterator[Sentence]:
    if outcome.error is not None:
        severity = "warning" if outcome.error is ErrorKind.NOT_FOUND else "error"
        yield severity, outcome.why
    for rule in outcome.rules:
        yield "information", f"removed {rule.backend} {rule.chain} {rule.text}"


def _extended(_: ExtendRules, outcome: Outcome) -> Iterator[Sentence]:
    for rule, why in outcome.left:
        yield "error", f"not extended: {_name(rule)} ({why})"
    if outcome.error is ErrorKind.INTERNAL:
        yield "error", outcome.why
    if outcome.error is ErrorKind.OVERTAKEN:
        removed = f" (removed: {_named(outcome.undone)})" if outcome.undone else ""
        yield "warning", f"nothing extended: {outcome.why}{removed}"
    by_end: dict[str, list[InstalledRule]] = {}
    for rule in outcome.rules:
        clock = time.strftime("%H:%M:%S", time.gmtime(rule.expires or 0))
        by_end.setdefault(clock, []).append(rule)
    for clock, rules in by_end.items():
        # One notice, however many they are: what they cover is what is looked at.
        names = _name(rules[0]) if len(rules) == 1 else f"{len(rules)} rules"
        yield "information", f"ends at {clock} UTC: {names}"


def _flushed(_: Flush, outcome: Outcome) -> Iterator[Sentence]:
    if outcome.error not in (None, ErrorKind.OVERTAKEN):
        yield "error", outcome.why
    elif outcome.rules:
        yield "information", f"flushed {len(outcome.rules)}: {_named(outcome.rules)}"
    elif outcome.error is None:
        # Else the removal that goes on tells of what is left.
        yield "information", "nothing to flush: no rule of ours"


def _loaded(command: LoadModule, outcome: Outcome) -> Iterator[Sentence]:
    if outcome.error is None:
        yield "information", f"loaded {command.module}"
    else:
        yield "error", outcome.why


def _listed(_: ListChain, outcome: Outcome) -> Iterator[Sentence]:
    """Tell nothing: the chain's listing says what is wrong with it."""
    return iter(())


def _other(_: Command, outcome: Outcome) -> Iterator[Sentence]:
    if outcome.error is not None:
        yield "error", outcome.why


_SENTENCE_WRITERS: Mapping[type, Callable[[Any, Outcome], Iterator[Sentence]]] = {
    AddRules: _added,
    DeleteRule: _deleted,
    ExtendRules: _extended,
    Flush: _flushed,
    LoadModule: _loaded,
    ListChain: _listed,
}


def _named(rules: Sequence[InstalledRule]) -> str:
    return "; ".join(map(_name, rules))


def _name(rule: InstalledRule) -> str:
    name = f"{rule.backend} IPv{rule.family} {rule.chain} {rule.text}"
    return name if rule.is_ours else f"foreign {name}"
