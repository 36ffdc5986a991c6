"""Removing TRACE rules without a collector: the sweep after a crash, and ``tracetui flush``."""

from __future__ import annotations

import time

from tracetui.collector.nf_log_binding import NfLogBinding
from tracetui.collector.owner import Owner
from tracetui.collector.rulebook import PATIENCE, RuleBook, Say, tag_of
from tracetui.errors import Failure


def sweep(say: Say = print, patience: float = PATIENCE) -> list[str]:
    """Remove rules of dead owners, and expired ones, and restore nf_log; one line for each.

    A rule that can't be removed is tried for so many seconds. Raises Failure.
    """
    me = str(Owner.this_process())
    book = RuleBook(tag_of(me), say)
    try:
        lines = [f"removed {one.text}" for one in book.swept(time.time(), patience)]
    except Failure:
        # Whatever becomes of the rules: the log of the node is not ours to keep.
        restore()
        raise
    return _restored(lines, say)


def restore() -> list[str]:
    """Restore nf_log if dead owners left it bound, and say so in a line; raises Failure."""
    is_restored = NfLogBinding(str(Owner.this_process())).sweep()
    return ["restored nf_log"] if is_restored else []


def flush(everything: bool, say: Say) -> list[str]:
    """Remove every rule with our tag, or every TRACE rule at all; one line for each.

    Rules of a tracetui that is still running go too: that is what the command is for.
    """
    me = str(Owner.this_process())
    book = RuleBook(tag_of(me), say)
    doomed = [rule for rule in book.listing() if everything or rule.is_ours]
    foreign = {
        (rule.backend, rule.family, rule.chain, rule.words) for rule in doomed if not rule.is_ours
    }
    lines = [
        f"removed {'foreign ' if one[:4] in foreign else ''}{one.text}"
        for one in book.remove_listed(doomed)
    ]
    return _restored(lines, say)


def _restored(lines: list[str], say: Say) -> list[str]:
    """The lines, with one more if nf_log was restored; raises Failure after having said them."""
    try:
        return lines + restore()
    except Failure as error:
        for line in lines:
            say(line)
        raise Failure(f"nf_log was NOT restored: {error}") from None
