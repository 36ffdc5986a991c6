"""The lines of the timeline: rows, with their hops under unfolded ones."""

from __future__ import annotations

from typing import NamedTuple, Optional

from tracetui.model.trace.packet import Packet
from tracetui.session.state.explanations import Explanations
from tracetui.session.view.filtered import FilteredView
from tracetui.ui.widgets.hop_lines import DetailLine, HopDisplay, details


class LineKey(NamedTuple):
    """A line by what it shows, so that it stays the same while rows come and go."""

    packet_id: int
    line: int
    """0 for the packet itself, then its hops from 1."""


class TimelineLayout:
    """Lines counted from the first of the list; it costs as much as there are unfolded packets."""

    def __init__(self, view: FilteredView, explanations: Explanations) -> None:
        self.display = HopDisplay()
        """Options of how hops are shown; changes show from the next :meth:`fit` on."""
        self._view = view
        self._explanations = explanations
        self._width = 0
        self._details: dict[int, list[DetailLine]] = {}
        """The lines under each unfolded packet, by its id."""
        self._turned: dict[int, set[int]] = {}
        """The hooks of a packet that are not shown as all others are."""

    @property
    def height(self) -> int:
        """Lines in all."""
        return len(self._view.rows) + sum(map(len, self._details.values()))

    def fit(self, width: int) -> None:
        """Make the lines under unfolded packets anew, for lines of so many cells."""
        self._width = width
        for packet_id in list(self._details):
            row = self._view.index_of(packet_id)
            if row is None:
                self.fold(packet_id)
                self._turned.pop(packet_id, None)
            else:
                self.unfold(self._view.rows[row])

    def is_unfolded(self, packet_id: int) -> bool:
        """Whether a packet's hops are shown."""
        return packet_id in self._details

    def unfold(self, packet: Packet) -> None:
        """Show a packet's hops, as they are now."""
        turned = self._turned.get(packet.id, ())
        explanation = self._explanations.of(packet)
        lines = details(packet, explanation, self.display, self._width, turned)
        self._details[packet.id] = lines

    def fold(self, packet_id: int) -> None:
        """Show a packet's hops no longer; hooks that were turned stay so."""
        self._details.pop(packet_id, None)

    def turn_hook(self, packet: Packet, hook: int) -> LineKey:
        """Show one hook of an unfolded packet the other way; the first line of it then."""
        self._turned.setdefault(packet.id, set()).symmetric_difference_update((hook,))
        self.unfold(packet)
        lines = self._details[packet.id]
        return LineKey(packet.id, next(n for n, line in enumerate(lines, 1) if line.hook == hook))

    def turn_none(self) -> None:
        """Show all hooks the same way."""
        self._turned.clear()

    def details_of(self, packet_id: int) -> list[DetailLine]:
        """The lines under a packet; none where it is folded."""
        return self._details.get(packet_id, [])

    def line_of(self, key: Optional[LineKey]) -> Optional[int]:
        """The line that shows a spot; None if it is not shown."""
        row = self._view.index_of(key.packet_id) if key is not None else None
        if row is None or key is None:
            return None
        above = sum(lines for unfolded_row, lines in self._extras() if unfolded_row < row)
        return row + above + min(key.line, len(self.details_of(key.packet_id)))

    def key_at(self, y: int) -> Optional[LineKey]:
        """The key of a line; None beyond the last."""
        above, rows = 0, self._view.rows
        for row, lines in self._extras():
            if y <= row + above:
                break
            if y <= row + above + lines:
                return LineKey(rows[row].id, y - row - above)
            above += lines
        row_index = y - above
        return LineKey(rows[row_index].id, 0) if 0 <= row_index < len(rows) else None

    def key_of(self, packet_id: int, hop: int, unmatched: Optional[int] = None) -> LineKey:
        """The key of a hop, or of an unmatched rule before it; that of the fold they are in.

        Without either, the packet's own.
        """
        lines = list(enumerate(self.details_of(packet_id), 1))
        exact = (n for n, line in lines if (line.hop, line.unmatched) == (hop, unmatched))
        near = (n for n, line in lines if line.unmatched is None and line.hop >= hop)
        return LineKey(packet_id, next(exact, next(near, 0)))

    def _extras(self) -> list[tuple[int, int]]:
        """Row and number of hop lines of each unfolded packet, by row."""
        rows = (
            (self._view.index_of(packet_id), len(lines))
            for packet_id, lines in self._details.items()
        )
        return sorted((row, lines) for row, lines in rows if row is not None)
