"""Removing TRACE rules of raw tables: by handle on nf_tables, by iptables on legacy.

A removal is believed when the kernel does not tell of the rule any more, whatever a command said. A
rule that is still there is never forgotten: it is tried again until it is gone, or until the kernel
itself has ended it; and one that can't be removed keeps no other one.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Optional

from tracetui.collector.process import confinement
from tracetui.collector.reactor.reactor import Say
from tracetui.collector.rules.raw_tables import RawTable, RawTables
from tracetui.errors import CommandFailed, Failure
from tracetui.kernel import xtables_lock
from tracetui.kernel.nft_raw_tables import PartlyRead
from tracetui.kernel.xtables import CALL_SECONDS, ENTRIES_A_SECOND, LOCKED, Xtables
from tracetui.model.tracing.inserted_rule import InsertedRule
from tracetui.model.tracing.installed_rule import InstalledRule

RETRY_PAUSE_SECONDS = 0.5
"""Seconds before the second try; they grow with each."""
LONGEST_RETRY_PAUSE_SECONDS = 5.0
_RETRY_STEP_SECONDS = 0.05
NAMED_FAILURES = 5
"""Rules that are named when they can't be removed; of more the number is told."""
XTABLES_LOCK_SECONDS = 5.0
"""Seconds that the xtables lock is waited for in one try."""


class RemovalOutcome(NamedTuple):
    """The outcome of a removal of rules."""

    removed: tuple[InsertedRule, ...] = ()
    absent: tuple[InsertedRule, ...] = ()
    """Rules that were not there any more."""
    left: tuple[InsertedRule, ...] = ()
    """Rules that may be there still."""


class Removal:
    """Removes rules in rounds; safe to use from several threads."""

    def __init__(self, tables: RawTables, xtables: Xtables, say: Say) -> None:
        self._tables = tables
        self._xtables = xtables
        self._say = say

    def remove(
        self,
        rules: Sequence[InsertedRule],
        patience: float = float("inf"),
        is_needed_elsewhere: Callable[[], bool] = lambda: False,
        settled: Callable[[InsertedRule, bool], None] = lambda inserted_rule, was_there: None,
    ) -> RemovalOutcome:
        """Remove rules, trying for at most so many seconds in all.

        Each round tries every rule that is left once. It ends early with what is left where
        ``is_needed_elsewhere`` says that another removal waits. ``settled`` is told of each rule as
        soon as it is not there, and whether it was.
        """
        give_up = time.monotonic() + patience
        outcome = RemovalOutcome(
            left=tuple(sorted(rules, key=lambda inserted_rule: inserted_rule.backend != "nft"))
        )
        for attempt in itertools.count(1):
            outcome, reasons = self._round(outcome, settled, give_up)
            is_late = time.monotonic() > give_up
            # At the first try, the second, the fourth, the eighth ...
            if is_late or attempt & (attempt - 1) == 0:
                self._tell("NOT removed:" if is_late else "still removing", outcome.left, reasons)
            if is_late or not outcome.left:
                return outcome
            # It may be for want of what a command needs, and somebody may have lowered that.
            confinement.take_limits()
            resume = time.monotonic() + min(
                attempt * RETRY_PAUSE_SECONDS, LONGEST_RETRY_PAUSE_SECONDS
            )
            while time.monotonic() < min(resume, give_up):
                if is_needed_elsewhere():
                    return outcome
                time.sleep(_RETRY_STEP_SECONDS)
        raise AssertionError("unreachable")

    def _tell(
        self, what: str, left: Sequence[InsertedRule], reasons: Mapping[InsertedRule, str]
    ) -> None:
        for inserted_rule in left[:NAMED_FAILURES]:
            self._say(f"{what} {inserted_rule.text} ({reasons[inserted_rule]})")
        if len(left) > NAMED_FAILURES:
            self._say(f"{what} {len(left) - NAMED_FAILURES:,} more rules")

    def _round(
        self, outcome: RemovalOutcome, settled: Callable[[InsertedRule, bool], None], give_up: float
    ) -> tuple[RemovalOutcome, dict[InsertedRule, str]]:
        """Try once what is left; what became of all, and why the rest is left.

        What is removed by its handle comes first: that waits for no search and no command.
        """
        removed, absent = list(outcome.removed), list(outcome.absent)
        left: list[InsertedRule] = []
        reasons: dict[InsertedRule, str] = {}

        def settle(inserted_rule: InsertedRule, was_there: bool) -> None:
            (removed if was_there else absent).append(inserted_rule)
            settled(inserted_rule, was_there)

        others = [
            inserted_rule
            for inserted_rule in outcome.left
            if not self._is_removed_by_handle(inserted_rule, settle)
        ]
        search = _Search(self._tables, others, give_up)
        for at, inserted_rule in enumerate(others):
            if at and time.monotonic() > give_up:
                reasons[inserted_rule] = "no time was left"
                left.append(inserted_rule)
                continue
            try:
                settle(inserted_rule, self._try(inserted_rule, search))
            except Failure as error:
                reasons[inserted_rule] = self._why(inserted_rule, error)
                if is_over(inserted_rule.expires, time.time()):
                    why = f"{inserted_rule.text} ({reasons[inserted_rule]})"
                    self._say(f"NOT removed, but ended by the kernel: {why}")
                    settle(inserted_rule, False)
                else:
                    left.append(inserted_rule)
        return RemovalOutcome(tuple(removed), tuple(absent), tuple(left)), reasons

    def _is_removed_by_handle(
        self, inserted_rule: InsertedRule, settle: Callable[[InsertedRule, bool], None]
    ) -> bool:
        """Remove a rule of nf_tables by the handle it had; False where it may still be there."""
        if inserted_rule.handle is None:
            return False
        try:
            was_there = self._tables.delete_by_handle(as_installed(inserted_rule))
        except Failure:
            return False
        # One of ours may have another handle by now: the ruleset was restored with it.
        is_settled = was_there or not inserted_rule.comment
        if is_settled:
            settle(inserted_rule, was_there)
        return is_settled

    def _try(self, inserted_rule: InsertedRule, search: _Search) -> bool:
        """Remove a rule now; False if it is not there. Raises Failure if it still may be."""
        if inserted_rule.backend == "nft":
            listed = search.find(inserted_rule)
            return listed is not None and self._tables.delete_by_handle(listed)
        if self._stands(inserted_rule) is None:
            return False
        try:
            self._by_command(inserted_rule)
        except CommandFailed:
            if self._stands(inserted_rule) is not None:
                raise
            # Another removal, or somebody else, was faster.
            return False
        if self._stands(inserted_rule) is not None:
            raise Failure("iptables said that it removed it, and the kernel still has it")
        return True

    def _stands(self, inserted_rule: InsertedRule) -> Optional[InstalledRule]:
        """The rule as the kernel has it now; None if it has none. Raises Failure."""
        table = _table(inserted_rule)
        if inserted_rule.comment:
            return self._tables.find(table, inserted_rule.chain, inserted_rule.comment)
        rules = self._tables.rules(table)
        return next(
            (
                rule
                for rule in rules
                if (rule.chain, rule.key) == (inserted_rule.chain, inserted_rule.key)
            ),
            None,
        )

    def _by_command(self, inserted_rule: InsertedRule) -> None:
        """Have iptables-legacy remove a rule: by the words we made, or by where it stands now."""
        entries = self._tables.legacy_entries(inserted_rule.family)
        if inserted_rule.words:
            self._xtables.delete(
                inserted_rule.backend,
                inserted_rule.family,
                inserted_rule.chain,
                inserted_rule.words,
                entries,
            )
            return
        with xtables_lock.held(XTABLES_LOCK_SECONDS) as own_lock:
            listed = self._stands(inserted_rule)
            if listed is None:
                return
            try:
                self._xtables.delete_legacy_at(
                    inserted_rule.family, listed.chain, listed.position, entries, own_lock
                )
            except CommandFailed as error:
                if error.status != LOCKED:
                    raise
                raise Failure(
                    "iptables before 1.8.4 can't be given the lock; type "
                    f"iptables-legacy -t raw -D {listed.chain} {listed.position}"
                ) from None

    def _why(self, inserted_rule: InsertedRule, error: Failure) -> str:
        if isinstance(error, CommandFailed) and error.status == LOCKED:
            who = xtables_lock.holder()
            return f"the xtables lock is held by {who}" if who else "the xtables lock is held"
        if (
            isinstance(error, CommandFailed)
            and error.status is None
            and inserted_rule.backend == "legacy"
        ):
            entries = self._tables.legacy_entries(inserted_rule.family)
            seconds = CALL_SECONDS + entries / ENTRIES_A_SECOND
            return f"{error}: {seconds:.0f} s for a table of {entries:,} entries"
        return str(error)


