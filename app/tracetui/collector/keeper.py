"""What is done to the node, and undone: rules, the nf_log binding, listings.

Everything here may block, so it runs in the collector's workers, never in its receive loop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any, Protocol

from tracetui.collector import frames
from tracetui.collector.legacy_route import LegacyRoute
from tracetui.collector.listing import TableCounts
from tracetui.collector.nf_log_binding import NfLogBinding
from tracetui.collector.owner import Owner, is_dead
from tracetui.collector.rulebook import RuleBook, tag_of
from tracetui.collector.sources import Source
from tracetui.errors import Failure, TracetuiError
from tracetui.kernel.procfs import routing_sysctls
from tracetui.model.cost import worst_case
from tracetui.model.installed import InstalledRule
from tracetui.model.rule import TraceRule


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


class Keeper:
    """The rules of one collector and what they need on the node."""

    def __init__(self, loop: Loop, source_choice: str) -> None:
        self._loop = loop
        me = str(Owner.this_process())
        self.book = RuleBook(tag_of(me), lambda text: loop.say("warning", text))
        self._binding = NfLogBinding(me)
        self._route = LegacyRoute(
            source_choice, self._binding, lambda text: loop.say("warning", text)
        )
        self._counts: dict[str, TableCounts] = {}
        self._refusal: str | None = None
        self._removals = 0
        self._adding = 0
        self._lock = threading.Lock()

    @property
    def has_rules(self) -> bool:
        """Whether a rule of ours stands, as far as this process knows."""
        return bool(self.book.standing)

    def refuse(self, reason: str | None) -> None:
        """Add no rule from now on, for this reason; None lets rules be added again."""
        self._refusal = reason

    def begin(self) -> None:
        """Sweep what dead collectors left, then tell what the node has."""
        for one in self.book.swept(time.time()):
            self._loop.say("warning", f"removed a rule left by a dead tracetui: {one.text}")
        if self._binding.sweep():
            self._loop.say("warning", "restored nf_log, left bound by a dead tracetui")
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

    def add(self, order: Mapping[str, Any]) -> None:
        """Install a rule that was asked for, or say why not."""
        try:
            self._add(order)
        except TracetuiError as error:
            self._loop.say("error", f"no rule added: {error}")
            self._close_route_if_idle()
        self.refresh()

    def delete(self, rule_id: str) -> None:
        """Remove one rule of ours by its id, or say why not."""
        rule = next((rule for rule in self.book.listing() if rule.id == rule_id), None)
        if rule is None:
            self._loop.say("warning", f"no TRACE rule {rule_id} any more")
        elif not rule.is_ours:
            self._loop.say("error", f"{rule_id} is not ours and is left alone: {rule.text}")
        elif not (rule.mine or is_dead(rule.owner or "") or not _has_process(rule)):
            self._loop.say("error", f"{rule_id} belongs to another tracetui that is running")
        elif self.book.remove_listed([rule]):
            self._loop.say("information", f"removed {rule.backend} {rule.chain} {rule.text}")
        self._close_route_if_idle()
        self.refresh()

    def flush(self) -> None:
        """Remove every rule of this collector and name them."""
        removed = self.remove_mine()
        if removed:
            self._loop.say("information", f"flushed {len(removed)}: {'; '.join(removed)}")
        else:
            self._loop.say("information", "nothing to flush: no rule of ours")

    def remove_mine(self) -> list[str]:
        """Remove every rule of this collector, then what they needed; one line for each rule."""
        with self._lock:
            self._removals += 1
        removed = [one.text for one in self.book.remove_mine()]
        self._close_route_if_idle()
        return removed

    def refresh(self) -> None:
        """List the rules, drop what expired, and look after the route of legacy hops."""
        rules = self.book.listing()
        over = [rule for rule in rules if rule.mine and _is_over(rule)]
        if over and (gone := self.book.remove_listed(over)):
            self._loop.say("information", f"expired: {'; '.join(one.text for one in gone)}")
            rules = [rule for rule in rules if rule not in over]
        self._look_after_route(rules)
        self._loop.send(
            frames.RULES,
            {"rules": [rule.to_json() for rule in rules], "sysctls": routing_sysctls()},
        )

    def route_states(self) -> list[Mapping[str, str]]:
        """The state of the legacy route while no source stands for it."""
        return self._route.states()

    def _add(self, order: Mapping[str, Any]) -> None:
        rule = TraceRule.from_json(order.get("rule", {}))
        backend = str(order.get("backend"))
        families = self.book.families(rule, backend)
        self._check_cost(rule, backend, bool(order.get("override")))
        removals = self._removals
        if self._refusal is not None:
            raise Failure(self._refusal)
        with self._lock:
            self._adding += 1
        try:
            self._open_route(backend)
            added = self.book.insert(rule, backend, families)
        finally:
            with self._lock:
                self._adding -= 1
        if removals != self._removals or self._refusal is not None:
            # A flush or a trip overtook the insertion: it wins.
            self.remove_mine()
            raise Failure(self._refusal or "flushed meanwhile")
        self._loop.read_rulesets()
        self._loop.say("information", f"added {'; '.join(one.text for one in added)}")

    def _check_cost(self, rule: TraceRule, backend: str, override: bool) -> None:
        if not self._counts:
            self._counts = self.book.counts()
        known = self._counts.get(backend)
        refusal = worst_case(rule, backend, known.largest if known else 0).refusal
        if refusal and not override:
            raise Failure(f"{refusal}; narrow or limit it, or override explicitly")

    def _open_route(self, backend: str) -> None:
        if self._route.is_needed(backend) and (source := self._route.open()):
            self._loop.listen(source)

    def _look_after_route(self, rules: list[InstalledRule]) -> None:
        """Follow tables that others register, and rules of ours that others remove."""
        mine = [rule for rule in rules if rule.mine]
        if mine and not self._route.is_open:
            self._open_route(mine[0].backend)
        self.book.forget_missing(mine)
        self._close_route_if_idle()

    def _close_route_if_idle(self) -> None:
        with self._lock:
            if self.book.standing or self._adding:
                return
            source = self._route.close()
        if source is not None:
            self._loop.drop(source)


def _has_process(rule: InstalledRule) -> bool:
    return Owner.parse(rule.owner or "") is not None


def _is_over(rule: InstalledRule) -> bool:
    # xt_time matches up to the end of its last second (net/netfilter/xt_time.c).
    return rule.expires is not None and rule.expires + 1 < time.time()


def choose_backend(counts: Mapping[str, TableCounts], backends: tuple[str, ...]) -> tuple[str, str]:
    """The backend that holds the node's rules, and what that rests on.

    As kubernetes-sigs/iptables-wrappers: kubelet's marker chain decides, nft looked at first;
    without one legacy must hold more rules than nft.
    """
    for backend in ("nft", "legacy"):
        if backend in counts and counts[backend].kubelet:
            return backend, "kubelet's chain is there"
    legacy, nft = (counts[b].total if b in counts else 0 for b in ("legacy", "nft"))
    if len(backends) == 1:
        return backends[0], "the only iptables here"
    return ("legacy" if legacy > nft else "nft"), f"{nft} rules in nft, {legacy} in legacy"
