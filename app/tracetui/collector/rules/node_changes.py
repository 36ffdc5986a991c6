"""What is done to the node, and undone: rules, the nf_log binding, listings.

Everything here may block, so it runs in the collector's workers, never in its receive loop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

from tracetui.collector.process.owner import Owner, is_dead
from tracetui.collector.rules.backend_choice import choose_backend
from tracetui.collector.rules.removal import is_over
from tracetui.collector.rules.table_counts import TableCounts
from tracetui.collector.rules.trace_rules import TraceRules, since_boot, tag_of
from tracetui.collector.sources.legacy_source import LegacySource, SourceChange
from tracetui.collector.sources.nf_log_binding import NfLogBinding
from tracetui.collector.sources.sources import Source
from tracetui.errors import Failure, TracetuiError
from tracetui.kernel.procfs import routing_sysctls
from tracetui.model.tracing.cost import worst_case
from tracetui.model.tracing.inserted_rule import InsertedRule
from tracetui.model.tracing.installed_rule import InstalledRule
from tracetui.model.tracing.rule_fields import BACKENDS, DEFAULT_EXPIRY, MAX_EXPIRY
from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.protocol import frames

LISTING_SECONDS = 3.0
"""How long the kernel may take to tell a table's rules, each time that they are listed."""
LAST_LISTING_SECONDS = 120.0
"""The same before the end of a collector that has added rules."""
SWEEP_SECONDS = 10.0
"""How long what dead collectors left may take to be removed, before anything else is done."""
_FLUSHED = "flushed meanwhile"
CLOCK_SET_SECONDS = 5.0
"""The wall clock is this far from where it was going: somebody set it."""


class Loop(Protocol):
    """What the keeper needs of the receive loop; every call is safe from any thread."""

    def say(self, severity: str, text: str) -> None:
        """Tell the user one sentence."""
        ...

    def send(self, kind: int, value: Mapping[str, Any]) -> None:
        """Send a JSON frame to the session."""
        ...

    def listen(self, source: Source) -> None:
        """Listen to a source from now on."""
        ...

    def drop(self, source: Source) -> None:
        """Take what a source still holds and close it."""
        ...

    def read_rulesets(self) -> None:
        """Have the node's rules read soon: they have changed."""
        ...


