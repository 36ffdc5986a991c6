"""Deleting rules of raw tables, by their exact specification and for as long as it takes.

A rule that is still there is never forgotten: while the xtables lock is held, or a command hangs,
fails or prints what nobody understands, the deletion is tried again. It ends when the rule is gone,
or when the kernel itself has ended it.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

from tracetui.collector import listing
from tracetui.errors import CommandFailed, Failure
from tracetui.kernel import xtables_lock
from tracetui.kernel.xtables import LOCKED, Xtables
from tracetui.model.installed import InstalledRule
from tracetui.model.standing import Standing

PAUSE_SECONDS = 0.5
"""Before the second try; it grows with each."""
LONGEST_PAUSE_SECONDS = 5.0

Say = Callable[[str], None]


class Removal:
    """Deletes one rule after the other; safe to use from several threads."""

    def __init__(self, xtables: Xtables, say: Say) -> None:
        self._xtables = xtables
        self._say = say

    def delete(self, one: Standing, patience: float = float("inf")) -> bool:
        """Delete a rule; False if it was not there, or if that is not known and had to be said.

        It is tried until the rule is gone, for at most so many seconds, and no longer than until
        the kernel has ended it.
        """
        give_up = time.monotonic() + patience
        for attempt in itertools.count(1):
            try:
                self._xtables.delete(one.backend, one.family, one.chain, one.words)
            except Failure as error:
                if self._is_absent(one):
                    return False
                ended = is_over(one.expires, time.time())
                if ended or time.monotonic() > give_up:
                    but = ", but ended by the kernel" if ended else ""
                    self._say(f"NOT removed{but}: {one.text} ({_why(error)})")
                    return False
                # At the first try, the second, the fourth, the eighth ...
                if attempt & (attempt - 1) == 0:
                    self._say(f"still removing {one.text}: {_why(error)}")
                time.sleep(min(attempt * PAUSE_SECONDS, LONGEST_PAUSE_SECONDS))
            else:
                return True
        raise AssertionError("unreachable")

    def _is_absent(self, one: Standing) -> bool:
        """Whether a listing shows that the rule is not there; False where nothing can be listed."""
        try:
            found = listing.trace_rules(self._xtables.list_raw(*one.place), *one.place, "")
            return not any(_is_same(one, rule) for rule in found)
        except Failure:
            return False


def _is_same(one: Standing, rule: InstalledRule) -> bool:
    # iptables prints some words in another form than they were given; a tag stays as it is.
    if one.comment:
        return one.comment == rule.comment
    return (one.chain, one.words) == (rule.chain, rule.words)


def is_over(expires: float | None, now: float) -> bool:
    """Whether the kernel has ended a rule; ``expires`` and ``now`` are seconds since the epoch."""
    # xt_time matches up to the end of its last second (net/netfilter/xt_time.c).
    return expires is not None and expires + 1 < now


def _why(error: Failure) -> str:
    if isinstance(error, CommandFailed) and error.status == LOCKED:
        who = xtables_lock.holder()
        return f"the xtables lock is held by {who}" if who else "the xtables lock is held"
    return str(error)
