"""The rulesets of a node over time, and which of them a hop was evaluated against.

A hop comes after one reading of the ruleset and before another (its *window*). What both of them
found is what the packet met, if nothing can have changed and changed back in between:

* nf_tables never gives a handle twice within a table, nor a table's handle within a namespace, so
  the same handles are the same rules.
* Legacy tables have nothing of the kind. There a reading says whether it is *continuous*: whether
  nothing can have changed and changed back since the one before it.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import OrderedDict, deque
from collections.abc import Collection, Iterator
from typing import Generic, NamedTuple, Optional, TypeVar

from tracetui.model.rules.logged_points import LoggedPlaces
from tracetui.model.rules.ruleset import Chain, ChainKey, ListedRule, Ruleset, TableKey
from tracetui.model.trace.trace_point import TracePoint

RULES_KEPT = 200_000
"""Rules remembered that are gone from the ruleset, and nf_tables rules remembered by handle."""
KNOWN, PENDING, CHANGED, UNREAD = "known", "pending", "changed", "unread"
"""States of an answer: found; the next reading will tell; changed meanwhile; never read."""

Interval = tuple[int, int]
"""The last reading that had ended when a hop was evaluated (0 for none), and the first to come."""
Value = TypeVar("Value")


class Snapshot(NamedTuple):
    """One reading of one backend's ruleset."""

    backend: str
    number: int
    """Counts from 1 in each backend."""
    continuous: bool
    """Whether nothing can have changed and changed back since the reading before it."""
    ruleset: Optional[Ruleset]
    """What it found; None for what the one before it found."""
    has_more: bool = False
    """Whether it left texts out that a later one has."""


class Lookup(Generic[Value]):
    """An answer of the history."""

    __slots__ = ("state", "value")

    def __init__(self, state: str, value: Optional[Value] = None) -> None:
        self.state = state
        self.value = value
        """There if and only if the state is known."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lookup) and (self.state, self.value) == (other.state, other.value)


class _Span(Generic[Value]):
    """Readings in a row that found the same."""

    __slots__ = ("first", "last", "value")

    def __init__(self, first: int, value: Value) -> None:
        self.first = first
        self.last: Optional[int] = None
        """None while the newest reading found it too."""
        self.value = value


class _Spans(Generic[Value]):
    """What was found at one place, in the order of the readings."""

    __slots__ = ("_spans",)

    def __init__(self) -> None:
        self._spans: list[_Span[Value]] = []

    def take(self, number: int, value: Optional[Value]) -> Optional[_Span[Value]]:
        """Note what a reading found, None for nothing; the span that ended by it."""
        newest = self._spans[-1] if self._spans else None
        ended = None
        if newest is not None and newest.last is None:
            if newest.value == value:
                return None
            newest.last = number - 1
            ended = newest
        if value is not None:
            self._spans.append(_Span(number, value))
        return ended

    @property
    def began(self) -> int:
        """The first reading that found what the newest that found anything did; 0 for none."""
        return self._spans[-1].first if self._spans else 0

    def complete(self, value: Value) -> None:
        """Have what the newest reading found be this: the same, and more is known of it."""
        newest = self._spans[-1] if self._spans else None
        if newest is not None and newest.last is None:
            newest.value = value

    @property
    def newest(self) -> Optional[Value]:
        """What the newest reading found; None for nothing."""
        newest = self._spans[-1] if self._spans else None
        return newest.value if newest is not None and newest.last is None else None

    def at(self, number: int) -> Optional[_Span[Value]]:
        """What a reading found there."""
        span = next((one for one in reversed(self._spans) if one.first <= number), None)
        return span if span is not None and (span.last or number) >= number else None

    def values(self) -> list[Value]:
        """Everything that is remembered, the oldest first."""
        return [one.value for one in self._spans]

    def forget(self, span: _Span[Value]) -> Optional[Value]:
        """Forget what was found first; what was found there next, None for nothing so far."""
        self._spans.remove(span)
        return self._spans[0].value if self._spans else None

    def forget_before(self, number: int) -> None:
        """Forget what only readings before that one found."""
        self._spans = [one for one in self._spans if one.last is None or one.last >= number]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is remembered."""
        return not self._spans