class NodeChanges:
    """The rules of one collector and what they need on the node."""

    def __init__(self, loop: Loop, source_choice: str) -> None:
        self._loop = loop
        me = str(Owner.this_process())
        self.book = TraceRules(tag_of(me), self._warn, reading_seconds=LISTING_SECONDS)
        self._binding = NfLogBinding(me)
        self.route = LegacySource(source_choice, self._binding, self._warn)
        self._counts: Mapping[str, TableCounts] = {}
        self._refusal: str | None = None
        self._has_added = False
        self._removals = 0
        self._adding = 0
        self._lock = threading.Lock()

        self.is_needed_elsewhere: Callable[[], bool] = lambda: False
        """Whether a removal waits for the one under way."""

    @property
    def has_rules(self) -> bool:
        """Whether a rule of ours stands, as far as this process knows."""
        return bool(self.book.standing)

    def refuse(self, reason: str | None) -> None:
        """Add no rule from now on, for this reason; None lets rules be added again."""
        self._refusal = reason

    def begin(self) -> None:
        """Sweep what dead collectors left, then tell what the node has."""
        for one in self.book.swept(time.time(), SWEEP_SECONDS).removed:
            self._warn(f"removed a rule left by a dead tracetui: {one.text}")
        try:
            if self._binding.sweep():
                self._warn("restored nf_log, left bound by a dead tracetui")
        except Failure as error:
            self._warn(f"nf_log, left bound by a dead tracetui, was NOT restored: {error}")
        self.count()
        self.refresh()
        self._loop.read_rulesets()

    def count(self) -> None:
        """Count the node's rules and tell which backend holds them."""
        self._counts = self.book.counts()
        backend, why = choose_backend(self._counts, self.book.xtables.backends)
        self._loop.send(
            frames.NODE,
            {
                "backends": self.book.xtables.backends,
                "backend": backend,
                "why": why,
                "commands": {
                    f"{b}/{f}": c.name for (b, f), c in self.book.xtables.commands.items()
                },
                "rules": {name: counts.largest for name, counts in self._counts.items()},
                "tag": self.book.tag,
            },
        )

    @property
    def removals(self) -> int:
        """How often that was noted."""
        return self._removals

    def note_removal(self) -> None:
        """Note that everything is to be removed: what was asked for before is added no more."""
        with self._lock:
            self._removals += 1

    def add(self, order: Mapping[str, Any], removals: int) -> None:
        """Install a rule that was asked for, or say why not.

        ``removals`` is how many there had been when it was asked for.
        """
        try:
            self._add(order, removals)
        except TracetuiError as error:
            is_flushed = removals != self._removals
            why = self._refusal or _FLUSHED if is_flushed else str(error)
            self._loop.say("error", f"no rule added: {why}")
            self._close_route_if_idle()
        self.refresh()

    def delete(self, rule_id: str) -> None:
        """Remove one rule of ours by its id, or say why not."""
        listing = self.book.listing()
        rule = next((rule for rule in listing.rules if rule.id == rule_id), None)
        if rule is None and listing.unknown:
            self._loop.say("error", f"{rule_id} is not removed: {'; '.join(listing.doubts)}")
        elif rule is None:
            self._warn(f"no TRACE rule {rule_id} any more")
        elif not rule.is_ours:
            self._loop.say("error", f"{rule_id} is not ours and is left alone: {rule.text}")
        elif not (rule.mine or is_dead(rule.owner or "") or not _has_process(rule)):
            self._loop.say("error", f"{rule_id} belongs to another tracetui that is running")
        elif self.book.remove_listed([rule]).removed:
            self._loop.say("information", f"removed {rule.backend} {rule.chain} {rule.text}")
        self._close_route_if_idle()
        self.refresh()

    def extend(self, rule_ids: Collection[str], removals: int) -> None:
        """Have rules of this collector end later, all of them where none is named.

        ``removals`` is how many there had been when that was asked for.
        """
        listed = {rule.identity: rule for rule in self.book.listing().rules if rule.mine}
        ends: dict[str, list[str]] = {}
        for one in self.book.standing:
            found = listed.get(one.identity)
            if self._is_overtaken(removals):
                break
            if one.expires is None or (rule_ids and (not found or found.id not in rule_ids)):
                continue
            try:
                later = self.book.extend(one, _later(one, time.time()))
            except Failure as error:
                if self._is_overtaken(removals):
                    break
                self._loop.say("error", f"not extended: {one.text} ({error})")
            else:
                clock = time.strftime("%H:%M:%S", time.gmtime(later.expires))
                ends.setdefault(clock, []).append(later.text)
        if self._is_overtaken(removals):
            # An extension that was under way has put a rule in: it goes too.
            self.remove_noted()
            ends.clear()
        for clock, texts in ends.items():
            # One notice, however many they are: what they cover is what is looked at.
            which = texts[0] if len(texts) == 1 else f"{len(texts)} rules"
            self._loop.say("information", f"ends at {clock} UTC: {which}")
        self.refresh()

    def flush(self, foreign_ids: Collection[str] = ()) -> None:
        """Remove every rule of this collector, and the foreign ones that are named."""
        removed = self.remove_mine()
        if foreign_ids:
            doomed = [r for r in self.book.listing().rules if not r.is_ours and r.id in foreign_ids]
            removed += [f"foreign {one.text}" for one in self.book.remove_listed(doomed).removed]
        if self.has_rules:
            # It was told what keeps them.
            return
        if removed:
            self._loop.say("information", f"flushed {len(removed)}: {'; '.join(removed)}")
        else:
            self._loop.say("information", "nothing to flush: no rule of ours")

    def remove_mine(self) -> list[str]:
        """Remove every rule of this collector, then what they needed; one line for each rule."""
        return self.remove_noted() + self.remove_leftover()

    def remove_all(self) -> list[str]:
        """Remove every rule of this collector for good; one line for each.

        Raises Failure where it is not known whether all are gone.
        """
        removed = self.remove_noted() + self.remove_leftover(LAST_LISTING_SECONDS)
        if self._has_added and self.book.doubts:
            raise Failure("; ".join(self.book.doubts))
        return removed

    def remove_noted(self, told: Callable[[str], None] = lambda text: None) -> list[str]:
        """Remove every rule that this collector inserted, one line for each.

        It ends early where another removal waits, which then has what is left. ``told`` gets each
        line as soon as its rule is gone.
        """
        removed = self.book.remove(
            self.book.standing, self.is_needed_elsewhere, lambda one: told(one.text)
        )
        self._close_route_if_idle()
        return [one.text for one in removed]

    def remove_leftover(self, seconds: float | None = None) -> list[str]:
        """Remove what bears this collector's tag and is not noted; one line for each rule.

        The kernel may take so many seconds to tell of a table's, or as many as usual.
        """
        removed = self.book.remove_leftover(self.is_needed_elsewhere, seconds)
        self._close_route_if_idle()
        return [one.text for one in removed]

    def refresh(self) -> None:
        """List the rules, drop what expired, and look after the route of legacy hops."""
        rules = list(self.book.listing().rules)
        over = [one for one in self.book.standing if _has_ended(one)]
        if over:
            gone = self.book.remove(over)
            early = any(_ended_early(one) for one in gone)
            why = " (the clock was set forward)" if early else ""
            if gone:
                self._loop.say("information", f"expired{why}: {'; '.join(o.text for o in gone)}")
            ended = {one.identity for one in over}
            rules = [rule for rule in rules if rule.identity not in ended]
        self._look_after_route(rules)
        ends: dict[tuple[str, int, str, str | None], InsertedRule] = {
            one.identity: one for one in self.book.standing
        }
        told = [_as_kept(rule, ends.get(rule.identity)) for rule in rules]
        self._loop.send(
            frames.RULES,
            {"rules": [rule.to_json() for rule in told], "sysctls": routing_sysctls()},
        )

    def foreign_matches(self) -> dict[str, InstalledRule]:
        """The TRACE rules of others by id, each with how often the kernel matched it so far."""
        return {rule.id: rule for rule in self.book.listing().rules if not rule.mine}

    def _add(self, order: Mapping[str, Any], removals: int) -> None:
        wanted = order.get("rule")
        rule = _within_bounds(TraceRule.from_json(wanted if isinstance(wanted, dict) else {}))
        backend = self._chosen(str(order.get("backend")))
        families = self.book.families(rule, backend)
        override = bool(order.get("override"))
        self._check_cost(rule, backend, override)
        # What a rule without a limit costs on legacy has to be accepted first.
        may_lack = ("expiry", "limit") if override or backend == "nft" else ("expiry",)
        self._check_refusal(removals)
        with self._lock:
            self._adding += 1
        try:
            self._open_route(backend)
            self._has_added = True
            added = self.book.insert(rule, backend, families, may_lack)
        finally:
            with self._lock:
                self._adding -= 1
        if self._is_overtaken(removals):
            self.remove_noted()
            self._check_refusal(removals)
        self._loop.read_rulesets()
        self._loop.say("information", f"added {'; '.join(one.text for one in added)}")

    def _is_overtaken(self, removals: int) -> bool:
        """Whether a flush or a trip came after so many removals: it wins."""
        return removals != self._removals or self._refusal is not None

    def _check_refusal(self, removals: int) -> None:
        if self._is_overtaken(removals):
            raise Failure(self._refusal or _FLUSHED)

    def _chosen(self, backend: str) -> str:
        """The backend that an order names, or for ``auto`` the one that holds the rules now."""
        if backend == "auto":
            self.count()
            return choose_backend(self._counts, self.book.xtables.backends)[0]
        if backend not in BACKENDS:
            raise Failure(f"no backend {backend!r}")
        return backend

    def _check_cost(self, rule: TraceRule, backend: str, override: bool) -> None:
        # When this process began it may have been a hundredth of that.
        refusal = worst_case(rule, backend, self.book.scanned(backend)).refusal
        if refusal and not override:
            raise Failure(f"{refusal}; narrow or limit it, or override it (--force)")

    def _open_route(self, backend: str) -> None:
        if self.route.is_needed(backend):
            self._follow(self.route.open())

    def _look_after_route(self, rules: list[InstalledRule]) -> None:
        """Follow tables that others register, and rules of ours that others remove."""
        mine = [rule for rule in rules if rule.mine]
        self.book.forget_missing(mine)
        if mine and self._refusal is None:
            self._open_route(mine[0].backend)
        self._close_route_if_idle()

    def _close_route_if_idle(self) -> None:
        with self._lock:
            if self.book.standing or self._adding:
                return
            change = self.route.close()
        self._follow(change)

    def _follow(self, change: SourceChange) -> None:
        if change.opened is not None:
            self._loop.listen(change.opened)
        if change.closed is not None:
            self._loop.drop(change.closed)

    def _warn(self, text: str) -> None:
        self._loop.say("warning", text)


