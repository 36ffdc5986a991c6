"""Listings by nft of rules that iptables-save can't print, kept while the ruleset is the same.

nft up to 1.0 fetches every element of every set, wanted or not (``nft -t``): of 100,000 elements
that takes 5 seconds. nf_tables never gives a handle twice within a table, nor a table's within a
namespace, so a rule's text holds for as long as its handle is there; only a chain that was renamed
changes it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Optional

from tracetui.errors import Failure
from tracetui.kernel import xtables
from tracetui.kernel.nf_tables import ChainOutline, RulesetOutline, TableOutline
from tracetui.model.rules import unnamed_chains

READING_SHARE = 0.1
"""The part of one core that readings may take, and nft's listings once more."""
NATIVE_RULES = 20_000
"""A table with more rules that are not iptables' is not read: nft takes 60 µs and 4 kB for each."""
_LISTED_HANDLE = re.compile(r" # handle ([0-9]{1,20})$", re.MULTILINE)


class _Wanted(NamedTuple):
    """A table, or a chain of one, that nft is asked for."""

    table: TableOutline
    chain: Optional[str]
    """The chain; None for the whole table."""
    handles: frozenset[int]
    """The rules whose texts are wanted."""
    names: frozenset[str]
    """Names of all chains of the table."""


class _Kept(NamedTuple):
    """A listing of nft, kept."""

    text: str
    handles: frozenset[int]
    names: frozenset[str]

    def has(self, wanted: _Wanted) -> bool:
        """Return whether it has every chain that is wanted now."""
        return wanted.handles <= self.handles and wanted.names == self.names


_TextKey = tuple[str, str, int, Optional[str]]


class NativeTexts:
    """The listings of one namespace; used by one thread."""

    def __init__(self) -> None:
        self._kept: dict[_TextKey, _Kept] = {}
        self._failed: dict[_TextKey, tuple[_Wanted, str]] = {}
        self.missing: dict[tuple[str, str], str] = {}
        """Reasons why nothing lists a table, by its family and name."""
        self.due = 0.0
        """Monotonic seconds before which nft is not asked again."""
        self.seconds = 0.0
        """Seconds that the last listing took."""
        self.is_incomplete = False
        """Whether rules lack their text that nft was not asked for yet."""

    def of(
        self,
        places: RulesetOutline,
        refused: Iterable[tuple[str, str]],
        warnings: list[str],
        may_ask: bool = True,
    ) -> list[str]:
        """The listings of what is there, old and new ones; what nft refuses becomes a warning.

        Nothing new is listed before it is due, and unless ``may_ask``.
        """
        before = time.monotonic()
        may_ask = may_ask and before >= self.due
        kept: dict[_TextKey, _Kept] = {}
        failed: dict[_TextKey, tuple[_Wanted, str]] = {}
        self.is_incomplete, self.missing = False, {}
        for wanted in _wanted(places, frozenset(refused), self.missing):
            key = (*wanted.table[:3], wanted.chain)
            known = self._kept.get(key)
            if known is not None:
                kept[key] = known
            if known is not None and known.has(wanted):
                continue
            before_wanted, why = self._failed.get(key, (None, ""))
            if before_wanted == wanted:
                failed[key] = wanted, why
                continue
            if not may_ask:
                self.is_incomplete = True
                continue
            try:
                kept[key] = _listed(wanted)
            except Failure as error:
                failed[key] = wanted, str(error)
        self._kept, self._failed = kept, failed
        self.missing.update({key[:2]: why for key, (_, why) in failed.items()})
        warnings += self.missing.values()
        self.seconds = time.monotonic() - before
        if may_ask:
            self.due = before + self.seconds / READING_SHARE
        return [listing.text for listing in kept.values()]


def _wanted(
    places: RulesetOutline, refused: frozenset[tuple[str, str]], missing: dict[tuple[str, str], str]
) -> Iterator[_Wanted]:
    """Rules that iptables does not print: the tables of nft's own, and single chains of the others.

    ``missing`` takes the tables that are too large to be asked for.
    """
    chains: dict[tuple[str, str], list[ChainOutline]] = {}
    for chain in places.chains:
        chains.setdefault((chain.family, chain.table), []).append(chain)
    for table in places.tables:
        own = chains.get((table.family, table.name), [])
        names = frozenset(chain.name for chain in own)
        is_saved = xtables.is_built_in(table.family, table.name)
        # nft has no listing of a chain without a name, but in the rule that leads there.
        has_unnamed = any(map(unnamed_chains.is_unnamed, names))
        if is_saved and table[:2] not in refused and not has_unnamed:
            for chain in own:
                if chain.native:
                    yield _Wanted(table, chain.name, frozenset(chain.native), names)
            continue
        named = [chain for chain in own if not unnamed_chains.is_unnamed(chain.name)]
        handles = frozenset(handle for chain in named for handle in chain.handles)
        if len(handles) > NATIVE_RULES:
            missing[table[:2]] = f"table {table.family} {table.name} has {len(handles):,} rules"
        elif own:
            yield _Wanted(table, None, handles, names)


def _listed(wanted: _Wanted) -> _Kept:
    """Ask nft; raises Failure."""
    family, name = wanted.table[:2]
    if wanted.chain is None:
        text = xtables.nft_table(family, name)
    else:
        text = xtables.nft_chain(family, name, wanted.chain)
    handles = frozenset(int(handle) for handle in _LISTED_HANDLE.findall(text))
    return _Kept(text, handles, wanted.names)
