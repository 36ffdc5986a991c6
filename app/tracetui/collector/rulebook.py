"""The TRACE rules of the node's raw tables: listing them, and inserting and removing ours.

A rule is removed by its exact specification, one by one, and only if its target is TRACE.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from tracetui.collector import listing, owner
from tracetui.collector.listing import TableCounts
from tracetui.collector.removal import Removal, is_over
from tracetui.errors import CommandFailed, Failure
from tracetui.kernel.nf_tables import NfTables
from tracetui.kernel.xtables import LOCKED, Xtables, is_built_in
from tracetui.model.installed import TAG, InstalledRule
from tracetui.model.rule import TraceRule
from tracetui.model.standing import Standing

PATIENCE = 60.0
"""Seconds for which removing a rule that is not this process's own is tried."""

Say = Callable[[str], None]


class RuleBook:
    """The rules of one namespace; safe to use from several threads."""

    def __init__(self, tag: str, say: Say, xtables: Xtables | None = None) -> None:
        self.tag = tag
        """What the comments of this process's rules begin with."""
        self.xtables = xtables or Xtables()
        self._say = say
        self._removal = Removal(self.xtables, say)
        self._standing: list[Standing] = []
        self._unlisted: dict[tuple[str, int], str] = {}
        self._lock = threading.Lock()

    @property
    def standing(self) -> tuple[Standing, ...]:
        """What this process inserted and did not remove."""
        with self._lock:
            return tuple(self._standing)

    def listing(self) -> list[InstalledRule]:
        """Every TRACE rule of every raw table; what can't be listed is left out and said once."""
        rules: list[InstalledRule] = []
        for place in self.xtables.commands:
            try:
                rules += listing.trace_rules(self.xtables.list_raw(*place), *place, self.tag)
            except Failure as error:
                if self._unlisted.get(place) != str(error):
                    self._unlisted[place] = str(error)
                    self._say(f"raw rules can't be listed: {error}")
                continue
            self._unlisted.pop(place, None)
        return rules

    def counts(self) -> dict[str, TableCounts]:
        """Per backend, both families together, what all tables hold."""
        totals: dict[str, TableCounts] = {}
        sizes = _nft_sizes() if "nft" in self.xtables.backends else None
        for backend, family in self.xtables.commands:
            if backend == "nft" and sizes is not None:
                found = _counted(sizes, "ip6" if family == 6 else "ip")
            else:
                found = listing.count(self.xtables.save_lines(backend, family))
            known = totals.get(backend, TableCounts(0, 0, False))
            totals[backend] = TableCounts(
                known.total + found.total,
                max(known.largest, found.largest),
                known.kubelet or found.kubelet,
            )
        return totals

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
    ) -> list[Standing]:
        """Put a rule first in its chain, for each family or for none; raises Failure.

        ``may_lack`` names what the rule may go without where the kernel has no such match: its
        ``expiry``, its ``limit``. What it lacks is said.
        """
        done: list[Standing] = []
        for family in families:
            try:
                done.append(self._insert(rule, backend, family, frozenset(may_lack)))
            except BaseException:
                self.remove(done)
                raise
        return done

    def extend(self, one: Standing, expires: int) -> Standing:
        """Have a rule of this process end later; raises Failure, and then it stands as it was.

        The new rule goes in and the old one out in one commit: no packet is missed or met twice.
        """
        if one.rule is None:
            raise Failure(f"this rule was not made here: {one.text}")
        later = self._draft(
            one.rule if one.rule.expires is None else one.rule._replace(expires=expires),
            one.backend,
            one.family,
            expires,
        )
        if later.words == one.words:
            self._exchange(one, later)
            return later
        with self._lock:
            self._standing.append(later)
        try:
            self.xtables.replace(one.backend, one.family, one.chain, one.words, later.words)
        except Failure:
            # A command that was stopped may have done it all the same: then both stay noted.
            if not self._may_stand(later):
                self._exchange(later, None)
            raise
        self._exchange(one, None)
        return later

    def remove(self, rules: Iterable[Standing]) -> list[Standing]:
        """Remove rules this process inserted, however long it takes; those that were there."""
        removed: list[Standing] = []
        for one in rules:
            if self._removal.delete(one):
                removed.append(one)
            self._exchange(one, None)
        return removed

    def remove_mine(self) -> list[Standing]:
        """Remove everything this process inserted, and look again for what bears its tag."""
        removed = self.remove(self.standing)
        leftover = [rule for rule in self.listing() if rule.mine]
        return removed + self.remove_listed(leftover, patience=float("inf"))

    def remove_listed(
        self, rules: Iterable[InstalledRule], patience: float = PATIENCE
    ) -> list[Standing]:
        """Remove rules by the specification they are listed with, trying for so many seconds."""
        found = [Standing.of(rule) for rule in rules]
        removed = [one for one in found if self._removal.delete(one, patience)]
        gone = {one.identity for one in removed}
        with self._lock:
            self._standing[:] = [one for one in self._standing if one.identity not in gone]
        return removed

    def forget_missing(self, listed: Iterable[InstalledRule]) -> None:
        """Forget rules of this process that somebody else removed, and say so.

        Where the last listing failed nothing is forgotten.
        """
        there = {(rule.backend, rule.family, rule.chain, rule.comment) for rule in listed}
        with self._lock:
            gone = [
                one
                for one in self._standing
                if one.identity not in there and one.place not in self._unlisted
            ]
            self._standing[:] = [one for one in self._standing if one not in gone]
        for one in gone:
            self._say(f"somebody else removed our rule: {one.text}")

    def swept(self, now: float, patience: float = PATIENCE) -> list[Standing]:
        """Remove rules of dead owners and expired ones; ``now`` is seconds since the epoch."""
        doomed = [
            rule
            for rule in self.listing()
            if rule.owner is not None and (owner.is_dead(rule.owner) or is_over(rule.expires, now))
        ]
        return self.remove_listed(doomed, patience)

    def _insert(
        self, rule: TraceRule, backend: str, family: int, may_lack: frozenset[str]
    ) -> Standing:
        """Insert for one family, with as much of its safety as the kernel can keep."""
        refusal: Failure | None = None
        for draft, lacks in _drafts(rule, may_lack):
            one = self._draft(draft, backend, family, rule.expires)
            try:
                self._try(one)
            except CommandFailed as error:
                if error.status in (LOCKED, None):
                    raise
                refusal = refusal or error
            else:
                for what in lacks:
                    self._say(f"{_LACKS[what]}: {one.text}")
                return one
        raise refusal or Failure("nothing was inserted")

    def _try(self, one: Standing) -> None:
        """Insert a rule; it is noted before its command runs, for a removal at any moment."""
        with self._lock:
            if any(one.identity == other.identity for other in self._standing):
                raise Failure(f"this rule is there already: {one.text}")
            self._standing.append(one)
        try:
            self.xtables.insert(one.backend, one.family, one.chain, one.words)
        except BaseException as error:
            if isinstance(error, CommandFailed) and error.status == LOCKED:
                self._exchange(one, None)
            else:
                self.remove([one])
            raise

    def _may_stand(self, one: Standing) -> bool:
        listed = self.listing()
        return one.place in self._unlisted or any(rule.comment == one.comment for rule in listed)

    def _draft(self, rule: TraceRule, backend: str, family: int, expires: int | None) -> Standing:
        words = tuple(rule.specification(family, self.tag))
        comment = words[words.index("--comment") + 1]
        left = None if expires is None else expires - time.time()
        deadline = None if left is None else since_boot() + left
        return Standing(backend, family, rule.chain, words, comment, expires, rule, deadline)

    def _exchange(self, old: Standing, new: Standing | None) -> None:
        with self._lock:
            if old in self._standing:
                self._standing.remove(old)
            if new is not None:
                self._standing.append(new)


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


def _nft_sizes() -> dict[tuple[str, str, str], int] | None:
    """The rules of each chain of nf_tables, asked of the kernel; None if it does not tell.

    iptables-nft-save takes four seconds for 20,000 chains, and a quarter of it for half of them.
    """
    try:
        kernel = NfTables()
    except Failure:
        return None
    try:
        return kernel.sizes()
    except Failure:
        return None
    finally:
        kernel.close()


def _counted(sizes: Mapping[tuple[str, str, str], int], family: str) -> TableCounts:
    """What iptables' tables of one family hold."""
    rules: Counter[str] = Counter()
    kubelet = False
    for (of, table, chain), size in sizes.items():
        if of == family and is_built_in(of, table):
            rules[table] += size
            kubelet |= table == "mangle" and f":{chain} " in listing.KUBELET_CHAINS
    return TableCounts(sum(rules.values()), max(rules.values(), default=0), kubelet)


def since_boot() -> float:
    """Seconds since boot, suspended time included: a clock that nobody can set."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def tag_of(owner_text: str) -> str:
    """The comment for rules of an owner."""
    return TAG + owner_text