def _within_bounds(rule: TraceRule) -> TraceRule:
    """The rule, if its end can be meant; raises Failure."""
    left = None if rule.expires is None else rule.expires - time.time()
    if left is not None and not 0 < left <= MAX_EXPIRY + CLOCK_SET_SECONDS:
        raise Failure(f"a rule ends within {MAX_EXPIRY // 3600} hours from now")
    return rule


def _has_process(rule: InstalledRule) -> bool:
    return Owner.parse(rule.owner or "") is not None


def _has_ended(one: InsertedRule) -> bool:
    """Whether a rule is over, by the wall clock as the kernel has it or by the one of its start."""
    return is_over(one.expires, time.time()) or (one.deadline or float("inf")) + 1 < since_boot()


def _ended_early(one: InsertedRule) -> bool:
    return one.deadline is not None and since_boot() < one.deadline - CLOCK_SET_SECONDS


def _later(one: InsertedRule, now: float) -> int:
    """The end of a rule that is extended once more, in seconds since the epoch."""
    return int(min(max(one.expires or 0, now) + DEFAULT_EXPIRY, now + MAX_EXPIRY))


def _as_kept(rule: InstalledRule, one: InsertedRule | None) -> InstalledRule:
    """A listed rule with the end that this process gives it, where that comes before its own."""
    if one is None or one.deadline is None:
        return rule
    ours = time.time() + one.deadline - since_boot()
    if rule.expires is not None and ours > rule.expires - CLOCK_SET_SECONDS:
        return rule
    return rule._replace(expires=round(ours), is_watched=True)
