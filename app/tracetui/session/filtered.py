"""The packets of a store that a filter lets through, kept up to date piece by piece."""

from __future__ import annotations

from bisect import bisect_left
from typing import Optional

from tracetui.model.packet import Packet
from tracetui.model.view_filter import ViewFilter
from tracetui.session.store import PacketStore


class FilteredView:
    """Rows of packets in the order they began; the only taker of the store's changes."""

    def __init__(self, store: PacketStore) -> None:
        self.rows: list[Packet] = []
        """The packets shown."""
        self._store = store
        self._filter = ViewFilter()

    @property
    def total(self) -> int:
        """Packets kept, shown or not."""
        return len(self._store)

    @property
    def is_filtered(self) -> bool:
        """Whether a filter is in force."""
        return not self._filter.is_empty

    def set_filter(self, view_filter: ViewFilter) -> None:
        """Show what this filter lets through, of what is there and of what comes."""
        self._filter = view_filter
        self._store.take_changed()
        self.rows = [packet for packet in self._store if view_filter.matches(packet)]

    def refresh(self) -> bool:
        """Take in what changed since the last call; True if any row is new, changed or gone."""
        changed = self._drop_evicted()
        for packet in self._store.take_changed():
            if self._take(packet):
                changed = True
        return changed

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
        """Show a packet that now passes; one that is shown stays, NAT can't make it fail."""
        at = self.place_of(packet.id)
        if at < len(self.rows) and self.rows[at] is packet:
            return True
        if not self._filter.matches(packet):
            return False
        self.rows.insert(at, packet)
        return True

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
