"""The list of packets with its keys and the mouse."""

from __future__ import annotations

from textual.events import Click

from tracetui.session.state.explanations import Explanations
from tracetui.session.view.filtered import FilteredView
from tracetui.ui.commands import bindings
from tracetui.ui.keymap import Keymap
from tracetui.ui.widgets.messages import (
    ChainRequested,
    CompareRequested,
    FilterRequested,
    FindRequested,
    NoticeRequested,
    PacketAction,
)
from tracetui.ui.widgets.packet_list import PacketList
from tracetui.ui.widgets.seeker import Seeker


class Timeline(PacketList):
    """Packets as rows that unfold into their hops; follows the newest until the user moves up."""

    BINDINGS = bindings("timeline")

    def __init__(self, view: FilteredView, explanations: Explanations, keymap: Keymap) -> None:
        super().__init__(view, explanations)
        self.seeker = Seeker(self, explanations, keymap, self.set_timer)

    def action_move(self, lines: int) -> None:
        """Move the cursor by so many lines."""
        self._go_to((self._lines.line_of(self._cursor) or 0) + lines)

    def action_page(self, pages: int) -> None:
        """Move the cursor by so many screenfuls."""
        self.action_move(pages * max(1, self.size.height - 1))

    def action_first(self) -> None:
        """Go to the oldest packet."""
        self._go_to(0)

    def action_follow(self) -> None:
        """Go to the newest packet and keep it in sight."""
        self.paused = False
        self._view.refresh()
        self.following = True
        self._relayout()

    def action_pause(self) -> None:
        """Hold the picture, or let it go on."""
        self.paused = not self.paused
        self.refresh_rows()
        self.post_message(self.StateChanged())

    def action_open(self) -> None:
        """Show or hide the hops of a packet, or of a hook; of a hop, open the chain."""
        packet, detail = self.selected, self._selected_detail()
        if packet is None:
            return
        if detail is not None and detail.is_folded:
            self._turn_hook(packet, detail)
        elif detail is not None:
            self.post_message(ChainRequested(packet, detail.hop, detail.unmatched))
        else:
            self._fold(packet) if self._lines.is_unfolded(packet.id) else self._unfold(packet)

    def action_own(self) -> None:
        """Show the hops of TRACE rules of ours, or hide them again."""
        self._change_display(own=not self._lines.display.own)

    def action_tested(self) -> None:
        """Show the rules that were passed by, or hide them again."""
        self._change_display(unmatched=not self._lines.display.unmatched)

    def action_times(self) -> None:
        """Show the times between hops, or hide them again."""
        self._change_display(times=not self._lines.display.times)

    def action_outline(self) -> None:
        """Show a line for each hook under every unfolded packet, or one for each hop again."""
        self._lines.turn_none()
        self._change_display(outline=not self._lines.display.outline)

    def action_mark(self) -> None:
        """Mark the packet under the cursor, or take its mark away."""
        packet = self.selected
        if packet is not None and self.marked.pop(packet.id, None) is None:
            self.marked[packet.id] = packet
        self._show_marks()

    def action_compare(self) -> None:
        """Compare the packet under the cursor with the one marked last, or mark it for that."""
        packet = self.selected
        others = [
            packet_before
            for packet_before in self.marked.values()
            if packet is None or packet_before.id != packet.id
        ]
        if packet is None:
            return
        if not others:
            self.action_mark()
            return
        if len(self.marked) == 1:
            self.marked.clear()
        self._show_marks()
        self.post_message(CompareRequested(others[-1], packet))

    def unmark(self) -> bool:
        """Take all marks away; whether there were any."""
        had = bool(self.marked)
        self.marked.clear()
        self._show_marks()
        return had

    def action_find_drop(self, step: int) -> None:
        """Go to the next packet that was dropped, or to the one before."""
        self.seeker.find_drop(step)

    def action_find_next(self, step: int) -> None:
        """Go to the next place of the text looked for, or to the one before."""
        self.seeker.find_next(step)

    def action_packet(self, action: str) -> None:
        """Have something done with the packet under the cursor."""
        if self.selected is not None:
            self.post_message(PacketAction(action, self.selected))

    def action_filter_by(self, scope: str) -> None:
        """Filter by the packet under the cursor."""
        if self.selected is not None:
            self.post_message(FilterRequested(scope, self.selected))

    def action_find(self) -> None:
        """Ask for a text to look for."""
        self.post_message(FindRequested())

    def say_not_found(self, why: str) -> None:
        """Have the user told."""
        self.post_message(NoticeRequested(why))

    def action_unfold(self) -> None:
        """Show the hops of the packet under the cursor, or of the hook."""
        packet, detail = self.selected, self._selected_detail()
        if packet is not None and detail is None:
            self._unfold(packet)
        elif packet is not None and detail is not None and detail.is_folded:
            self._turn_hook(packet, detail)

    def action_fold(self) -> None:
        """Hide the hops of the hook under the cursor; where that is one line, the packet's."""
        packet, detail = self.selected, self._selected_detail()
        if packet is None:
            return
        if detail is not None and sum(line.hook == detail.hook for line in self._under(packet)) > 1:
            self._turn_hook(packet, detail)
        else:
            self._fold(packet)

    def on_click(self, event: Click) -> None:
        """Put the cursor where the mouse is; on a packet that has it, show or hide the hops."""
        line = self.top + event.y
        key = self._lines.key_at(line)
        if key is None or self.is_on_bar(event.x):
            return
        detail = self._selected_detail()
        if key == self._cursor and (detail is None or detail.is_folded):
            self.action_open()
        else:
            self._go_to(line)

    def _change_display(self, **changes: bool) -> None:
        """Show hops another way; the cursor stays on its hop, in sight."""
        self._lines.display = self._lines.display._replace(**changes)
        self._sees_cursor = True
        self._relayout()

    def _show_marks(self) -> None:
        self.refresh()
        self.post_message(self.StateChanged())
