"""The TRACE rules of the node's raw tables: listing them, and inserting and removing ours.

A rule is removed by its exact specification, one by one, and only if its target is TRACE.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from tracetui.collector import listing, owner
from tracetui.collector.listing import TableCounts
from tracetui.errors import CommandFailed, Failure
from tracetui.kernel.xtables import LOCKED, Xtables
from tracetui.model.installed import TAG, InstalledRule, essence
from tracetui.model.rule import TraceRule

PATIENCE = 60.0
"""Seconds that a removal keeps trying while the xtables lock is held or a command hangs."""

Say = Callable[[str], None]


class Standing(NamedTuple):
    """A rule this process inserted, or is about to."""

    backend: str
    family: int
    chain: str
    words: tuple[str, ...]
    comment: str

    @property
    def identity(self) -> tuple[str, int, str, str]:
        """What stays the same when iptables prints the words in another form."""
        return (self.backend, self.family, self.chain, self.comment)

    @property
    def text(self) -> str:
        """The rule on one line, as it is named to the user."""
        return f"{self.backend} IPv{self.family} {self.chain} {' '.join(essence(self.words))}"


class RuleBook:
    """The rules of one namespace; safe to use from several threads."""

    def __init__(self, tag: str, say: Say, xtables: Xtables | None = None) -> None:
        self.tag = tag
        """What the comments of this process's rules begin with."""
        self.xtables = xtables or Xtables()
        self._say = say
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
                text = self.xtables.save_raw(*place)
            except Failure as error:
                if self._unlisted.get(place) != str(error):
                    self._unlisted[place] = str(error)
                    self._say(f"raw rules can't be listed: {error}")
                continue
            self._unlisted.pop(place, None)
            rules += listing.trace_rules(text, *place, self.tag)
        return rules

    def counts(self) -> dict[str, TableCounts]:
        """Per backend, both families together, what all tables hold."""
        totals: dict[str, TableCounts] = {}
        for backend, family in self.xtables.commands:
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

    def insert(self, rule: TraceRule, backend: str, families: Iterable[int]) -> list[Standing]:
        """Put a rule first in its chain, for each family or for none; raises Failure.

        Each is noted before its command runs, so that a removal at any moment finds it.
        """
        done: list[Standing] = []
        for family in families:
            words = tuple(rule.specification(family, self.tag))
            one = Standing(backend, family, rule.chain, words, words[words.index("--comment") + 1])
            with self._lock:
                if one in self._standing:
                    raise Failure(f"this rule is there already: {one.text}")
                self._standing.append(one)
            done.append(one)
            try:
                self.xtables.insert(backend, family, rule.chain, words)
            except Failure:
                self.remove(done)
                raise
        return done

    def remove(self, rules: Iterable[Standing]) -> list[Standing]:
        """Remove rules this process inserted; those that were there are returned."""
        removed: list[Standing] = []
        for one in rules:
            if self._delete(one):
                removed.append(one)
            with self._lock:
                if one in self._standing:
                    self._standing.remove(one)
        return removed

    def remove_mine(self) -> list[Standing]:
        """Remove everything this process inserted, and look again for what bears its tag."""
        removed = self.remove(self.standing)
        leftover = [rule for rule in self.listing() if rule.mine]
        return removed + self.remove_listed(leftover)

    def remove_listed(self, rules: Iterable[InstalledRule]) -> list[Standing]:
        """Remove rules by the specification they are listed with."""
        found = [
            Standing(rule.backend, rule.family, rule.chain, rule.words, rule.comment or "")
            for rule in rules
        ]
        removed = [one for one in found if self._delete(one)]
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
                if one.identity not in there and one.identity[:2] not in self._unlisted
            ]
            self._standing[:] = [one for one in self._standing if one not in gone]
        for one in gone:
            self._say(f"somebody else removed our rule: {one.text}")

    def swept(self, now: float) -> list[Standing]:
        """Remove rules of dead owners and expired ones; ``now`` is seconds since the epoch."""
        return self.remove_listed(
            rule
            for rule in self.listing()
            if rule.owner is not None and (owner.is_dead(rule.owner) or _is_over(rule, now))
        )

    def _delete(self, one: Standing) -> bool:
        """Delete one rule, waiting for the lock as long as it takes; False if it was not there."""
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                self.xtables.delete(one.backend, one.family, one.chain, one.words)
            except CommandFailed as error:
                if error.status not in (LOCKED, None):
                    return False
                if time.monotonic() > give_up:
                    self._say(f"NOT removed after {PATIENCE:.0f} s: {one.text} ({error})")
                    return False
                self._say(f"still removing {one.text}: {error}")
            except Failure as error:
                self._say(f"NOT removed: {one.text} ({error})")
                return False
            else:
                return True


def tag_of(owner_text: str) -> str:
    """The comment for rules of an owner."""
    return TAG + owner_text


def _is_over(rule: InstalledRule, now: float) -> bool:
    # xt_time matches up to the end of its last second (net/netfilter/xt_time.c).
    return rule.expires is not None and rule.expires + 1 < now