class _Search:
    """Finds rules of ours in nf_tables by their comments, in one round of removals.

    Where several are looked for in a table it is read once for all of them: that takes seconds
    where it has many rules.
    """

    def __init__(self, tables: RawTables, wanted: Sequence[InsertedRule], give_up: float) -> None:
        self._tables = tables
        self._wanted = Counter(_table(inserted_rule) for inserted_rule in wanted)
        self._give_up = give_up
        self._read: dict[RawTable, dict[tuple[str, Optional[str]], InstalledRule]] = {}
        self._partly: dict[RawTable, Failure] = {}

    def find(self, inserted_rule: InsertedRule) -> Optional[InstalledRule]:
        """The rule as it is in the kernel; None if it is not there. Raises Failure."""
        table = _table(inserted_rule)
        if self._wanted[table] == 1:
            return self._tables.find(table, inserted_rule.chain, inserted_rule.comment)
        if table not in self._read:
            self._read[table] = {(rule.chain, rule.comment): rule for rule in self._rules(table)}
        listed = self._read[table].get((inserted_rule.chain, inserted_rule.comment))
        if listed is None and table in self._partly:
            raise self._partly[table]
        return listed

    def _rules(self, table: RawTable) -> list[InstalledRule]:
        try:
            return self._tables.rules(table, max(1.0, self._give_up - time.monotonic()))
        except PartlyRead as error:
            self._partly[table] = error
            return error.rules


def _table(inserted_rule: InsertedRule) -> RawTable:
    return RawTable(inserted_rule.backend, inserted_rule.family)


def as_installed(inserted: InsertedRule) -> InstalledRule:
    """Return a rule that this process inserted or found, as a listing would have it."""
    return InstalledRule(
        inserted.backend,
        inserted.family,
        inserted.chain,
        inserted.words or tuple(inserted.label.split()),
        0,
        0,
        inserted.comment or None,
        inserted.expires,
        mine=bool(inserted.words),
        handle=inserted.handle,
        key=inserted.key,
    )


def is_over(expires: float | None, now: float) -> bool:
    """Whether the kernel has ended a rule; ``expires`` and ``now`` are seconds since the epoch."""
    # xt_time matches up to the end of its last second (net/netfilter/xt_time.c).
    return expires is not None and expires + 1 < now
