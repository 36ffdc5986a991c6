"""The TRACE rules of the node's raw tables: listing them, and inserting and removing ours.

The kernel tells which there are; iptables inserts, and removes on legacy.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from tracetui.collector.process import owner
from tracetui.collector.reactor.reactor import Say
from tracetui.collector.rules import table_counts
from tracetui.collector.rules.raw_tables import RAW_TABLES, RawTable, RawTables
from tracetui.collector.rules.removal import Removal, RemovalOutcome, is_over
from tracetui.collector.rules.rule_listing import RuleListing, not_known
from tracetui.collector.rules.rule_texts import RuleWords
from tracetui.collector.rules.table_counts import TableCounts
from tracetui.errors import CommandFailed, Failure, NotStarted
from tracetui.kernel.nft_raw_tables import PartlyRead
from tracetui.kernel.xtables import LOCKED, Xtables
from tracetui.model.tracing.inserted_rule import InsertedRule
from tracetui.model.tracing.installed_rule import TAG, InstalledRule
from tracetui.model.tracing.trace_rule import TraceRule

PATIENCE = 20.0
"""Seconds for which removing rules that are not this process's own is tried, all of them."""


class TraceRules:
    """The TRACE rules of one namespace; safe to use from several threads."""

    def __init__(
        self,
        tag: str,
        say: Say,
        xtables: Xtables | None = None,
        reading_seconds: float = float("inf"),
    ) -> None:
        """``reading_seconds`` is how long the kernel may take to tell the rules of a table."""
        self.tag = tag
        """The beginning of the comments of this process's rules."""
        self.xtables = xtables or Xtables()
        self._say = say
        self._reading_seconds = reading_seconds
        self._tables = RawTables()
        self._removal = Removal(self._tables, self.xtables, say)
        self._words = RuleWords(self._tables, self.xtables, say)
        self._inserted: list[InsertedRule] = []
        self._removing: set[tuple[str, int, str, str]] = set()
        """Identities of the rules that are being removed: that they are missing is no news."""
        self._unknown: Mapping[RawTable, str] = {}
        self._lock = threading.Lock()
        self._listing = threading.Lock()

    @property
    def inserted(self) -> tuple[InsertedRule, ...]:
        """The rules that this process inserted and did not remove."""
        with self._lock:
            return tuple(self._inserted)

    def listing(self, seconds: float | None = None) -> RuleListing:
        """List every TRACE rule of every raw table; what can't be looked at is told once.

        The kernel may take so many ``seconds`` for a table, or as many as usual.
        """
        limit_seconds = self._reading_seconds if seconds is None else seconds
        rules: list[InstalledRule] = []
        unknown: dict[RawTable, str] = {}
        with self._listing:
            own = {
                inserted_rule.comment: inserted_rule.words
                for inserted_rule in self.inserted
                if inserted_rule.words
            }
            for table in RAW_TABLES:
                try:
                    listed = self._tables.rules(table, limit_seconds)
                except PartlyRead as error:
                    rules += [
                        rule._replace(words=own.get(rule.comment or "", ())) for rule in error.rules
                    ]
                    unknown[table] = str(error)
                except Failure as error:
                    unknown[table] = str(error)
                else:
                    rules += self._words.named(table, listed, own)
            newly_unknown = [
                table for table, why in unknown.items() if self._unknown.get(table) != why
            ]
            self._unknown = unknown
        tag = f"{self.tag}/"
        marked = tuple(rule._replace(mine=(rule.comment or "").startswith(tag)) for rule in rules)
        for table in newly_unknown:
            self._say(f"{not_known(table)}: {unknown[table]}")
        return RuleListing(marked, unknown)

    @property
    def doubts(self) -> list[str]:
        """A sentence for each table that the last listing could not look at."""
        return RuleListing((), self._unknown).doubts

    def counts(self) -> Mapping[str, TableCounts]:
        """Count the rules of each backend that has commands here."""
        backends = {backend for backend, _ in self.xtables.commands}
        counts_by_backend = table_counts.counts(self._tables.legacy_tables)
        return {
            backend: counts for backend, counts in counts_by_backend.items() if backend in backends
        }

    def scanned(self, backend: str) -> int:
        """Count the rules that the kernel goes through for a hop at most, now; raises Failure."""
        if backend == "legacy":
            return table_counts.largest_table(self._tables.legacy_tables())
        return table_counts.largest_chain()

    def families(self, rule: TraceRule, backend: str) -> list[int]:
        """The families of the rule that this node has a command for; raises Failure if none."""
        commands = self.xtables.commands
        if (backend, rule.families[0]) not in commands:
            raise Failure(f"no {backend} iptables command here; install the iptables package")
        return [family for family in rule.families if (backend, family) in commands]

    def insert(
        self,
        rule: TraceRule,
        backend: str,
        families: Iterable[int],
        may_lack: Iterable[str] = (),
    ) -> list[InsertedRule]:
        """Put a rule first in its chain, for each family or for none; raises Failure.

        ``may_lack`` names what the rule may go without where the kernel has no such match: its
        ``expiry``, its ``limit``. What it lacks is said.
        """
        installed: list[InsertedRule] = []
        for family in families:
            try:
                installed.append(self._insert(rule, backend, family, frozenset(may_lack)))
            except BaseException:
                self.remove(installed)
                raise
        return installed

    def extend(self, inserted_rule: InsertedRule, expires: int) -> InsertedRule:
        """Have a rule of this process end later; raises Failure, and then it stands as it was.

        The new rule goes in and the old one out in one commit: no packet is missed or met twice.
        Where iptables-nft can't read the table, the new one goes in first and the old one then out.
        """
        if inserted_rule.rule is None:
            raise Failure(f"this rule was not made here: {inserted_rule.text}")
        later = self._draft(
            inserted_rule.rule
            if inserted_rule.rule.expires is None
            else inserted_rule.rule._replace(expires=expires),
            inserted_rule.backend,
            inserted_rule.family,
            expires,
        )
        if later.words == inserted_rule.words:
            self._exchange(inserted_rule, later)
            return later
        with self._lock:
            self._inserted.append(later)
        try:
            self.xtables.replace(
                inserted_rule.backend,
                inserted_rule.family,
                inserted_rule.chain,
                inserted_rule.words,
                later.words,
            )
        except Failure as error:
            # A command that was stopped may have done it all the same: then both stay noted.
            if self._may_stand(later):
                raise
            self._exchange(later, None)
            if inserted_rule.backend == "legacy" or isinstance(error, NotStarted):
                raise
            if inserted_rule not in self.inserted or not self._may_stand(inserted_rule):
                raise Failure("it was removed meanwhile") from None
            # iptables-nft reads a whole table before it deletes a rule; it inserts without that.
            later = self._try(later)
            self.remove([inserted_rule])
            return later
        self._exchange(inserted_rule, None)
        return self._found(later)

    def remove(
        self,
        rules: Iterable[InsertedRule],
        is_needed_elsewhere: Callable[[], bool] = lambda: False,
        removed: Callable[[InsertedRule], None] = lambda inserted_rule: None,
    ) -> list[InsertedRule]:
        """Remove rules this process inserted, however long it takes; those that were there.

        It ends early where another removal waits; what is left then is noted still. ``removed`` is
        told of each as soon as it is.
        """

        def settle(inserted_rule: InsertedRule, was_there: bool) -> None:
            self._forget(inserted_rule)
            if was_there:
                removed(inserted_rule)

        doomed = list(rules)
        identities = {inserted_rule.identity for inserted_rule in doomed}
        with self._lock:
            self._removing |= identities
        try:
            outcome = self._removal.remove(doomed, float("inf"), is_needed_elsewhere, settle)
        finally:
            with self._lock:
                self._removing -= identities
        return list(outcome.removed)

    def remove_leftover(
        self,
        is_needed_elsewhere: Callable[[], bool] = lambda: False,
        seconds: float | None = None,
    ) -> list[InsertedRule]:
        """Remove what bears this process's tag and is not noted: a ruleset was restored with it.

        It is looked for as :meth:`listing` does.
        """
        noted = {inserted_rule.identity for inserted_rule in self.inserted}
        leftover = [rule for rule in self.listing(seconds).rules if rule.mine]
        doomed = [InsertedRule.of(rule) for rule in leftover if rule.identity not in noted]
        return self.remove(doomed, is_needed_elsewhere)

    def remove_listed(
        self, rules: Iterable[InstalledRule], patience: float = PATIENCE
    ) -> RemovalOutcome:
        """Remove rules as they are listed, trying for so many seconds in all."""
        return self._removal.remove(
            [InsertedRule.of(rule) for rule in rules],
            patience,
            settled=lambda inserted_rule, was_there: self._forget(inserted_rule),
        )

    def close(self) -> None:
        """Give the sockets back; nothing can be removed after it."""
        self._tables.close()

    def _forget(self, missing: InsertedRule) -> None:
        with self._lock:
            self._inserted[:] = [
                inserted_rule
                for inserted_rule in self._inserted
                if inserted_rule.identity != missing.identity
            ]

    def forget_missing(self, listed: Iterable[InstalledRule]) -> None:
        """Forget rules of this process that somebody else removed, and say so.

        Where the last look failed nothing is forgotten.
        """
        identities = {rule.identity for rule in listed}
        with self._lock:
            missing = [
                inserted_rule
                for inserted_rule in self._inserted
                if inserted_rule.identity not in identities
                and inserted_rule.identity not in self._removing
                and _table(inserted_rule) not in self._unknown
            ]
            self._inserted[:] = [
                inserted_rule for inserted_rule in self._inserted if inserted_rule not in missing
            ]
        for inserted_rule in missing:
            self._say(f"somebody else removed our rule: {inserted_rule.text}")

    def swept(self, now: float, patience: float = PATIENCE) -> RemovalOutcome:
        """Remove rules of dead owners and expired ones; ``now`` is seconds since the epoch."""
        rules = [rule for rule in self.listing().rules if rule.owner is not None]
        # To look for one process in another namespace of pids takes a look at all.
        dead = {name: owner.is_dead(name) for name in {rule.owner or "" for rule in rules}}
        doomed = [rule for rule in rules if dead[rule.owner or ""] or is_over(rule.expires, now)]
        return self.remove_listed(doomed, patience)

    def _insert(
        self, rule: TraceRule, backend: str, family: int, may_lack: frozenset[str]
    ) -> InsertedRule:
        """Insert for one family, with as much of its safety as the kernel can keep."""
        refusal: Failure | None = None
        for draft, missing_matches in _drafts(rule, may_lack):
            inserted_rule = self._draft(draft, backend, family, rule.expires)
            try:
                inserted = self._try(inserted_rule)
            except CommandFailed as error:
                if error.status in (LOCKED, None):
                    raise
                refusal = refusal or error
            else:
                for match in missing_matches:
                    self._say(f"{_LACKS[match]}: {inserted_rule.text}")
                return inserted
        raise refusal or Failure("nothing was inserted")

    def _try(self, inserted_rule: InsertedRule) -> InsertedRule:
        """Insert a rule; it is noted before its command runs, for a removal at any moment.

        As it is noted from then on. Raises Failure, after which it does not stand.
        """
        with self._lock:
            if any(inserted_rule.identity == other.identity for other in self._inserted):
                raise Failure(f"this rule is there already: {inserted_rule.text}")
            self._inserted.append(inserted_rule)
        try:
            self.xtables.insert(
                inserted_rule.backend,
                inserted_rule.family,
                inserted_rule.chain,
                inserted_rule.words,
            )
            return self._found(inserted_rule)
        except BaseException as error:
            if isinstance(error, NotStarted) or (
                isinstance(error, CommandFailed) and error.status == LOCKED
            ):
                # What was never done is not undone.
                self._exchange(inserted_rule, None)
            else:
                self.remove([inserted_rule])
            raise

    def _found(self, inserted_rule: InsertedRule) -> InsertedRule:
        """A rule that was inserted, as the kernel has it; raises Failure if it has not."""
        try:
            listed = self._tables.find(
                _table(inserted_rule), inserted_rule.chain, inserted_rule.comment
            )
        except Failure:
            # It can't be asked now; the rule is found by its comment when it is removed.
            return inserted_rule
        if listed is None:
            raise Failure(
                f"iptables said that it inserted it, and the kernel has not: {inserted_rule.text}"
            )
        as_listed = inserted_rule._replace(handle=listed.handle, key=listed.key)
        self._exchange(inserted_rule, as_listed)
        return as_listed

    def _may_stand(self, inserted_rule: InsertedRule) -> bool:
        try:
            return (
                self._tables.find(_table(inserted_rule), inserted_rule.chain, inserted_rule.comment)
                is not None
            )
        except Failure:
            return True

    def _draft(
        self, rule: TraceRule, backend: str, family: int, expires: int | None
    ) -> InsertedRule:
        words = tuple(rule.specification(family, self.tag))
        comment = words[words.index("--comment") + 1]
        left = None if expires is None else expires - time.time()
        deadline = None if left is None else since_boot() + left
        return InsertedRule(backend, family, rule.chain, words, comment, expires, rule, deadline)

    def _exchange(self, old: InsertedRule, new: InsertedRule | None) -> None:
        with self._lock:
            if old in self._inserted:
                self._inserted.remove(old)
            if new is not None:
                self._inserted.append(new)


def _table(inserted_rule: InsertedRule) -> RawTable:
    return RawTable(inserted_rule.backend, inserted_rule.family)


_LACKS = {
    "expiry": "this kernel can't end a rule by time (xt_time), so only tracetui ends it",
    "limit": "this kernel can't limit a rule (limit match), so only the guard bounds it",
}


def _drafts(
    rule: TraceRule, may_lack: frozenset[str]
) -> Iterator[tuple[TraceRule, tuple[str, ...]]]:
    """The rule, then the rule without what it may lack, least first."""
    yield rule, ()
    may_expire_not = "expiry" in may_lack and rule.expires is not None
    may_limit_not = "limit" in may_lack and rule.limit is not None
    if may_expire_not:
        yield rule._replace(expires=None), ("expiry",)
    if may_limit_not:
        yield rule._replace(limit=None), ("limit",)
    if may_expire_not and may_limit_not:
        yield rule._replace(expires=None, limit=None), ("expiry", "limit")


def since_boot() -> float:
    """Seconds since boot, suspended time included: a clock that nobody can set."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def tag_of(owner_text: str) -> str:
    """The comment for rules of an owner."""
    return TAG + owner_text
