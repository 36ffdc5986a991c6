"""Changes of the node, each undone in the end: rules, the nf_log binding; and listings of rules.

Everything here may block, so it runs in the collector's workers, never in its receive loop.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping

from tracetui.collector.process.owner import Owner, is_dead
from tracetui.collector.reactor.reactor import Reactor
from tracetui.collector.reactor.worker import failure_text
from tracetui.collector.rules.backend_choice import choose_backend
from tracetui.collector.rules.removal import as_installed, is_over
from tracetui.collector.rules.table_counts import TableCounts
from tracetui.collector.rules.trace_rules import TraceRules, since_boot, tag_of
from tracetui.collector.sources.legacy_source import LegacySource, SourceChange
from tracetui.collector.sources.nf_log_binding import NfLogBinding
from tracetui.collector.sources.sources import Source
from tracetui.errors import Failure, TracetuiError, UsageError
from tracetui.kernel.procfs import routing_sysctls
from tracetui.model.tracing.cost import worst_case
from tracetui.model.tracing.inserted_rule import InsertedRule
from tracetui.model.tracing.installed_rule import InstalledRule
from tracetui.model.tracing.rule_fields import BACKENDS, DEFAULT_EXPIRY, MAX_EXPIRY
from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.protocol import frames
from tracetui.protocol.commands import AddRules
from tracetui.protocol.replies import CommandRefused, ErrorKind, LeftRule, Outcome, refused

LISTING_SECONDS = 3.0
"""Seconds that the kernel may take to tell a table's rules, each time that they are listed."""
LAST_LISTING_SECONDS = 120.0
"""Seconds for that before the end of a collector that has added rules."""
FIRST_SWEEP_SECONDS = 10.0
"""Seconds for which removing what dead collectors left is tried, before anything else is done."""
_FLUSHED = "flushed meanwhile"
CLOCK_SET_SECONDS = 5.0
"""Seconds between the wall clock and where it was going after which somebody has set it."""


