"""The rulesets of a node over time, and which of them a hop was evaluated against.

A hop comes after one snapshot of the ruleset and before another one (its *interval*). The packet
met what both of them have, if nothing can have changed and changed back in between:

* nf_tables never gives a handle twice within a table, nor a table's handle within a namespace, so
  the same handles are the same rules.
* Legacy tables have nothing of the kind. There a snapshot says whether it is *continuous*: whether
  nothing can have changed and changed back since the one before it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from typing import Optional

from tracetui.model.rules.given_ruleset import GivenRuleset
from tracetui.model.rules.logged_points import LoggedPoints
from tracetui.model.rules.lookup import CHANGED, KNOWN, NOT_READ, PENDING, Lookup
from tracetui.model.rules.rules_by_handle import RulesByHandle
from tracetui.model.rules.ruleset import Chain, ChainKey, ListedRule, Ruleset, TableKey
from tracetui.model.rules.snapshot import Snapshot
from tracetui.model.rules.snapshot_gaps import SnapshotGaps
from tracetui.model.rules.spans import Span, Spans, SpanValue
from tracetui.model.trace.hop import Interval
from tracetui.model.trace.trace_point import TracePoint

ENDED_RULES_KEPT = 200_000
"""Rules remembered that are gone from the ruleset, with one for each of their chains."""


class RulesetHistory:
    """One backend's snapshots in order."""

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self.latest = 0
        """The number of the newest snapshot."""
        self._is_fresh = True
        """Whether the next snapshot is the first, or the first of another recording."""
        self._chains: dict[ChainKey, Spans[Chain]] = {}
        self._table_handles: dict[TableKey, Spans[int]] = {}
        self._newest_keys: set[ChainKey] = set()
        """The chains of the newest snapshot."""
        self._base_keys: set[ChainKey] = set()
        """Chains that were a base chain in any snapshot."""
        self._rules = RulesByHandle()
        self._ended: deque[tuple[ChainKey, Span[Chain]]] = deque()
        """Chains that changed or are gone, in the order in which they ended."""
        self._ended_rules = 0
        self._gaps = SnapshotGaps()
        self._last_forgotten = 0
        """The last snapshot of those that have a chain which is forgotten now."""
        self._logged = LoggedPoints()
        self._given = GivenRuleset()
        self._has_more = False
        self.is_ended = False
        """Whether no more snapshots come."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was read and nothing was given."""
        return self.latest == 0 and self._given.is_empty

    @property
    def remembered(self) -> int:
        """Rules that are remembered though they are gone, or by their handle."""
        return self._ended_rules + len(self._rules)

    def is_given_for(self, interval: Optional[Interval]) -> bool:
        """Whether a hop of this interval is explained by what the user gave."""
        return not self._given.is_empty and (interval is None or self.latest == 0)

    def has_no_base_chain(self, interval: Optional[Interval]) -> bool:
        """Whether the snapshots around a hop have no base chain at all."""
        if self._has_given_only or not self.latest or self.base_chains(interval) != []:
            return False
        return not self.transient_base_chains(interval)

    @property
    def _has_given_only(self) -> bool:
        return self.latest == 0 and not self._given.is_empty

    def add_given(self, ruleset: Ruleset) -> None:
        """Explain hops without an interval by this; given more than once, by all together."""
        self._given.add(ruleset)
        for key, chain in self._given.chains.items():
            self._logged.note(chain)
            self._rules.add_given(key, chain)

    def take(self, snapshot: Snapshot) -> None:
        """Note a snapshot; one whose number is known or was left out is not taken.

        The first one has any number: a recording's second file does not begin with 1.
        """
        for _ in self.take_by_chains(snapshot):
            pass

    def take_by_chains(self, snapshot: Snapshot) -> Iterator[None]:
        """Note a snapshot, a chain a step; until the last step it counts as still to come."""
        number = snapshot.number
        is_first = self._is_fresh and number > self.latest and snapshot.ruleset is not None
        if not is_first and (self._is_fresh or number != self.latest + 1):
            return
        self._is_fresh = False
        self._gaps.take(snapshot)
        if snapshot.ruleset is not None:
            self._has_more = snapshot.has_more
            self._rules.begin_snapshot()
            yield from self._take_ruleset(number, snapshot.ruleset)
        self.latest = number

    def restart(self, number: int) -> None:
        """End every chain: the next snapshot is ``number`` + 1, and goes on with nothing."""
        for key in self._newest_keys:
            self._take_chain(self.latest + 1, key, None)
        for handles in self._table_handles.values():
            handles.take(self.latest + 1, None)
        self._gaps.end(self.latest + 1)
        self._newest_keys = set()
        self.latest, self._is_fresh = number, True

    def chain(self, key: ChainKey, interval: Optional[Interval]) -> Lookup[Chain]:
        """The chain as a hop of this interval met it."""
        if interval is None or self._has_given_only:
            return self._given.chain(key)
        after, before = interval
        span = self._span_at(self._chains.get(key), after)
        if isinstance(span, str):
            return Lookup(NOT_READ if self.why_unlisted(key[:2], interval) else span)
        if span.last is not None and span.last < before:
            return Lookup(CHANGED)
        if before > self.latest:
            return Lookup(NOT_READ if self.is_ended else PENDING)
        if self.backend == "legacy" and not self._gaps.is_continuous(interval):
            return Lookup(CHANGED)
        return Lookup(KNOWN, span.value)

    def why_unlisted(self, table: TableKey, interval: Optional[Interval]) -> str:
        """Why nothing could list a table's rules around a hop; empty where something did.

        A table with an empty name stands for the whole family.
        """
        return self._gaps.why_unlisted(table, interval)

    def is_absent(self, key: ChainKey, interval: Optional[Interval]) -> bool:
        """Whether neither snapshot around a hop has the chain, though both have all its table.

        ``CHANGED`` says less: one of them may have it, or is not known.
        """
        if interval is None or not self._last_forgotten < interval[0] or interval[1] > self.latest:
            return False
        bases = (base for base in self._base_keys if base[:2] == key[:2])
        base = next((base for base in bases if base in self._newest_keys), None)
        if base is None or self.chain(base, interval).state != KNOWN:
            return False
        spans = self._chains.get(key)
        return spans is None or all(spans.at(number) is None for number in interval)

    def may_be_logged(self, point: TracePoint) -> bool:
        """Whether a rule that logs says this point, as TRACE does, in any snapshot."""
        return bool(self._logged) and point.text in self._logged

    def rule(
        self, table: TableKey, handle: int, interval: Optional[Interval]
    ) -> Lookup[tuple[ChainKey, ListedRule]]:
        """The nf_tables rule of a handle, and its chain, as a hop of this interval met it."""
        if interval is None or self._has_given_only:
            return self._rules.given(table, handle)
        after, before = interval
        span = self._span_at(self._table_handles.get(table), after)
        if isinstance(span, str):
            return Lookup(span)
        if span.last is not None and span.last < before:
            return Lookup(CHANGED)
        if before > self.latest:
            return Lookup(NOT_READ if self.is_ended else PENDING)
        rule_key = (*table, span.value, handle)
        if self._rules.has_no_text(rule_key):
            return Lookup(PENDING if self._has_more and not self.is_ended else NOT_READ)
        lookup = self._rules.within(rule_key, interval)
        if lookup.state == CHANGED and self.why_unlisted(table, interval):
            return Lookup(NOT_READ)
        return lookup

    def base_chains(
        self, interval: Optional[Interval], families: Optional[Collection[str]] = None
    ) -> Optional[list[tuple[ChainKey, Chain]]]:
        """Every base chain that was there all the time, of all families or of some.

        None where they are not known.
        """
        if interval is None or self._has_given_only:
            if self._given.is_empty:
                return None
            return [(key, chain) for key, chain in self._given.chains.items() if chain.is_base]
        if not interval[0] or interval[1] > self.latest:
            return None
        return [
            (key, before)
            for key, before, after in self._bases_around(interval, families)
            if before is not None and after is not None and before[2:] == after[2:]
        ]

    def transient_base_chains(
        self, interval: Optional[Interval], families: Optional[Collection[str]] = None
    ) -> list[tuple[ChainKey, Chain]]:
        """Every base chain that may have been there or not: one snapshot around a hop has it.

        Where a ruleset changed while it was read, a snapshot leaves out what changed, and every
        chain that was ever there may be.
        """
        if interval is None or self._has_given_only:
            return []
        is_unsettled = self._gaps.is_unsettled(interval)
        transient = []
        for key, before, after in self._bases_around(interval, families):
            if before is not None and after is not None:
                chains = [] if before[2:] == after[2:] else [before, after]
            else:
                chains = [chain for chain in (before, after) if chain is not None]
            if not chains and is_unsettled:
                chains = self._chains[key].values() if key in self._chains else []
            transient += [(key, chain) for chain in chains if chain.is_base]
        return transient

    def _bases_around(
        self, interval: Interval, families: Optional[Collection[str]]
    ) -> Iterator[tuple[ChainKey, Optional[Chain], Optional[Chain]]]:
        """Chains that were ever a base chain, as each snapshot of an interval has them."""
        for key in self._base_keys:
            if families is None or key.family in families:
                spans = [self._span_at(self._chains.get(key), number) for number in interval]
                before, after = (None if isinstance(span, str) else span.value for span in spans)
                yield key, before, after

    def newest_texts(self) -> Iterator[str]:
        """The texts of the rules in the newest snapshot, or in what the user gave."""
        newest = (self._chains[key].newest for key in self._newest_keys)
        for chain in (*self._given.chains.values(), *newest):
            for rule in chain.rules if chain is not None else ():
                if rule.text is not None:
                    yield rule.text

    def forget_before(self, number: int) -> None:
        """Forget what only snapshots before that one have: no hop that met it is kept."""
        while self._ended and (self._ended[0][1].last or 0) < number:
            self._forget_oldest()
        self._gaps.forget_before(number)
        for handles in self._table_handles.values():
            handles.forget_before(number)
        self._table_handles = {
            table: handles for table, handles in self._table_handles.items() if not handles.is_empty
        }

    def _take_ruleset(self, number: int, ruleset: Ruleset) -> Iterator[None]:
        for table in {*self._table_handles, *ruleset.instances}:
            handles = self._table_handles.setdefault(table, Spans())
            handles.take(number, ruleset.instances.get(table))
        for key in self._newest_keys - ruleset.chains.keys():
            self._take_chain(number, key, None)
            yield
        for key, listed in ruleset.chains.items():
            handle = ruleset.instances.get((key.family, key.table))
            chain = listed
            if handle is not None:
                chain = self._rules.with_known_texts(key, handle, listed)
            self._take_chain(number, key, chain)
            if chain.is_base:
                self._base_keys.add(key)
            if handle is not None:
                self._rules.take(number, key, handle, chain)
            yield
        self._newest_keys = set(ruleset.chains)

    def _take_chain(self, number: int, key: ChainKey, chain: Optional[Chain]) -> None:
        """Note a chain of a snapshot, None where it is gone; what ended long ago is forgotten."""
        spans = self._chains.setdefault(key, Spans())
        newest = spans.newest
        is_completed = chain is not None and newest is not None and chain.completes(newest)
        if chain is not None and is_completed:
            spans.complete(chain)
        ended = spans.take(number, chain)
        if chain is not None and (is_completed or spans.newest_first == number):
            self._logged.note(chain)
        if ended is None:
            return
        self._ended.append((key, ended))
        self._ended_rules += 1 + len(ended.value.rules)
        while self._ended_rules > ENDED_RULES_KEPT:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        """Forget the chain that ended first, and its rules that are in no later one."""
        key, span = self._ended.popleft()
        self._ended_rules -= 1 + len(span.value.rules)
        self._last_forgotten = max(self._last_forgotten, span.last or 0)
        handles = self._table_handles.get(key[:2])
        handle = None if handles is None else handles.at(span.first)
        # A handle is not given twice, so a rule that the next chain has not is in no later one.
        later = self._chains[key].forget(span)
        kept = {rule.handle for rule in later.rules} if later is not None else set()
        if self._chains[key].is_empty:
            del self._chains[key]
        if handle is None:
            return
        for rule in span.value.rules:
            if rule.handle is not None and rule.handle not in kept:
                self._rules.forget((key.family, key.table, handle.value, rule.handle), key)

    def _span_at(self, spans: Optional[Spans[SpanValue]], number: int) -> Span[SpanValue] | str:
        """The span that a snapshot is in; the lookup's state where there is none."""
        if not number or not self.latest:
            return NOT_READ
        span = spans.at(number) if spans is not None else None
        return CHANGED if span is None else span
