"""nf_tables rules by handle: their text and chain, also after they were deleted.

nf_tables never gives a handle twice within a table, nor a table's handle within a namespace
(net/netfilter/nf_tables_api.c, nf_tables_alloc_handle and nf_tables_newtable), so a rule stays what
it is. Only a chain that it is in, or leads to, can be renamed.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from tracetui.model.rules.lookup import CHANGED, KNOWN, NOT_READ, Lookup
from tracetui.model.rules.ruleset import Chain, ChainKey, ListedRule, TableKey
from tracetui.model.trace.hop import Interval

HANDLES_KEPT = 200_000
"""nf_tables rules remembered by handle."""
NO_TABLE_HANDLE = 0
"""Stands for the table handle of a ruleset that the user gave: no listing has it."""

RuleKey = tuple[str, str, int, int]
"""Family, table, the table's handle, the rule's handle."""


class _PlacedRule(NamedTuple):
    """An nf_tables rule as it was from one snapshot on."""

    first: int
    key: ChainKey
    rule: ListedRule


class RulesByHandle:
    """The nf_tables rules of one history."""

    def __init__(self) -> None:
        self._placed: OrderedDict[RuleKey, list[_PlacedRule]] = OrderedDict()
        self._without_text: set[RuleKey] = set()
        """Rules of the newest snapshot that have no text so far."""

    def __len__(self) -> int:
        return len(self._placed)

    def begin_snapshot(self) -> None:
        """Forget which rules had no text: the snapshot that comes says it anew."""
        self._without_text.clear()

    def take(self, number: int, key: ChainKey, table_handle: int, chain: Chain) -> None:
        """Note the rules of a chain in a snapshot."""
        for rule in chain.rules:
            if rule.handle is not None and rule.text is None:
                self._without_text.add((key.family, key.table, table_handle, rule.handle))
            elif rule.handle is not None:
                rule_key = (key.family, key.table, table_handle, rule.handle)
                placed = self._placed.setdefault(rule_key, [])
                if not placed or placed[-1][1:] != (key, rule):
                    placed.append(_PlacedRule(number, key, rule))
        while len(self._placed) > HANDLES_KEPT:
            self._placed.popitem(last=False)

    def add_given(self, key: ChainKey, chain: Chain) -> None:
        """Note the rules of a chain that the user gave."""
        for rule in chain.rules:
            if rule.handle is not None:
                rule_key = (key.family, key.table, NO_TABLE_HANDLE, rule.handle)
                self._placed[rule_key] = [_PlacedRule(0, key, rule)]

    def given(self, table: TableKey, handle: int) -> Lookup[tuple[ChainKey, ListedRule]]:
        """The rule of a handle in what the user gave.

        A listing without handles (nft without ``-a``) leaves every rule unread.
        """
        placed = self._placed.get((*table, NO_TABLE_HANDLE, handle))
        if placed is None:
            has_handles = any(key[:2] == table for key in self._placed)
            return Lookup(CHANGED if has_handles else NOT_READ)
        return Lookup(KNOWN, placed[-1][1:])

    def has_no_text(self, rule_key: RuleKey) -> bool:
        """Whether the newest snapshot lists a rule without its text."""
        return rule_key in self._without_text

    def within(self, rule_key: RuleKey, interval: Interval) -> Lookup[tuple[ChainKey, ListedRule]]:
        """The rule and its chain during an interval; changed, if not the same all the time."""
        after, before = interval
        placed = self._placed.get(rule_key, [])
        candidates = [rule for rule in placed if rule.first <= before]
        if not candidates and placed:
            # A handle is not given twice: what was listed later is what it was.
            return Lookup(KNOWN, placed[0][1:])
        if not candidates or (len(candidates) > 1 and candidates[-1].first > after):
            return Lookup(CHANGED)
        return Lookup(KNOWN, candidates[-1][1:])

    def with_known_texts(self, key: ChainKey, table_handle: int, chain: Chain) -> Chain:
        """A chain with the texts of earlier snapshots where this one has none."""
        if all(rule.text is not None or rule.handle is None for rule in chain.rules):
            return chain
        rules = []
        for rule in chain.rules:
            placed = self._placed.get((key.family, key.table, table_handle, rule.handle or 0), [])
            is_known = rule.text is None and bool(placed) and placed[-1].key == key
            rules.append(placed[-1].rule if is_known else rule)
        return chain._replace(rules=tuple(rules))

    def forget(self, rule_key: RuleKey, key: ChainKey) -> None:
        """Forget a rule in one chain; a chain that was renamed has it under another name."""
        placed = [rule for rule in self._placed.get(rule_key, ()) if rule.key != key]
        if placed:
            self._placed[rule_key] = placed
        else:
            self._placed.pop(rule_key, None)
