"""The packets of a store that a filter lets through, kept up to date piece by piece."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator
from typing import Optional

from tracetui.model.filter.view_filter import ViewFilter
from tracetui.model.trace.memo import Memo
from tracetui.model.trace.packet import Packet
from tracetui.model.trace.path import Path
from tracetui.session.state.explanations import Explanations
from tracetui.session.state.store import PacketStore

TESTS_PER_CLOCK_CHECK = 32
"""Packets tested between two checks of the clock."""
ANSWERS_KEPT = 8192
"""Paths whose answer of the filter is remembered."""
AT_ONCE_SECONDS = 0.03
"""Seconds a new filter is applied at once: enough for the newest packets, which are in sight."""


class FilteredView:
    """Rows of packets in the order they began; the only taker of the store's changes.

    A new filter is tried on the newest packets first; :meth:`work` goes on to the older ones.
    """

    def __init__(self, store: PacketStore, explanations: Optional[Explanations] = None) -> None:
        """``explanations`` tell the verdicts and rules that a filter may ask for."""
        self.rows: list[Packet] = []
        """The packets shown."""
        self._store = store
        self._explanations = explanations
        self._filter = ViewFilter()
        self._rest: Iterator[Packet] = iter(())
        self._oldest_tried = 0
        self._unsettled: dict[int, Packet] = {}
        self._answers: Memo[Path, bool] = Memo(ANSWERS_KEPT)
        """The filter's answer by path, once it can't change any more."""
        self._version = 0

    @property
    def total(self) -> int:
        """Packets kept, shown or not."""
        return len(self._store)

    @property
    def is_filtered(self) -> bool:
        """Whether a filter is in force."""
        return not self._filter.is_empty

    @property
    def untried(self) -> int:
        """Packets that the filter was not tried on yet."""
        return max(0, self._oldest_tried - self._store.first_id) if len(self._store) else 0

    def set_filter(self, view_filter: ViewFilter) -> None:
        """Show what this filter lets through, of what is there and of what comes."""
        self._filter = view_filter
        self._store.take_changed()
        self._unsettled.clear()
        self._answers.clear()
        packets = list(self._store)
        self.rows = []
        self._oldest_tried = packets[-1].id + 1 if packets else 0
        if view_filter.is_empty:
            self.rows, self._oldest_tried = packets, self._store.first_id
            return
        self._rest = reversed(packets)
        self.work(time.monotonic() + AT_ONCE_SECONDS)

    def work(self, until: float) -> bool:
        """Try the filter on older packets until then (monotonic seconds); True if any are left."""
        if not self.untried:
            return False
        passing: list[Packet] = []
        for count, packet in enumerate(self._rest, start=1):
            self._oldest_tried = packet.id
            if self._lets_through(packet):
                passing.append(packet)
            if count % TESTS_PER_CLOCK_CHECK == 0 and time.monotonic() > until:
                break
        else:
            self._oldest_tried = self._store.first_id
        passing.reverse()
        self.rows[:0] = passing
        self._drop_evicted()
        return self.untried > 0

    def refresh(self) -> bool:
        """Take in what changed since the last call; True if any row is new, changed or gone."""
        changed = self._drop_evicted()
        for packet in self._store.take_changed():
            if packet.id >= self._oldest_tried and self._update_row(packet):
                changed = True
        return self._update_unsettled() or changed

    def index_of(self, packet_id: int) -> Optional[int]:
        """The row of a packet; None if it is not shown."""
        row = self.row_for(packet_id)
        is_shown = row < len(self.rows) and self.rows[row].id == packet_id
        return row if is_shown else None

    def row_for(self, packet_id: int) -> int:
        """The row where a packet is, or would be inserted."""
        if not self.rows or packet_id > self.rows[-1].id:
            return len(self.rows)
        return bisect_left(_Ids(self.rows), packet_id)

    def _update_row(self, packet: Packet) -> bool:
        """Show a packet if it passes as it is now, else do so no longer; whether rows changed."""
        row = self.row_for(packet.id)
        was_shown = row < len(self.rows) and self.rows[row].id == packet.id
        passes = self._lets_through(packet)
        if was_shown and not passes:
            del self.rows[row]
        elif was_shown:
            self.rows[row] = packet
        elif passes:
            self.rows.insert(row, packet)
        return was_shown or passes

    def _lets_through(self, packet: Packet) -> bool:
        """Ask the filter, or use its answer for a packet of the same path."""
        if self._filter.is_empty:
            return True
        if self._filter.needs_own_values:
            return self._ask_filter(packet)
        path = packet.path
        answer = self._answers.get(path)
        if answer is None:
            answer = self._ask_filter(packet)
            if packet.id not in self._unsettled:
                self._answers.learn(path, answer)
        return answer

    def _ask_filter(self, packet: Packet) -> bool:
        if self._explanations is None or not self._filter.needs_explanations:
            return self._filter.matches(packet)
        if self._explanations.of(packet).is_final:
            self._unsettled.pop(packet.id, None)
        else:
            self._unsettled[packet.id] = packet
        return self._filter.matches(packet, self._explanations.of)

    def _update_unsettled(self) -> bool:
        """Ask anew about packets of which more may be known by now; whether rows changed."""
        if self._explanations is None or self._explanations.version == self._version:
            return False
        self._version = self._explanations.version
        first, changed = self._store.first_id, False
        for packet in list(self._unsettled.values()):
            if packet.id < first:
                del self._unsettled[packet.id]
            elif self._update_row(packet):
                changed = True
        return changed

    def _drop_evicted(self) -> bool:
        first = self._store.first_id
        if not self.rows or self.rows[0].id >= first:
            return False
        del self.rows[: self.row_for(first)]
        return True


class _Ids:
    """The ids of rows as a sequence to bisect in (bisect has keys only since Python 3.10)."""

    def __init__(self, rows: list[Packet]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, at: int) -> int:
        return self._rows[at].id