class NodeChanges:
    """The rules of one collector, and what they need on the node."""

    def __init__(self, reactor: Reactor[Source], source_choice: str) -> None:
        self._reactor = reactor
        me = str(Owner.this_process())
        self.trace_rules = TraceRules(tag_of(me), self._warn, reading_seconds=LISTING_SECONDS)
        self._binding = NfLogBinding(me)
        self.legacy_source = LegacySource(source_choice, self._binding, self._warn)
        self._counts: Mapping[str, TableCounts] = {}
        self._refusal: CommandRefused | None = None
        self._has_added = False
        self._removals = 0
        self._listed: tuple[InstalledRule, ...] = ()
        """The rules as they were sent last."""
        self._sysctls: Mapping[str, str] = {}
        """The routing settings as they were read last."""
        self._send_lock = threading.Lock()
        self._adding = 0
        self._lock = threading.Lock()

        self.is_needed_elsewhere: Callable[[], bool] = lambda: False
        """Tells whether a removal waits for the one under way."""

    @property
    def has_rules(self) -> bool:
        """Whether a rule of ours stands, as far as this process knows."""
        return bool(self.trace_rules.inserted)

    def refuse(self, refusal: CommandRefused | None) -> None:
        """Add no rule from now on, but answer so; None lets rules be added again."""
        self._refusal = refusal

    def begin(self) -> None:
        """Sweep what dead collectors left, then tell what the node has."""
        for inserted in self.trace_rules.swept(time.time(), FIRST_SWEEP_SECONDS).removed:
            self._warn(f"removed a rule left by a dead tracetui: {inserted.text}")
        try:
            if self._binding.sweep():
                self._warn("restored nf_log, left bound by a dead tracetui")
        except Failure as error:
            self._warn(f"nf_log, left bound by a dead tracetui, was NOT restored: {error}")
        self.count()
        self.refresh()
        self._reactor.read_rulesets()

    def count(self) -> None:
        """Count the node's rules and tell which backend holds them."""
        self._counts = self.trace_rules.counts()
        backend, why = choose_backend(self._counts, self.trace_rules.xtables.backends)
        self._reactor.send(
            frames.NODE,
            {
                "backends": self.trace_rules.xtables.backends,
                "backend": backend,
                "why": why,
                "commands": {
                    f"{b}/{f}": c.name for (b, f), c in self.trace_rules.xtables.commands.items()
                },
                "rules": {name: counts.largest for name, counts in self._counts.items()},
                "tag": self.trace_rules.tag,
            },
        )

    @property
    def removals(self) -> int:
        """The number of removals noted so far."""
        return self._removals

    def note_removal(self) -> None:
        """Note that everything is to be removed: what was asked for before is added no more."""
        with self._lock:
            self._removals += 1

    def add(self, command: AddRules, removals: int) -> Outcome:
        """Install the rules of a command, all of them or none.

        ``removals`` is how many there had been when it came. The listing is sent before this ends.
        """
        try:
            outcome = self._add(command, removals)
        except TracetuiError as error:
            outcome = self._why_not_added(error, removals)
            self._close_legacy_source_if_idle()
        rules = self._list_after_change()
        return outcome._replace(rules=tuple(rules.get(r.identity, r) for r in outcome.rules))

    def delete(self, rule_id: str) -> Outcome:
        """Remove one rule of ours by its id; the listing is sent before this ends."""
        listing = self.trace_rules.listing()
        rule = next((rule for rule in listing.rules if rule.id == rule_id), None)
        try:
            if rule is None and listing.unknown:
                why = f"{rule_id} is not removed: {'; '.join(listing.doubts)}"
                raise refused(ErrorKind.FAILED, why)
            if rule is None:
                raise refused(ErrorKind.NOT_FOUND, f"no TRACE rule {rule_id} any more")
            if not rule.is_ours:
                why = f"{rule_id} is not ours and is left alone: {rule.text}"
                raise refused(ErrorKind.REFUSED, why)
            if not (rule.mine or is_dead(rule.owner or "") or not _has_process(rule)):
                why = f"{rule_id} belongs to another tracetui that is running"
                raise refused(ErrorKind.REFUSED, why)
            outcome = Outcome(rules=(rule,))
            result = self.trace_rules.remove_listed([rule])
            if result.left:
                # The reason was told while it was tried.
                why = f"{rule_id} is not removed"
                outcome = Outcome(ErrorKind.FAILED, why, left=(LeftRule(rule, ""),))
            elif not result.removed:
                outcome = Outcome(ErrorKind.NOT_FOUND, f"no TRACE rule {rule_id} any more")
        except CommandRefused as error:
            outcome = error.outcome
        self._close_legacy_source_if_idle()
        self._list_after_change()
        return outcome

    def extend(self, rule_ids: Collection[str], removals: int) -> Outcome:
        """Have rules of this collector end later, all of them where none is named.

        ``removals`` is how many there had been when that was asked for. The listing is sent before
        this ends.
        """
        listed = {rule.identity: rule for rule in self.trace_rules.listing().rules if rule.mine}
        extended: list[InsertedRule] = []
        left: list[LeftRule] = []
        for inserted in self.trace_rules.inserted:
            rule = listed.get(inserted.identity)
            if self._is_overtaken(removals):
                break
            if inserted.expires is None or (rule_ids and (not rule or rule.id not in rule_ids)):
                continue
            try:
                extended.append(self.trace_rules.extend(inserted, _later(inserted, time.time())))
            except Failure as error:
                if self._is_overtaken(removals):
                    break
                left.append(LeftRule(as_installed(inserted), str(error)))
        if self._is_overtaken(removals):
            # An extension that was under way has put a rule in: it goes too.
            outcome = self._overtaken().outcome._replace(undone=self._removed_noted())
        else:
            outcome = Outcome(
                ErrorKind.FAILED if left else None,
                "; ".join(each.why for each in left),
                rules=tuple(map(as_installed, extended)),
                left=tuple(left),
            )
        self._list_after_change()
        return outcome

    def flush(self, foreign_ids: Collection[str] = ()) -> Outcome:
        """Remove every rule of this collector, and the foreign ones that are named."""
        removed = [as_installed(inserted) for inserted in self._remove_mine()]
        if foreign_ids:
            doomed = {
                InsertedRule.of(rule): rule
                for rule in self.trace_rules.listing().rules
                if not rule.is_ours and rule.id in foreign_ids
            }
            foreign = self.trace_rules.remove_listed(doomed.values()).removed
            removed_foreign = [doomed[inserted] for inserted in foreign]
            self._send_without(removed_foreign)
            removed += removed_foreign
        if self.has_rules:
            why = "another removal goes on with what is left"
            return Outcome(ErrorKind.OVERTAKEN, why, rules=tuple(removed))
        return Outcome(rules=tuple(removed))

    def remove_mine(self) -> list[str]:
        """Remove every rule of this collector, then what they needed; one line for each rule."""
        return [inserted.text for inserted in self._remove_mine()]

    def remove_all(self) -> list[str]:
        """Remove every rule of this collector for good; one line for each.

        Raises Failure where it is not known whether all are gone.
        """
        removed = self.remove_noted() + self.remove_leftover(LAST_LISTING_SECONDS)
        if self._has_added and self.trace_rules.doubts:
            raise Failure("; ".join(self.trace_rules.doubts))
        return removed

    def remove_noted(self, on_removed: Callable[[str], None] = lambda text: None) -> list[str]:
        """Remove every rule that this collector inserted, one line for each.

        It ends early where another removal waits, which then has what is left. ``on_removed`` gets
        each line as soon as its rule is gone.
        """
        return [inserted.text for inserted in self._remove_noted(on_removed)]

    def remove_leftover(self, seconds: float | None = None) -> list[str]:
        """Remove what bears this collector's tag and is not noted; one line for each rule.

        The kernel may take so many seconds to tell of a table's, or as many as usual.
        """
        return [inserted.text for inserted in self._remove_leftover(seconds)]

    def _removed_noted(self) -> tuple[InstalledRule, ...]:
        """Remove what this collector inserted, and return it for a reply."""
        return tuple(map(as_installed, self._remove_noted()))

    def _remove_mine(self) -> list[InsertedRule]:
        return self._remove_noted() + self._remove_leftover()

    def _remove_noted(
        self, on_removed: Callable[[str], None] = lambda text: None
    ) -> list[InsertedRule]:
        removed = self.trace_rules.remove(
            self.trace_rules.inserted,
            self.is_needed_elsewhere,
            lambda inserted: on_removed(inserted.text),
        )
        self._close_legacy_source_if_idle()
        self._send_without(map(as_installed, removed))
        return removed

    def _remove_leftover(self, seconds: float | None = None) -> list[InsertedRule]:
        removed = self.trace_rules.remove_leftover(self.is_needed_elsewhere, seconds)
        self._close_legacy_source_if_idle()
        self._send_without(map(as_installed, removed))
        return removed

    def refresh(self) -> None:
        """List the rules, drop what expired, and look after the source of legacy hops."""
        noted = {inserted.identity for inserted in self.trace_rules.inserted}
        rules = list(self.trace_rules.listing().rules)
        over = [inserted for inserted in self.trace_rules.inserted if _has_ended(inserted)]
        if over:
            expired = self.trace_rules.remove(over)
            early = any(_ended_early(inserted) for inserted in expired)
            why = " (the clock was set forward)" if early else ""
            if expired:
                texts = "; ".join(inserted.text for inserted in expired)
                self._reactor.say("information", f"expired{why}: {texts}")
            ended = {inserted.identity for inserted in over}
            rules = [rule for rule in rules if rule.identity not in ended]
        self._look_after_legacy_source(rules)
        standing: dict[tuple[str, int, str, str | None], InsertedRule] = {
            inserted.identity: inserted for inserted in self.trace_rules.inserted
        }
        # What was removed while the tables were read is in the listing still.
        removed = noted - set(standing)
        kept = (rule for rule in rules if rule.identity not in removed)
        listed = tuple(_as_kept(rule, standing.get(rule.identity)) for rule in kept)
        sysctls = routing_sysctls()
        with self._send_lock:
            self._sysctls = sysctls
            self._send_rules(listed)

    def _list_after_change(self) -> Mapping[object, InstalledRule]:
        """List the rules and send them; those of this collector by their identity.

        The command that changed them is done: a listing that fails is told, and no more.
        """
        try:
            self.refresh()
        except Exception as error:
            logging.getLogger(__name__).exception("listing failed")
            self._reactor.say("error", failure_text(error))
        return {rule.identity: rule for rule in self._listed if rule.mine}

    def _send_rules(self, rules: tuple[InstalledRule, ...]) -> None:
        self._listed = rules
        value = {"rules": [rule.to_json() for rule in rules], "sysctls": self._sysctls}
        self._reactor.send(frames.RULES, value)

    def _send_without(self, removed: Iterable[InstalledRule]) -> None:
        """Send the rules that were listed last without those that were removed since.

        Raises nothing: a removal goes on, whatever becomes of the news of it.
        """
        try:
            names = {rule.identity if rule.is_ours else rule.id for rule in removed}
            with self._send_lock:
                left = tuple(
                    rule
                    for rule in self._listed
                    if (rule.identity if rule.is_ours else rule.id) not in names
                )
                if len(left) < len(self._listed):
                    self._send_rules(left)
        except Exception:
            logging.getLogger(__name__).exception("listing not sent")

    def foreign_matches(self) -> dict[str, InstalledRule]:
        """The TRACE rules of others by id, each with how often the kernel matched it so far."""
        return {rule.id: rule for rule in self.trace_rules.listing().rules if not rule.mine}

    def _add(self, command: AddRules, removals: int) -> Outcome:
        if not command.rules:
            raise refused(ErrorKind.INVALID, "no rule was named")
        rules = [_within_bounds(rule) for rule in command.rules]
        backend = self._chosen(command.backend)
        families = [self.trace_rules.families(rule, backend) for rule in rules]
        for rule in rules:
            self._check_cost(rule, backend, command.override)
        # What a rule without a limit costs on legacy has to be accepted first.
        may_lack = ("expiry", "limit") if command.override or backend == "nft" else ("expiry",)
        self._check_refusal(removals)
        with self._lock:
            self._adding += 1
        added: list[InsertedRule] = []
        try:
            self._open_legacy_source(backend)
            self._has_added = True
            for rule, rule_families in zip(rules, families):
                added += self.trace_rules.insert(rule, backend, rule_families, may_lack)
                if self._is_overtaken(removals):
                    break
        except Exception as error:
            undone = self.trace_rules.remove(added, self.is_needed_elsewhere)
            if not isinstance(error, TracetuiError):
                raise
            outcome = self._why_not_added(error, removals)
            undone_rules = tuple(map(as_installed, undone))
            raise CommandRefused(outcome._replace(undone=undone_rules)) from error
        finally:
            with self._lock:
                self._adding -= 1
        if self._is_overtaken(removals):
            overtaken = self._overtaken().outcome
            raise CommandRefused(overtaken._replace(undone=self._removed_noted()))
        self._reactor.read_rulesets()
        return Outcome(rules=tuple(map(as_installed, added)))

    def _why_not_added(self, error: TracetuiError, removals: int) -> Outcome:
        """Return the outcome of rules that an error kept from being added."""
        if isinstance(error, CommandRefused):
            outcome = error.outcome
        elif isinstance(error, UsageError):
            outcome = Outcome(ErrorKind.INVALID, str(error))
        else:
            outcome = Outcome(ErrorKind.FAILED, str(error))
        if removals != self._removals:
            return self._overtaken().outcome._replace(undone=outcome.undone)
        return outcome

    def _is_overtaken(self, removals: int) -> bool:
        """Whether a flush or a trip came after so many removals: it wins."""
        return removals != self._removals or self._refusal is not None

    def _overtaken(self) -> CommandRefused:
        """Make the error of a command that a flush, a trip or the end came after."""
        if self._refusal is None:
            return refused(ErrorKind.OVERTAKEN, _FLUSHED)
        outcome = self._refusal.outcome
        if outcome.error is ErrorKind.GONE:
            return self._refusal
        return CommandRefused(outcome._replace(error=ErrorKind.OVERTAKEN))

    def _check_refusal(self, removals: int) -> None:
        """Raise CommandRefused where no rule may be added, or a removal came meanwhile."""
        if removals != self._removals:
            raise self._overtaken()
        if self._refusal is not None:
            raise CommandRefused(self._refusal.outcome)

    def _chosen(self, backend: str) -> str:
        """The backend that a command names, or for ``auto`` the one that holds the rules now."""
        if backend == "auto":
            self.count()
            return choose_backend(self._counts, self.trace_rules.xtables.backends)[0]
        if backend not in BACKENDS:
            raise refused(ErrorKind.INVALID, f"no backend {backend!r}")
        return backend

    def _check_cost(self, rule: TraceRule, backend: str, override: bool) -> None:
        # When this process began it may have been a hundredth of that.
        refusal = worst_case(rule, backend, self.trace_rules.scanned(backend)).refusal
        if refusal and not override:
            remedy = "narrow or limit it, or override it (--force)"
            raise refused(ErrorKind.REFUSED, refusal, remedy)

    def _open_legacy_source(self, backend: str) -> None:
        if self.legacy_source.is_needed(backend):
            self._follow(self.legacy_source.open())

    def _look_after_legacy_source(self, rules: list[InstalledRule]) -> None:
        """Follow tables that others register, and rules of ours that others remove."""
        mine = [rule for rule in rules if rule.mine]
        self.trace_rules.forget_missing(mine)
        if mine and self._refusal is None:
            self._open_legacy_source(mine[0].backend)
        self._close_legacy_source_if_idle()

    def _close_legacy_source_if_idle(self) -> None:
        with self._lock:
            if self.trace_rules.inserted or self._adding:
                return
            change = self.legacy_source.close()
        self._follow(change)

    def _follow(self, change: SourceChange) -> None:
        if change.opened is not None:
            self._reactor.listen(change.opened)
        if change.closed is not None:
            self._reactor.drop(change.closed)

    def _warn(self, text: str) -> None:
        self._reactor.say("warning", text)


