"""Readings of a backend's ruleset, and whether each is the same as the one before."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

from tracetui.collector.snapshots import saved_texts
from tracetui.collector.snapshots.native_texts import NativeTexts
from tracetui.errors import Failure, NotPermitted
from tracetui.kernel import xtables
from tracetui.kernel.nf_tables import ChainOutline, NfTables, RulesetOutline, TableOutline
from tracetui.kernel.xtables import Xtables
from tracetui.kernel.xtables_lock import XtablesLock

MOST_RULES = 150_000
"""Rules and jumps of nf_tables. Of 250,000 in one chain the kernel tells in 27 seconds, and
iptables-nft-save needs as long."""
LARGEST_LISTING = 12 << 20
"""Bytes of one listing: about 90,000 rules, and less than a frame's payload may have."""
_VOLATILE = re.compile(r"^#.*\n| \[\d+:\d+\]$", re.MULTILINE)
"""Text that differs between two listings of the same rules: comments with the time, counters."""


_INCOMPATIBLE = re.compile(r"^# Table `?'?([^'`\s]+)['`]? .*incompatible", re.MULTILINE)
"""The line of iptables-nft-save in the place of a table that nft changed (nft.c)."""


class ReadOutcome(NamedTuple):
    """The result of one reading."""

    same: bool
    """Whether the ruleset is that of the reading before; then there are no parts."""
    continuous: bool
    """Whether nothing can have changed and changed back since the reading before this one."""
    parts: tuple[tuple[Mapping[str, Any], str], ...] = ()
    """Texts, each with what it is."""
    warning: str = ""
    """A sentence about rules that could not be read; empty if all were."""
    listing: float = 0.0
    """Seconds of it that nft took for texts that are kept from now on."""
    again: float | None = None
    """Monotonic seconds from which a reading finds texts that this one left out; None if none."""


class RulesetReader(Protocol):
    """Reads one backend; used by one thread."""

    def read(self, whole: bool) -> ReadOutcome | None:
        """Read now; raises Failure.

        None where it can't be done without the cost of reading everything, and ``whole`` forbids
        that.
        """
        ...

    def forget(self) -> None:
        """Have the next outcome be whole: the last one got lost."""
        ...


class LegacyRulesetReader:
    """Legacy tables: the whole text each time, for there is nothing that tells of a change."""

    def __init__(self, commands: Xtables, lock: XtablesLock) -> None:
        self._lock = lock
        self._commands = commands
        self._known = b""
        self._changes: dict[int, int] | None = None
        self._changes_before: dict[int, int] | None = None

    def read(self, whole: bool) -> ReadOutcome | None:
        """Read every registered table of both families; raises Failure."""
        if not whole:
            return None
        before = self._foreign_changes()
        texts = {family: self._commands.save("legacy", family) for family in (4, 6)}
        lacks = {"ip": self._commands.lack("legacy", 4), "ip6": self._commands.lack("legacy", 6)}
        after = self._foreign_changes()
        parts: list[tuple[Mapping[str, Any], str]] = [
            ({"what": "save", "backend": "legacy", "family": family}, text)
            for family, text in texts.items()
        ]
        parts += [_missing("legacy", family, "", why) for family, why in lacks.items() if why]
        _check_size(parts)
        stable = "\0".join(_VOLATILE.sub("", text) for _, text in parts)
        digest = hashlib.sha256(stable.encode()).digest()
        is_same, self._known = digest == self._known, digest
        known = self._changes
        self._changes_before, self._changes = known, before
        # One command changes a table once; to change it and change it back takes two.
        continuous = known is not None and all(
            after[family] - known[family] <= 1 for family in known
        )
        warning = "; ".join(why for why in lacks.values() if why)
        return ReadOutcome(is_same, continuous, () if is_same else tuple(parts), _remedied(warning))

    def forget(self) -> None:
        """Have the next outcome be whole, and continue the one before the last."""
        self._known, self._changes = b"", self._changes_before

    def _foreign_changes(self) -> dict[int, int]:
        """Count the commands of others that can have changed a table so far, by family."""
        taken, seen = self._commands.locks_taken, self._lock.look()
        # A command of ours that ended before it could be seen as such was counted.
        unseen = taken - self._lock.own
        return {family: count - unseen for family, count in seen.items()}


