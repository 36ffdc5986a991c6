"""Removing TRACE rules without a collector: the sweep after a crash, and ``tracetui flush``."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from tracetui.collector.process.owner import Owner
from tracetui.collector.reactor.reactor import Say
from tracetui.collector.rules.removal import RemovalOutcome
from tracetui.collector.rules.trace_rules import PATIENCE, TraceRules, tag_of
from tracetui.collector.sources.nf_log_binding import NfLogBinding
from tracetui.errors import Failure


class Flushed(NamedTuple):
    """The outcome of a sweep or a flush."""

    lines: list[str]
    """Rules removed and loggers restored, a line each."""
    doubts: list[str]
    """Rules that may be there still, and tables not looked at, a sentence each."""


def sweep(say: Say = print, patience: float = PATIENCE) -> Flushed:
    """Remove rules of dead owners, and expired ones, and restore nf_log.

    What can't be removed is tried for so many seconds in all. Raises Failure.
    """
    trace_rules = TraceRules(tag_of(str(Owner.this_process())), say)
    try:
        outcome = trace_rules.swept(time.time(), patience)
    except Failure:
        # Whatever becomes of the rules: the log of the node is not ours to keep.
        restore()
        raise
    return _with_log(_flushed(outcome, trace_rules), say, restore)


def restore() -> list[str]:
    """Restore nf_log if dead owners left it bound, and say so in a line; raises Failure."""
    is_restored = NfLogBinding(str(Owner.this_process())).sweep()
    return ["restored nf_log"] if is_restored else []


def restore_all() -> list[str]:
    """Restore that, and what was left bound without a record, which went with its container."""
    is_restored = NfLogBinding(str(Owner.this_process())).flush()
    return ["restored nf_log"] if is_restored else []


def flush(everything: bool, say: Say) -> Flushed:
    """Remove every rule with our tag, or every TRACE rule at all; raises Failure.

    Rules of a tracetui that is still running go too: that is what the command is for.
    """
    trace_rules = TraceRules(tag_of(str(Owner.this_process())), say)
    listing = trace_rules.listing()
    doomed = [rule for rule in listing.rules if everything or rule.is_ours]
    return _with_log(_flushed(trace_rules.remove_listed(doomed), trace_rules), say, restore_all)


def _flushed(outcome: RemovalOutcome, trace_rules: TraceRules) -> Flushed:
    lines = [f"removed {'' if rule.comment else 'foreign '}{rule.text}" for rule in outcome.removed]
    return Flushed(
        lines, [f"NOT removed: {rule.text}" for rule in outcome.left] + trace_rules.doubts
    )


def _with_log(flushed: Flushed, say: Say, restoring: Callable[[], list[str]]) -> Flushed:
    """Restore nf_log after the rules; raises Failure after having said what became of those."""
    try:
        return flushed._replace(lines=flushed.lines + restoring())
    except Failure as error:
        for line in flushed.lines:
            say(line)
        raise Failure(f"nf_log was NOT restored: {error}") from None
