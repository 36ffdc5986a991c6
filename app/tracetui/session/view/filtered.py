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

LOOK_AT_CLOCK = 32
"""Packets between two looks at the clock."""
ANSWERS = 8192
"""Ways of which the filter's answer is remembered."""
AT_ONCE_SECONDS = 0.03
"""How long a new filter is tried at once: enough for the newest packets, which are in sight."""


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
        self._tried = 0
        self._unsettled: dict[int, Packet] = {}
        self._answers: Memo[Path, bool] = Memo(ANSWERS)
        """What the filter says of packets that went a way, where that can't change any more."""
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
        return max(0, self._tried - self._store.first_id) if len(self._store) else 0

    def set_filter(self, view_filter: ViewFilter) -> None:
        """Show what this filter lets through, of what is there and of what comes."""
        self._filter = view_filter
        self._store.take_changed()
        self._unsettled.clear()
        self._answers.clear()
        packets = list(self._store)
        self.rows = []
        self._tried = packets[-1].id + 1 if packets else 0
        if view_filter.is_empty:
            self.rows, self._tried = packets, self._store.first_id
            return
        self._rest = reversed(packets)
        self.work(time.monotonic() + AT_ONCE_SECONDS)

    def work(self, until: float) -> bool:
        """Try the filter on older packets until then (monotonic seconds); True if any are left."""
        if not self.untried:
            return False
        found: list[Packet] = []
        for count, packet in enumerate(self._rest, start=1):
            self._tried = packet.id
            if self._lets_through(packet):
                found.append(packet)
            if count % LOOK_AT_CLOCK == 0 and time.monotonic() > until:
                break
        else:
            self._tried = self._store.first_id
        found.reverse()
        self.rows[:0] = found
        self._drop_evicted()
        return self.untried > 0

    def refresh(self) -> bool:
        """Take in what changed since the last call; True if any row is new, changed or gone."""
        changed = self._drop_evicted()
        for packet in self._store.take_changed():
            if packet.id >= self._tried and self._take(packet):
                changed = True
        return self._settle() or changed

    def index_of(self, packet_id: int) -> Optional[int]:
        """The row of a packet; None if it is not shown."""
        at = self.place_of(packet_id)
        found = at < len(self.rows) and self.rows[at].id == packet_id
        return at if found else None

    def place_of(self, packet_id: int) -> int:
        """The row a packet has, or would have."""
        if not self.rows or packet_id > self.rows[-1].id:
            return len(self.rows)
        return bisect_left(_Ids(self.rows), packet_id)

    def _take(self, packet: Packet) -> bool:
        """Show a packet if it passes as it is now, else do so no longer; whether rows changed."""
        at = self.place_of(packet.id)
        was = at < len(self.rows) and self.rows[at].id == packet.id
        passes = self._lets_through(packet)
        if was and not passes:
            del self.rows[at]
        elif was:
            self.rows[at] = packet
        elif passes:
            self.rows.insert(at, packet)
        return was or passes

    def _lets_through(self, packet: Packet) -> bool:
        """Ask the filter, or know what it said of a packet that went the same way."""
        if self._filter.is_empty:
            return True
        if self._filter.needs_lengths:
            return self._asked(packet)
        path = packet.path
        known = self._answers.get(path)
        if known is None:
            known = self._asked(packet)
            if packet.id not in self._unsettled:
                self._answers.learn(path, known)
        return known

    def _asked(self, packet: Packet) -> bool:
        if self._explanations is None or not self._filter.needs_explanations:
            return self._filter.matches(packet)
        if self._explanations.of(packet).is_final:
            self._unsettled.pop(packet.id, None)
        else:
            self._unsettled[packet.id] = packet
        return self._filter.matches(packet, self._explanations.of)

    def _settle(self) -> bool:
        """Ask anew about packets of which more may be known by now; whether rows changed."""
        if self._explanations is None or self._explanations.version == self._version:
            return False
        self._version = self._explanations.version
        first, changed = self._store.first_id, False
        for packet in list(self._unsettled.values()):
            if packet.id < first:
                del self._unsettled[packet.id]
            elif self._take(packet):
                changed = True
        return changed

    def _drop_evicted(self) -> bool:
        first = self._store.first_id
        if not self.rows or self.rows[0].id >= first:
            return False
        del self.rows[: self.place_of(first)]
        return True


class _Ids:
    """The ids of rows as a sequence to bisect in (bisect has keys only since Python 3.10)."""

    def __init__(self, rows: list[Packet]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, at: int) -> int:
        return self._rows[at].id
