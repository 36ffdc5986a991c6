"""``tracetui rules``: the TRACE rules of the raw tables, without a collector."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone

from tracetui.cli.grammar import options as shared
from tracetui.cli.terminal.terminal import say
from tracetui.collector.process import owner
from tracetui.collector.rules.backend_choice import choose_backend
from tracetui.collector.rules.trace_rules import TraceRules, tag_of
from tracetui.errors import Failure, InvalidRule
from tracetui.kernel import netns, privileges, process
from tracetui.model.tracing.cost import worst_case
from tracetui.model.tracing.installed_rule import InstalledRule
from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.session.text.sanitize import sanitize
from tracetui.session.text.width import cells_of, padded


def run(options: argparse.Namespace) -> int:
    """List, add or delete; the exit status."""
    if options.action == "add":
        _wanted(options)
    enter(options)
    notes: list[str] = []
    trace_rules = TraceRules(
        tag_of(owner.unattended()), say if options.action == "add" else notes.append
    )
    {"list": _list, "add": _add, "delete": _delete}[options.action](options, trace_rules)
    # What can't be looked at makes the command fail, with a sentence of its own.
    for text in notes if options.action == "list" else ():
        say(text)
    return 0


def enter(options: argparse.Namespace) -> None:
    """Check that rules may be touched and go to the namespace that is meant; raises Failure."""
    if not privileges.may_trace():
        raise Failure("TRACE rules need root: try again with sudo")
    if options.netns:
        netns.enter(netns.resolve(options.netns))


def _list(_: argparse.Namespace, trace_rules: TraceRules) -> None:
    listing = trace_rules.listing()
    if listing.rules:
        _print_table(listing.rules)
    elif not listing.unknown:
        print("no TRACE rules")
    if listing.unknown:
        sys.stdout.flush()
        raise Failure("; ".join(listing.doubts))


def _print_table(rules: Sequence[InstalledRule]) -> None:
    rows: list[tuple[str, ...]] = [
        ("ID", "WHOSE", "BACKEND", "CHAIN", "PACKETS", "EXPIRES", "RULE")
    ]
    rows += [tuple(map(sanitize, _row(rule))) for rule in rules]
    widths = [max(cells_of(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [padded(cell, width) for cell, width in zip(row, widths)]
        print("  ".join([*cells, row[-1]]).rstrip())


def _row(rule: InstalledRule) -> tuple[str, ...]:
    backend = f"{rule.backend} IPv{rule.family}"
    packets = str(rule.packets)
    return (rule.id, _whose(rule), backend, rule.chain, packets, _expiry(rule), rule.text)


def _whose(rule: InstalledRule) -> str:
    if rule.owner is None:
        return "foreign"
    if rule.owner.startswith(owner.UNATTENDED):
        return "ours"
    live_owner = owner.Owner.parse(rule.owner)
    return (
        f"pid {live_owner.pid}"
        if live_owner and not owner.is_dead(rule.owner)
        else "ours, left behind"
    )


def _expiry(rule: InstalledRule) -> str:
    if rule.expires is None:
        return "never"
    left = int(rule.expires - time.time())
    return f"{left // 60}:{left % 60:02d}" if left >= 0 else "expired"


def _wanted(options: argparse.Namespace) -> list[TraceRule]:
    rules = shared.rules(options)
    if any(rule.expires is None for rule in rules):
        raise InvalidRule({"--expire": "no process watches this rule, so it needs an expiry"})
    return rules


def _add(options: argparse.Namespace, trace_rules: TraceRules) -> None:
    rules = _wanted(options)
    counts = trace_rules.counts()
    backend = getattr(options, "backend", "auto")
    if backend == "auto":
        backend, why = choose_backend(counts, trace_rules.xtables.backends)
        say(f"backend {backend}: {why}")
    scanned = trace_rules.scanned(backend)
    for rule in rules:
        cost = worst_case(rule, backend, scanned)
        if cost.refusal and not getattr(options, "force", False):
            raise Failure(f"{cost.refusal}; narrow or limit the rule, or add --force")
    added = []
    try:
        with _interrupted_by_signals():
            for rule in rules:
                added += trace_rules.insert(rule, backend, trace_rules.families(rule, backend))
    except BaseException:
        # A command that began as the signal came is nobody's: it must not insert after this.
        process.end_children()
        trace_rules.remove(added)
        trace_rules.remove_leftover()
        raise
    for installed in added:
        print(sanitize(f"added {installed.text}"))
    ends = datetime.fromtimestamp(rules[0].expires or 0, timezone.utc)
    print(f"no process watches it; the kernel ends it at {ends:%H:%M:%S} UTC")
    if backend == "legacy":
        print("its hops go to the kernel log (dmesg), or to a tracetui that is running")


@contextmanager
def _interrupted_by_signals() -> Iterator[None]:
    """Have every signal that ends a command do so by KeyboardInterrupt, which cleans up."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _delete(options: argparse.Namespace, trace_rules: TraceRules) -> None:
    listing = trace_rules.listing()
    matching = [rule for rule in listing.rules if rule.id == options.id]
    if not matching and listing.unknown:
        raise Failure("; ".join(listing.doubts))
    if not matching:
        raise Failure(f"no TRACE rule {options.id}; `tracetui rules` lists them")
    if not matching[0].is_ours:
        raise Failure(f"{options.id} is not ours; `tracetui flush --all` removes foreign rules too")
    removed = trace_rules.remove_listed(matching[:1]).removed
    if not removed:
        raise Failure(f"{options.id} was not removed; try again")
    print(sanitize(f"removed {removed[0].text}"))