class NftRulesetReader:
    """nf_tables: read whole only when its generation changed."""

    def __init__(self, commands: Xtables) -> None:
        self._commands = commands
        self._nf_tables: NfTables | None = None
        self._known: int | None = None
        self._texts = NativeTexts()
        self._is_first = True

    def read(self, whole: bool) -> ReadOutcome | None:
        """Read every table of every family, where the generation is another; raises Failure."""
        try:
            kernel = self._nf_tables = self._nf_tables or NfTables()
            before = kernel.generation()
        except NotPermitted:
            raise
        except Failure:
            return self._nothing()
        texts = self._texts
        again = texts.due if texts.is_incomplete else None
        if before == self._known and (again is None or time.monotonic() < again):
            return ReadOutcome(True, True, again=again)
        if not whole:
            return None
        _check_count(kernel.most_rules()[0])
        # Of many chains iptables-nft-save takes seconds, which the kernel's answers need not wait.
        with ThreadPoolExecutor(1, "save") as other:
            saving = other.submit(self._saves, kernel.tables())
            places = kernel.outline()
            saves = saving.result()
        places = saved_texts.with_untold(places, saves)
        warnings: list[str] = []
        parts = [*saves, *self._natives(places, saves, warnings)]
        after = kernel.generation()
        if after != before or not places.is_whole:
            places = _common(places, saved_texts.with_untold(kernel.outline(), saves))
        self._known = before if after == before else None
        parts.append(({"what": "places", "backend": "nft"}, _to_json(places)))
        _check_size(parts)
        again = texts.due if texts.is_incomplete else None
        warning = "; ".join(dict.fromkeys(warnings))
        return ReadOutcome(False, True, tuple(parts), warning, texts.seconds, again)

    def forget(self) -> None:
        """Have the next outcome be whole."""
        self._known = None

    def close(self) -> None:
        """Give the socket back."""
        if self._nf_tables is not None:
            self._nf_tables.close()

    def _nothing(self) -> ReadOutcome:
        """The outcome in a kernel without nf_tables: no table, and no hop that asks for one."""
        is_same, self._known = self._known == 0, 0
        nothing = ({"what": "places", "backend": "nft"}, _to_json(RulesetOutline((), (), True)))
        return ReadOutcome(is_same, True, () if is_same else (nothing,))

    def _saves(self, tables: Iterable[TableOutline]) -> list[tuple[Mapping[str, Any], str]]:
        families = {table.family for table in tables if xtables.is_built_in(*table[:2])}
        return [
            (
                {"what": "save", "backend": "nft", "family": family},
                self._commands.save("nft", family),
            )
            for name, family in (("ip", 4), ("ip6", 6))
            if name in families and not self._commands.lack("nft", family)
        ]

    def _natives(
        self,
        places: RulesetOutline,
        saves: list[tuple[Mapping[str, Any], str]],
        warnings: list[str],
    ) -> list[tuple[Mapping[str, Any], str]]:
        """List with nft the tables, and single chains, that iptables can't list.

        The first reading leaves out what may take long: hops stand behind it at once.
        Where iptables-nft is missing those are all.
        """
        refused = {
            ("ip6" if head["family"] == 6 else "ip", name)
            for head, text in saves
            for name in _INCOMPATIBLE.findall(text)
        }
        refused |= {
            table[:2]
            for table in places.tables
            if self._commands.lack("nft", 6 if table.family == "ip6" else 4)
        }
        texts = self._texts.of(places, refused, warnings, may_ask=not self._is_first)
        self._is_first = False
        natives: list[tuple[Mapping[str, Any], str]] = [
            ({"what": "native", "backend": "nft"}, text) for text in texts
        ]
        missing = self._texts.missing.items()
        return natives + [_missing("nft", *table, why) for table, why in missing]


def _missing(backend: str, family: str, table: str, why: str) -> tuple[Mapping[str, Any], str]:
    """The part that says why nothing lists a table; an empty name stands for all of a family."""
    return {"what": "missing", "backend": backend, "family": family, "table": table}, why


def _remedied(warning: str) -> str:
    return f"{warning}; install the iptables package" if warning else ""


def _check_count(rules: int) -> None:
    """Raise Failure for more rules than can be read at a price that the node should pay."""
    if rules > MOST_RULES:
        raise Failure(f"{rules:,} rules of nf_tables are more than are read")


def _check_size(parts: list[tuple[Mapping[str, Any], str]]) -> None:
    """Raise Failure for a text that no frame can hold."""
    largest = max((len(text) for _, text in parts), default=0)
    if largest > LARGEST_LISTING:
        raise Failure(f"{largest >> 20} MB of rules are more than can be handed on")


def _common(one: RulesetOutline, other: RulesetOutline) -> RulesetOutline:
    """Return what both have: handles are never given twice, so it stood in between as well."""
    tables: tuple[TableOutline, ...] = tuple(set(one.tables) & set(other.tables))
    kept = {table[:2] for table in tables}
    chains: tuple[ChainOutline, ...] = tuple(
        chain for chain in set(one.chains) & set(other.chains) if chain[:2] in kept
    )
    return RulesetOutline(tables, chains, False)


def _to_json(places: RulesetOutline) -> str:
    """The tables and chains, each as the list of its fields."""
    value: dict[str, Any] = {"tables": places.tables, "chains": places.chains}
    if not places.is_whole:
        value["settled"] = False
    return json.dumps(value, separators=(",", ":"))