def _within_bounds(rule: TraceRule) -> TraceRule:
    """Return the rule, if its end can be meant; raises CommandRefused."""
    left = None if rule.expires is None else rule.expires - time.time()
    if left is not None and not 0 < left <= MAX_EXPIRY + CLOCK_SET_SECONDS:
        why = f"a rule ends within {MAX_EXPIRY // 3600} hours from now"
        raise refused(ErrorKind.INVALID, why)
    return rule


def _has_process(rule: InstalledRule) -> bool:
    return Owner.parse(rule.owner or "") is not None


def _has_ended(inserted: InsertedRule) -> bool:
    """Whether a rule is over, by the wall clock as the kernel has it or by the one of its start."""
    return (
        is_over(inserted.expires, time.time())
        or (inserted.deadline or float("inf")) + 1 < since_boot()
    )


def _ended_early(inserted: InsertedRule) -> bool:
    return inserted.deadline is not None and since_boot() < inserted.deadline - CLOCK_SET_SECONDS


def _later(inserted: InsertedRule, now: float) -> int:
    """The end of a rule that is extended once more, in seconds since the epoch."""
    return int(min(max(inserted.expires or 0, now) + DEFAULT_EXPIRY, now + MAX_EXPIRY))


def _as_kept(rule: InstalledRule, inserted: InsertedRule | None) -> InstalledRule:
    """A listed rule with the end that this process gives it, where that comes before its own."""
    if inserted is None or inserted.deadline is None:
        return rule
    ours = time.time() + inserted.deadline - since_boot()
    if rule.expires is not None and ours > rule.expires - CLOCK_SET_SECONDS:
        return rule
    return rule._replace(expires=round(ours), is_watched=True)
