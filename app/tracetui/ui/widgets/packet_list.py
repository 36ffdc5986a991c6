"""The packets in the order they began, each a line that unfolds, and a cursor on one of them."""

from __future__ import annotations

from typing import ClassVar, Optional

from textual.message import Message
from textual.reactive import reactive

from tracetui.model.explain.explanation import PacketExplanation
from tracetui.model.trace.memo import Memo
from tracetui.model.trace.packet import Packet
from tracetui.session.state.explanations import Explanations
from tracetui.session.text.width import cells_of, shown
from tracetui.session.view.filtered import FilteredView
from tracetui.session.view.seek import SeekTarget
from tracetui.ui.widgets.hop_lines import DetailLine
from tracetui.ui.widgets.line_list import LineList
from tracetui.ui.widgets.packet_line import Columns, packet_line
from tracetui.ui.widgets.text_parts import Line, TextPart
from tracetui.ui.widgets.timeline_layout import LineKey, TimelineLayout

LINES_KEPT = 1024
"""Packets whose lines are remembered: a few screenfuls."""
_LineInputs = tuple[PacketExplanation, int, int, str]


class PacketList(LineList):
    """Keeps in place what the user looks at, or follows the newest packet."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"timeline--{role}"
        for role in (
            *("fold", "time", "proto", "endpoints", "nat", "device", "hops", "accept", "drop"),
            *("reject", "unknown", "hook", "table", "hop", "jump", "change", "us"),
            *("comment", "name", "rule", "unread", "unmatched", "cursor", "empty", "bar"),
        )
    }
    PREFIX = "timeline"

    following = reactive(True, repaint=False)
    """Whether the newest packet is kept in sight."""
    paused = reactive(False, repaint=False)
    """Whether the picture is held; the session goes on."""
    empty_text = reactive("")
    """Text shown while there is no row."""

    class StateChanged(Message):
        """The list follows, pauses or counts otherwise than before."""

    class CursorMoved(Message):
        """The cursor moved, or the explanation under it changed."""

    def __init__(self, view: FilteredView, explanations: Explanations) -> None:
        super().__init__("timeline")
        self._view = view
        self._explanations = explanations
        self._version = 0
        self._known: Memo[int, tuple[_LineInputs, Line]] = Memo(LINES_KEPT)
        self._anchor: Optional[LineKey] = None
        """Key of the first line in sight."""
        self._sees_cursor = True
        self._lines = TimelineLayout(view, explanations)
        self._cursor: Optional[LineKey] = None
        self.marked: dict[int, Packet] = {}
        """Packets marked by hand, in the order they were marked; by their ids."""

    @property
    def rows(self) -> list[Packet]:
        """The packets listed."""
        return self._view.rows

    @property
    def selected(self) -> Optional[Packet]:
        """The packet the cursor is on."""
        row = self._view.index_of(self._cursor.packet_id) if self._cursor else None
        return None if row is None else self.rows[row]

    @property
    def selected_hop(self) -> Optional[int]:
        """The index of the hop the cursor is on; None on a packet's own line."""
        detail = self._selected_detail()
        return None if detail is None else detail.hop

    def text_of(self, y: int) -> str:
        """The text of one line, counted from the first one of the list."""
        line = self.line(y, self.width)
        return "" if line is None else "".join(piece.text for piece in line)

    @property
    def line_count(self) -> int:
        """The lines of all rows, unfolded ones counted whole."""
        return self._lines.height

    @property
    def cursor_line(self) -> Optional[int]:
        """The line of the cursor, where this is what keys go to."""
        return self._lines.line_of(self._cursor) if self.has_focus else None

    def line(self, index: int, width: int) -> Optional[Line]:
        """A packet, one of its hops, or a line of what is said where there is none."""
        if not self.rows:
            return self._empty_line(index, width)
        key = self._lines.key_at(index)
        row = self._view.index_of(key.packet_id) if key is not None else None
        if key is None or row is None:
            return None
        packet = self.rows[row]
        if key.line == 0:
            return self._packet_line(packet, width)
        lines = self._under(packet)
        return lines[key.line - 1].line if key.line <= len(lines) else None

    def _packet_line(self, packet: Packet, width: int) -> Line:
        """The line of a packet, made again only if anything in it can be other than it was."""
        fold = "▾" if self._lines.is_unfolded(packet.id) else "▸"
        mark = "◆" if packet.id in self.marked else "?" if packet.ambiguous else " "
        explanation = self._explanations.of(packet)
        made_of = (explanation, packet.length, width, fold + mark)
        drawn = self._known.get(packet.id)
        # The explanation is kept with it: no other one can have its identity meanwhile.
        if drawn is None or drawn[0][0] is not explanation or drawn[0][1:] != made_of[1:]:
            line = packet_line(packet, explanation, Columns.fitting(width), fold + mark)
            drawn = self._known.learn(packet.id, (made_of, line))
        return drawn[1]

    def user_scrolled(self) -> None:
        """Stop following: the user looks at something."""
        self._stay()
        self._note_sight()

    def refresh_rows(self) -> bool:
        """Show what came since the last call, unless the picture is held; whether anything did.

        Nothing is posted of it: who calls this knows.
        """
        if self.paused:
            return False
        version = self._explanations.version
        if not self._view.refresh() and version == self._version:
            return False
        self._version = version
        self._fit()
        return True

    def filter_changed(self) -> None:
        """Show the rows of another filter, the cursor among them."""
        self._sees_cursor = True
        self._relayout()

    def rows_changed(self) -> None:
        """Show rows that were found since."""
        self._relayout()

    def on_mount(self) -> None:
        """Show what is there already."""
        self._view.refresh()
        self._relayout()

    def on_resize(self) -> None:
        """Fit the columns anew; the cursor stays in sight where it was."""
        self._relayout()

    def go_to_packet(self, packet: Packet) -> None:
        """Put the cursor on a packet and show its hops, where the filter lets it through."""
        if self._view.index_of(packet.id) is None:
            return
        self._cursor = LineKey(packet.id, 0)
        self._unfold(packet)

    @property
    def cursor_target(self) -> Optional[SeekTarget]:
        """The packet, or the hop, that the cursor is on."""
        packet = self.selected
        return None if packet is None else SeekTarget(packet, self.selected_hop)

    def go_to_target(self, target: SeekTarget) -> None:
        """Put the cursor on a packet, or on a hop of it."""
        packet, hop = target
        if self._view.index_of(packet.id) is None:
            return
        key = LineKey(packet.id, 0)
        if hop is not None:
            if not self._lines.is_unfolded(packet.id):
                self._unfold(packet)
            key = self._lines.key_of(packet.id, hop)
            if key.line and (detail := self._under(packet)[key.line - 1]).is_folded:
                self._turn_hook(packet, detail)
                key = self._lines.key_of(packet.id, hop)
        self._go_to(self._lines.line_of(key) or 0)

    def watch_empty_text(self) -> None:
        """Draw the new text."""
        self.refresh()

    def watch_has_focus(self, has_focus: bool) -> None:
        """Draw the cursor, or take it away."""
        super().watch_has_focus(has_focus)
        self.refresh()

    def _selected_detail(self) -> Optional[DetailLine]:
        packet, cursor = self.selected, self._cursor
        if packet is None or cursor is None or not cursor.line:
            return None
        lines = self._under(packet)
        return lines[cursor.line - 1] if cursor.line <= len(lines) else None

    def _under(self, packet: Packet) -> list[DetailLine]:
        return self._lines.details_of(packet.id)

    def _turn_hook(self, packet: Packet, detail: DetailLine) -> None:
        self._cursor = self._lines.turn_hook(packet, detail.hook)
        self._stay()
        self._sees_cursor = True
        self._relayout()
        hook_lines = [line for line in self._under(packet) if line.hook == detail.hook]
        self.see(self._lines.line_of(self._cursor) or 0, below=len(hook_lines) - 1)
        self._note_sight()

    def _unfold(self, packet: Packet) -> None:
        self._lines.unfold(packet)
        self._stay()
        self._relayout()
        top = self._lines.line_of(LineKey(packet.id, 0)) or 0
        self.see(top, below=len(self._under(packet)))
        self._note_sight()
        self._see_decision(packet)

    def _see_decision(self, packet: Packet) -> None:
        """Go to the hop that stopped a packet, where that is not in sight."""
        explanation = self._explanations.of(packet)
        if explanation.decided is None or explanation.verdict == "accept":
            return
        line = self._lines.line_of(self._lines.key_of(packet.id, explanation.decided))
        if line is not None and not self.has_in_sight(line):
            self._go_to(line)

    def _fold(self, packet: Packet) -> None:
        self._lines.fold(packet.id)
        self._cursor = LineKey(packet.id, 0)
        self._stay()
        self._relayout()

    def _stay(self) -> None:
        """Stop following: the user looks at something."""
        if self.following:
            self.following = False
            self.post_message(self.StateChanged())

    def _go_to(self, y: int) -> None:
        """Put the cursor on a line; on the very last one the newest packet is followed again."""
        if not self.rows:
            return
        last = self.line_count - 1
        y = max(0, min(y, last))
        before = self.cursor_line
        self._cursor = self._lines.key_at(y)
        if y < last:
            self._stay()
        self.move_cursor_mark(before, y)
        self.see(y)
        self._note_sight()
        self.post_message(self.CursorMoved())

    def _relayout(self) -> None:
        self._fit()
        self.post_message(self.StateChanged())
        self.post_message(self.CursorMoved())

    def _fit(self) -> None:
        """Fit the list to its rows, keeping in place, and in sight, what the user looks at.

        Rows may have come and gone before the first one in sight, so lines as they were counted
        before mean nothing here.
        """
        cursor, detail = self._cursor, self._selected_detail()
        self._lines.fit(self.width)
        if self.following and self.rows:
            self._cursor = LineKey(self.rows[-1].id, 0)
            self.go_to_top(self.line_count)
        else:
            if cursor is not None and detail is not None:
                self._cursor = self._lines.key_of(cursor.packet_id, detail.hop, detail.unmatched)
            self._cursor = self._near(self._cursor)
            self.go_to_top(self._lines.line_of(self._near(self._anchor)) or 0)
            if self._sees_cursor:
                self.see(self._lines.line_of(self._cursor) or 0)
        self._note_sight()
        self.refresh()

    def _near(self, key: Optional[LineKey]) -> Optional[LineKey]:
        """A spot, or the row that is now where it was."""
        if key is None or not self.rows or self._lines.line_of(key) is not None:
            return key
        near = min(self._view.row_for(key.packet_id), len(self.rows) - 1)
        return LineKey(self.rows[near].id, 0)

    def _note_sight(self) -> None:
        """Remember what is in sight, for when rows come and go."""
        self._anchor = self._lines.key_at(self.top)
        self._sees_cursor = self.has_in_sight(self._lines.line_of(self._cursor))

    def _empty_line(self, index: int, width: int) -> Optional[Line]:
        lines = self.empty_text.splitlines()
        y = index - max(0, (self.size.height - len(lines)) // 2)
        if not 0 <= y < len(lines):
            return None
        text = shown(lines[y], width)
        indent = " " * max(0, (width - cells_of(text)) // 2)
        return (TextPart(indent + text, "empty"),)
