"""Which line of the timeline shows what: rows, and under those that are unfolded their hops."""

from __future__ import annotations

from typing import NamedTuple, Optional

from tracetui.session.filtered import FilteredView


class Spot(NamedTuple):
    """A line by what it shows, so that it stays the same while rows come and go."""

    packet_id: int
    line: int
    """0 for the packet itself, then its hops from 1."""


class Layout:
    """Lines counted from the first of the list; it costs as much as there are unfolded packets."""

    def __init__(self, view: FilteredView) -> None:
        self.unfolded: dict[int, int] = {}
        """The lines under each unfolded packet, by its id."""
        self._view = view

    @property
    def height(self) -> int:
        """Lines in all."""
        return len(self._view.rows) + sum(self.unfolded.values())

    def line_of(self, spot: Optional[Spot]) -> Optional[int]:
        """The line that shows a spot; None if it is not shown."""
        row = self._view.index_of(spot.packet_id) if spot is not None else None
        if row is None or spot is None:
            return None
        above = sum(lines for at, lines in self._extras() if at < row)
        return row + above + min(spot.line, self.unfolded.get(spot.packet_id, 0))

    def spot_at(self, y: int) -> Optional[Spot]:
        """What a line shows; None beyond the last."""
        above, rows = 0, self._view.rows
        for row, lines in self._extras():
            if y <= row + above:
                break
            if y <= row + above + lines:
                return Spot(rows[row].id, y - row - above)
            above += lines
        at = y - above
        return Spot(rows[at].id, 0) if 0 <= at < len(rows) else None

    def _extras(self) -> list[tuple[int, int]]:
        """Row and number of hop lines of each unfolded packet, by row."""
        found = ((self._view.index_of(one), lines) for one, lines in self.unfolded.items())
        return sorted((row, lines) for row, lines in found if row is not None)
