"""Which line of the timeline shows what: rows, and under those that are unfolded their hops."""

from __future__ import annotations

from typing import NamedTuple, Optional

from tracetui.model.trace.packet import Packet
from tracetui.session.state.explanations import Explanations
from tracetui.session.view.filtered import FilteredView
from tracetui.ui.widgets.hop_lines import Detail, HopDisplay, details


class Spot(NamedTuple):
    """A line by what it shows, so that it stays the same while rows come and go."""

    packet_id: int
    line: int
    """0 for the packet itself, then its hops from 1."""


class Layout:
    """Lines counted from the first of the list; it costs as much as there are unfolded packets."""

    def __init__(self, view: FilteredView, explanations: Explanations) -> None:
        self.asked = HopDisplay()
        """How hops are shown; what is changed shows from the next :meth:`fit` on."""
        self._view = view
        self._explanations = explanations
        self._width = 0
        self._details: dict[int, list[Detail]] = {}
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
        lines = details(packet, explanation, self.asked, self._width, turned)
        self._details[packet.id] = lines

    def fold(self, packet_id: int) -> None:
        """Show a packet's hops no longer; hooks that were turned stay so."""
        self._details.pop(packet_id, None)

    def turn_hook(self, packet: Packet, hook: int) -> Spot:
        """Show one hook of an unfolded packet the other way; the first line of it then."""
        self._turned.setdefault(packet.id, set()).symmetric_difference_update((hook,))
        self.unfold(packet)
        lines = self._details[packet.id]
        return Spot(packet.id, next(n for n, one in enumerate(lines, 1) if one.hook == hook))

    def turn_none(self) -> None:
        """Show all hooks the same way."""
        self._turned.clear()

    def details_of(self, packet_id: int) -> list[Detail]:
        """The lines under a packet; none where it is folded."""
        return self._details.get(packet_id, [])

    def line_of(self, spot: Optional[Spot]) -> Optional[int]:
        """The line that shows a spot; None if it is not shown."""
        row = self._view.index_of(spot.packet_id) if spot is not None else None
        if row is None or spot is None:
            return None
        above = sum(lines for at, lines in self._extras() if at < row)
        return row + above + min(spot.line, len(self.details_of(spot.packet_id)))

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

    def spot_of(self, packet_id: int, hop: int, tested: Optional[int] = None) -> Spot:
        """The line of a hop, or of a rule passed by before it; that of the fold they are in.

        Where there is neither it is the packet's own.
        """
        lines = list(enumerate(self.details_of(packet_id), 1))
        same = (n for n, one in lines if (one.hop, one.tested) == (hop, tested))
        near = (n for n, one in lines if one.tested is None and one.hop >= hop)
        return Spot(packet_id, next(same, next(near, 0)))

    def _extras(self) -> list[tuple[int, int]]:
        """Row and number of hop lines of each unfolded packet, by row."""
        found = ((self._view.index_of(one), len(lines)) for one, lines in self._details.items())
        return sorted((row, lines) for row, lines in found if row is not None)
