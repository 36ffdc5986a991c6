"""Gaps of snapshots: changes they can have missed, and tables they could not list."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Optional

from tracetui.model.rules.ruleset import TableKey
from tracetui.model.rules.snapshot import Snapshot
from tracetui.model.rules.spans import Spans
from tracetui.model.trace.hop import Interval


class SnapshotGaps:
    """The gaps of one backend's snapshots, by their numbers."""

    def __init__(self) -> None:
        self._discontinuous: list[int] = []
        """The snapshots that are not continuous, ascending."""
        self._unsettled: set[int] = set()
        """The snapshots during which the ruleset changed, so that they left something out."""
        self._why_unlisted: dict[TableKey, Spans[str]] = {}

    def take(self, snapshot: Snapshot) -> None:
        """Note the gaps of the next snapshot."""
        number, ruleset = snapshot.number, snapshot.ruleset
        if not snapshot.continuous:
            self._discontinuous.append(number)
        if ruleset is None:
            if number - 1 in self._unsettled:
                self._unsettled.add(number)
            return
        if not ruleset.is_settled:
            self._unsettled.add(number)
        for table in {*self._why_unlisted, *ruleset.unread}:
            reasons = self._why_unlisted.setdefault(table, Spans())
            reasons.take(number, ruleset.unread.get(table))

    def end(self, number: int) -> None:
        """End the reasons why tables are not listed, from a snapshot on."""
        for reasons in self._why_unlisted.values():
            reasons.take(number, None)

    def forget_before(self, number: int) -> None:
        """Forget the gaps of the snapshots before one."""
        del self._discontinuous[: bisect_left(self._discontinuous, number)]
        self._unsettled = {unsettled for unsettled in self._unsettled if unsettled >= number}
        for reasons in self._why_unlisted.values():
            reasons.forget_before(number)
        self._why_unlisted = {
            table: reasons for table, reasons in self._why_unlisted.items() if not reasons.is_empty
        }

    def is_continuous(self, interval: Interval) -> bool:
        """Whether all snapshots after an interval's first one are continuous."""
        index = bisect_right(self._discontinuous, interval[0])
        return index == len(self._discontinuous) or self._discontinuous[index] > interval[1]

    def is_unsettled(self, interval: Interval) -> bool:
        """Whether the ruleset changed while one of an interval's snapshots was read."""
        return not self._unsettled.isdisjoint(interval)

    def why_unlisted(self, table: TableKey, interval: Optional[Interval]) -> str:
        """Why nothing could list a table's rules around a hop; empty where something did.

        A table with an empty name stands for the whole family.
        """
        if interval is None:
            return ""
        for key in (table, (table[0], "")):
            for number in interval:
                reasons = self._why_unlisted.get(key)
                span = reasons.at(number) if reasons is not None else None
                if span is not None:
                    return span.value
        return ""
