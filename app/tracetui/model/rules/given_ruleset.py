"""The ruleset that the user gave, for hops without snapshots around them."""

from __future__ import annotations

import re
from typing import Optional

from tracetui.model.rules.lookup import CHANGED, KNOWN, NOT_READ, Lookup
from tracetui.model.rules.ruleset import Chain, ChainKey, Ruleset


class GivenRuleset:
    """The listings that the user gave for one backend, all together."""

    def __init__(self) -> None:
        self._ruleset: Optional[Ruleset] = None
        self._is_table_complete: dict[ChainKey, bool] = {}
        """By chain that was looked up and is missing: whether all else of its table is there."""

    @property
    def is_empty(self) -> bool:
        """Whether the user gave nothing."""
        return self._ruleset is None

    @property
    def chains(self) -> dict[ChainKey, Chain]:
        """All chains; none where nothing was given."""
        return {} if self._ruleset is None else self._ruleset.chains

    def add(self, ruleset: Ruleset) -> None:
        """Join another listing to what was given before."""
        if self._ruleset is None:
            self._ruleset = Ruleset()
        self._ruleset.add(ruleset)
        self._is_table_complete.clear()

    def chain(self, key: ChainKey) -> Lookup[Chain]:
        """A chain; changed where the listing has all of its table and not the chain."""
        if self._ruleset is None:
            return Lookup(NOT_READ)
        chain = self._ruleset.chains.get(key)
        if chain is not None:
            return Lookup(KNOWN, chain)
        return Lookup(CHANGED if self._has_whole_table_without(key) else NOT_READ)

    def _has_whole_table_without(self, key: ChainKey) -> bool:
        """Whether the listing has all of a table that a chain is not in.

        ``nft list chain`` shows one chain of it, and a cut listing leads to chains that it lacks.
        """
        if key not in self._is_table_complete:
            table = [chain for other, chain in self.chains.items() if other[:2] == key[:2]]
            leads_there = re.compile(
                rf"(?:^-A .* -[jg]|(?:jump|goto)) {re.escape(key.name)}(?=[ ,]|$)"
            )
            self._is_table_complete[key] = len(table) > 1 and not any(
                leads_there.search(rule.text or "") for chain in table for rule in chain.rules
            )
        return self._is_table_complete[key]