class _Placed(NamedTuple):
    """An nf_tables rule as it was found from one reading on."""

    first: int
    key: ChainKey
    rule: ListedRule


_RuleKey = tuple[str, str, int, int]
"""Family, table, the table's handle, the rule's handle."""


def _placed_within(known: list[_Placed], window: Interval) -> Lookup[tuple[ChainKey, ListedRule]]:
    """What a rule was like within a window; changed, if it was not the same all the time."""
    after, before = window
    there = [placed for placed in known if placed.first <= before]
    if not there and known:
        # A handle is not given twice: what was listed later is what it was.
        return Lookup(KNOWN, known[0][1:])
    if not there or (len(there) > 1 and there[-1].first > after):
        return Lookup(CHANGED)
    return Lookup(KNOWN, there[-1][1:])


class RulesetHistory:
    """One backend's rulesets."""

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self.latest = 0
        """The number of the newest reading."""
        self._is_fresh = True
        """Whether the next reading is the first, or the first of another recording."""
        self._chains: dict[ChainKey, _Spans[Chain]] = {}
        self._instances: dict[TableKey, _Spans[int]] = {}
        self._unlisted: dict[TableKey, _Spans[str]] = {}
        self._open: set[ChainKey] = set()
        self._base: set[ChainKey] = set()
        self._rules: OrderedDict[_RuleKey, list[_Placed]] = OrderedDict()
        self._gone: deque[tuple[ChainKey, _Span[Chain]]] = deque()
        self._gone_rules = 0
        self._weak: list[int] = []
        self._unsettled: set[int] = set()
        """The readings during which the ruleset changed, so that they left something out."""
        self._forgotten = 0
        """The last reading of those that found a chain which is forgotten now."""
        self._logged = LoggedPlaces()
        self._fixed: Optional[Ruleset] = None
        self._absent: dict[ChainKey, bool] = {}
        """Chains asked for that the user's listing lacks: whether it has all else of the table."""
        self._untold: set[_RuleKey] = set()
        """Rules that are there and have no text so far."""
        self._has_more = False
        self.is_ended = False
        """Whether no more readings come."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was read and nothing was given."""
        return self.latest == 0 and self._fixed is None

    @property
    def remembered(self) -> int:
        """Rules that are remembered though they are gone, or by their handle."""
        return self._gone_rules + len(self._rules)

    def is_given_for(self, window: Optional[Interval]) -> bool:
        """Whether a hop with this window is explained by what the user gave."""
        return self._fixed is not None and (window is None or self.latest == 0)

    def is_blind(self, window: Optional[Interval]) -> bool:
        """Whether the readings around a hop found no base chain at all."""
        if self._has_fixed_only or not self.latest or self.base_chains(window) != []:
            return False
        return not self.passing_base_chains(window)

    @property
    def _has_fixed_only(self) -> bool:
        return self.latest == 0 and self._fixed is not None

    def fix(self, ruleset: Ruleset) -> None:
        """Explain hops without a window by this; given more than once, by all together."""
        if self._fixed is None:
            self._fixed = Ruleset()
        self._fixed.add(ruleset)
        self._absent.clear()
        for key, chain in self._fixed.chains.items():
            self._logged.note(chain)
            for rule in chain.rules:
                if rule.handle is not None:
                    placed = _Placed(0, key, rule)
                    self._rules[(key.family, key.table, 0, rule.handle)] = [placed]

    def take(self, reading: Snapshot) -> None:
        """Note a reading; those of a number that is known or was left out are not taken.

        The first one has any number: a recording's second file does not begin with 1.
        """
        for _ in self.taking(reading):
            pass

    def taking(self, reading: Snapshot) -> Iterator[None]:
        """The same, a chain a step; until the last one the reading counts as still to come."""
        number = reading.number
        is_first = self._is_fresh and number > self.latest and reading.ruleset is not None
        if not is_first and (self._is_fresh or number != self.latest + 1):
            return
        self._is_fresh = False
        if not reading.continuous:
            self._weak.append(number)
        if reading.ruleset is not None:
            self._has_more = reading.has_more
            self._untold.clear()
            if not reading.ruleset.is_settled:
                self._unsettled.add(number)
            yield from self._take_ruleset(number, reading.ruleset)
        elif number - 1 in self._unsettled:
            self._unsettled.add(number)
        self.latest = number

    def begin_anew(self, number: int) -> None:
        """Forget what stands now: the next reading is ``number`` + 1, and goes on with nothing."""
        for key in self._open:
            self._take_chain(self.latest + 1, key, None)
        for spans in self._instances.values():
            spans.take(self.latest + 1, None)
        for reasons in self._unlisted.values():
            reasons.take(self.latest + 1, None)
        self._open = set()
        self.latest, self._is_fresh = number, True

    def chain(self, key: ChainKey, window: Optional[Interval]) -> Lookup[Chain]:
        """The chain as a hop with this window met it."""
        if window is None or self._has_fixed_only:
            return self._fixed_chain(key)
        after, before = window
        span = self._span(self._chains.get(key), after)
        if isinstance(span, str):
            return Lookup(UNREAD if self.why_unlisted(key[:2], window) else span)
        if span.last is not None and span.last < before:
            return Lookup(CHANGED)
        if before > self.latest:
            return Lookup(UNREAD if self.is_ended else PENDING)
        if self.backend == "legacy" and self._is_weak(window):
            return Lookup(CHANGED)
        return Lookup(KNOWN, span.value)

    def why_unlisted(self, table: TableKey, window: Optional[Interval]) -> str:
        """Why nothing could list a table's rules around a hop; empty where something did.

        A table with an empty name stands for the whole family.
        """
        if window is None:
            return ""
        for key in (table, (table[0], "")):
            for number in window:
                spans = self._unlisted.get(key)
                span = spans.at(number) if spans is not None else None
                if span is not None:
                    return span.value
        return ""

    def is_absent(self, key: ChainKey, window: Optional[Interval]) -> bool:
        """Whether neither reading around a hop found the chain, though both read all its table.

        ``CHANGED`` says less: one of them may have found it, or could not tell.
        """
        if window is None or not self._forgotten < window[0] or window[1] > self.latest:
            return False
        base = next((one for one in self._base if one[:2] == key[:2] and one in self._open), None)
        if base is None or self.chain(base, window).state != KNOWN:
            return False
        spans = self._chains.get(key)
        return spans is None or all(spans.at(number) is None for number in window)

    def may_be_logged(self, at: TracePoint) -> bool:
        """Whether a rule that logs says this place, as TRACE does, in any reading."""
        return bool(self._logged) and at.text in self._logged

    def rule(
        self, table: TableKey, handle: int, window: Optional[Interval]
    ) -> Lookup[tuple[ChainKey, ListedRule]]:
        """The nf_tables rule of a handle, and its chain, as a hop with this window met it."""
        if window is None or self._has_fixed_only:
            fixed = self._rules.get((*table, 0, handle))
            if fixed is None:
                # Without handles in the listing (nft without -a) nothing can be looked up.
                has_handles = any(key[:2] == table for key in self._rules)
                return Lookup(CHANGED if has_handles else UNREAD)
            return Lookup(KNOWN, fixed[-1][1:])
        after, before = window
        span = self._span(self._instances.get(table), after)
        if isinstance(span, str):
            return Lookup(span)
        if span.last is not None and span.last < before:
            return Lookup(CHANGED)
        if before > self.latest:
            return Lookup(UNREAD if self.is_ended else PENDING)
        rule_key = (*table, span.value, handle)
        if rule_key in self._untold:
            return Lookup(PENDING if self._has_more and not self.is_ended else UNREAD)
        found = _placed_within(self._rules.get(rule_key, []), window)
        if found.state == CHANGED and self.why_unlisted(table, window):
            return Lookup(UNREAD)
        return found

    def base_chains(
        self, window: Optional[Interval], families: Optional[Collection[str]] = None
    ) -> Optional[list[tuple[ChainKey, Chain]]]:
        """Every base chain that was there all the time, of all families or of some.

        None where no reading tells.
        """
        if window is None or self._has_fixed_only:
            if self._fixed is None:
                return None
            return [(key, chain) for key, chain in self._fixed.chains.items() if chain.is_base]
        if not window[0] or window[1] > self.latest:
            return None
        return [
            (key, before)
            for key, before, after in self._bases_around(window, families)
            if before is not None and after is not None and before[2:] == after[2:]
        ]

    def passing_base_chains(
        self, window: Optional[Interval], families: Optional[Collection[str]] = None
    ) -> list[tuple[ChainKey, Chain]]:
        """Every base chain that may have been there or not: one reading around a hop found it.

        Where a ruleset changed while it was read, a reading leaves out what changed, and every
        chain that was ever there may be.
        """
        if window is None or self._has_fixed_only:
            return []
        is_unsettled = not self._unsettled.isdisjoint(window)
        found = []
        for key, before, after in self._bases_around(window, families):
            if before is not None and after is not None:
                here = [] if before[2:] == after[2:] else [before, after]
            else:
                here = [one for one in (before, after) if one is not None]
            if not here and is_unsettled:
                here = self._chains[key].values() if key in self._chains else []
            found += [(key, chain) for chain in here if chain.is_base]
        return found

    def _bases_around(
        self, window: Interval, families: Optional[Collection[str]]
    ) -> Iterator[tuple[ChainKey, Optional[Chain], Optional[Chain]]]:
        """What was ever a base chain, as the readings around a hop found it; None for not."""
        for key in self._base:
            if families is None or key.family in families:
                spans = [self._span(self._chains.get(key), number) for number in window]
                before, after = (None if isinstance(one, str) else one.value for one in spans)
                yield key, before, after

    def newest_texts(self) -> Iterator[str]:
        """The texts of the rules that the newest reading found, or that the user gave."""
        fixed = {} if self._fixed is None else self._fixed.chains
        newest = (self._chains[key].newest for key in self._open)
        for chain in (*fixed.values(), *newest):
            for rule in chain.rules if chain is not None else ():
                if rule.text is not None:
                    yield rule.text

    def forget_before(self, number: int) -> None:
        """Forget what only readings before that one found: no hop that met it is kept."""
        while self._gone and (self._gone[0][1].last or 0) < number:
            self._forget_oldest()
        del self._weak[: bisect_left(self._weak, number)]
        self._unsettled = {one for one in self._unsettled if one >= number}
        for spans in self._instances.values():
            spans.forget_before(number)
        for reasons in self._unlisted.values():
            reasons.forget_before(number)
        self._instances = {
            one: spans for one, spans in self._instances.items() if not spans.is_empty
        }
        self._unlisted = {
            one: reasons for one, reasons in self._unlisted.items() if not reasons.is_empty
        }

    def _take_ruleset(self, number: int, ruleset: Ruleset) -> Iterator[None]:
        for table in {*self._instances, *ruleset.instances}:
            spans = self._instances.setdefault(table, _Spans())
            spans.take(number, ruleset.instances.get(table))
        for table in {*self._unlisted, *ruleset.unread}:
            reasons = self._unlisted.setdefault(table, _Spans())
            reasons.take(number, ruleset.unread.get(table))
        for key in self._open - ruleset.chains.keys():
            self._take_chain(number, key, None)
            yield
        for key, found in ruleset.chains.items():
            instance = ruleset.instances.get((key.family, key.table))
            chain = found if instance is None else self._with_known_texts(key, instance, found)
            self._take_chain(number, key, chain)
            if chain.is_base:
                self._base.add(key)
            if instance is not None:
                self._remember(number, key, instance, chain)
            yield
        self._open = set(ruleset.chains)

    def _take_chain(self, number: int, key: ChainKey, chain: Optional[Chain]) -> None:
        """Note what a reading found at a place; what is long gone is forgotten."""
        spans = self._chains.setdefault(key, _Spans())
        newest = spans.newest
        is_completed = chain is not None and newest is not None and chain.completes(newest)
        if chain is not None and is_completed:
            spans.complete(chain)
        ended = spans.take(number, chain)
        if chain is not None and (is_completed or spans.began == number):
            self._logged.note(chain)
        if ended is None:
            return
        self._gone.append((key, ended))
        self._gone_rules += 1 + len(ended.value.rules)
        while self._gone_rules > RULES_KEPT:
            self._forget_oldest()

    def _with_known_texts(self, key: ChainKey, instance: int, chain: Chain) -> Chain:
        """A chain with the texts of earlier readings where this one was not given them."""
        if all(rule.text is not None or rule.handle is None for rule in chain.rules):
            return chain
        rules = []
        for rule in chain.rules:
            known = self._rules.get((key.family, key.table, instance, rule.handle or 0), [])
            is_untold = rule.text is None and bool(known) and known[-1].key == key
            rules.append(known[-1].rule if is_untold else rule)
        return chain._replace(rules=tuple(rules))

    def _forget_oldest(self) -> None:
        """Forget the chain that was gone first, and its rules that stand nowhere since."""
        key, old = self._gone.popleft()
        self._gone_rules -= 1 + len(old.value.rules)
        self._forgotten = max(self._forgotten, old.last or 0)
        instance = self._instances[key[:2]].at(old.first) if key[:2] in self._instances else None
        # A handle is not given twice, so a rule that the next chain has not is in no later one.
        later = self._chains[key].forget(old)
        kept = {rule.handle for rule in later.rules} if later is not None else set()
        if self._chains[key].is_empty:
            del self._chains[key]
        if instance is None:
            return
        for rule in old.value.rules:
            if rule.handle is not None and rule.handle not in kept:
                self._forget_rule((key.family, key.table, instance.value, rule.handle), key)

    def _forget_rule(self, rule_key: _RuleKey, key: ChainKey) -> None:
        """Forget a rule where it stood; a chain that was renamed has it under another name."""
        known = [placed for placed in self._rules.get(rule_key, ()) if placed.key != key]
        if known:
            self._rules[rule_key] = known
        else:
            self._rules.pop(rule_key, None)

    def _remember(self, number: int, key: ChainKey, instance: int, chain: Chain) -> None:
        for rule in chain.rules:
            if rule.handle is not None and rule.text is None:
                self._untold.add((key.family, key.table, instance, rule.handle))
            elif rule.handle is not None:
                known = self._rules.setdefault((key.family, key.table, instance, rule.handle), [])
                # A rule stays what it is, but a chain that it is in or leads to can be renamed.
                if not known or known[-1][1:] != (key, rule):
                    known.append(_Placed(number, key, rule))
        while len(self._rules) > RULES_KEPT:
            self._rules.popitem(last=False)

    def _fixed_chain(self, key: ChainKey) -> Lookup[Chain]:
        if self._fixed is None:
            return Lookup(UNREAD)
        chain = self._fixed.chains.get(key)
        if chain is not None:
            return Lookup(KNOWN, chain)
        return Lookup(CHANGED if self._is_whole_without(key) else UNREAD)

    def _is_whole_without(self, key: ChainKey) -> bool:
        """Whether the user's listing has all of a table that a chain is not in.

        ``nft list chain`` shows one chain of it, and a cut listing leads to chains that it lacks.
        """
        if self._fixed is None:
            return False
        if key not in self._absent:
            chains = [one for other, one in self._fixed.chains.items() if other[:2] == key[:2]]
            called = re.compile(rf"(?:^-A .* -[jg]|(?:jump|goto)) {re.escape(key.name)}(?=[ ,]|$)")
            self._absent[key] = len(chains) > 1 and not any(
                called.search(rule.text or "") for one in chains for rule in one.rules
            )
        return self._absent[key]

    def _span(self, spans: Optional[_Spans[Value]], after: int) -> _Span[Value] | str:
        """What the reading before a hop found; a state if it found nothing."""
        if not after or not self.latest:
            return UNREAD
        span = spans.at(after) if spans is not None else None
        return CHANGED if span is None else span

    def _is_weak(self, window: Interval) -> bool:
        at = bisect_right(self._weak, window[0])
        return at < len(self._weak) and self._weak[at] <= window[1]
