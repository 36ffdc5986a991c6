"""The packets with the filter above them, and what is under the cursor below."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.events import Resize
from textual.geometry import Region
from textual.widgets import Static

from tracetui.session.state.session import Session
from tracetui.session.user.filter_history import FilterHistory
from tracetui.session.view import filter_shortcuts
from tracetui.session.view.completions import Completions
from tracetui.session.view.filtered import FilteredView
from tracetui.ui.keymap import Keymap
from tracetui.ui.later import later
from tracetui.ui.widgets.filter_bar import FilterBar
from tracetui.ui.widgets.hop_detail import HopDetail
from tracetui.ui.widgets.messages import FilterRequested, NoticeRequested
from tracetui.ui.widgets.packet_line import Columns, headings
from tracetui.ui.widgets.timeline import Timeline

if TYPE_CHECKING:
    from typing_extensions import Self

FILTER_SLICE_SECONDS, FILTER_PAUSE_SECONDS = 0.02, 0.005
"""Seconds a filter is applied before the screen has its turn, and seconds of that turn."""
READABLE_SECONDS = 0.4
"""Seconds a count and the newest packet's detail stay: nobody reads them faster."""


class ColumnHeadings(Static):
    """The names of the packets' columns, above them."""

    def __init__(self) -> None:
        super().__init__("", id="headings", markup=False)

    def on_resize(self, event: Resize) -> None:
        """Stand above the columns as they are now."""
        # The last cell is the list's scrollbar.
        self.update(headings(Columns.fitting(event.size.width - 1)), layout=False)


class PacketsPane(Vertical):
    """A list of packets with a filter."""

    def __init__(
        self, session: Session, keymap: Keymap, history: FilterHistory, expression: str = ""
    ) -> None:
        """``expression`` is the filter in force at first; ``history`` are those before."""
        self._is_only_titled = False
        super().__init__(id="packets")
        self.border_title = "Packets"
        self._session = session
        self._keymap = keymap
        self.view = FilteredView(session.packets, session.explanations)
        """The packets that the filter lets through."""
        # Kept, not looked up: while the program ends, a timer may still find them gone.
        self.filter_bar = FilterBar(Completions(session.packets), history, expression)
        self.timeline = Timeline(self.view, session.explanations, keymap)
        self._detail = HopDetail()
        self._is_behind = True
        """Whether the detail is out of date."""
        self._shown_at = 0.0
        self._skips_next = False
        """Whether the next update is left out."""

    def compose(self) -> ComposeResult:
        """Lay out the filter, the packets under their headings, and the detail."""
        yield self.filter_bar
        yield ColumnHeadings()
        yield self.timeline
        yield self._detail

    def update(self, no_packets: Callable[[], str]) -> bool:
        """Show what the session has now; False if something of it is left to the next call.

        ``no_packets`` tells what is said where there is no packet; it is asked only there.
        """
        if self._skips_next:
            self._skips_next = False
            return False
        last_before = self._last_id()
        has_changed = self.timeline.refresh_rows()
        # Of what is gone at the next look nobody reads a line: half as many looks do.
        self._skips_next = (
            self.timeline.following and self._last_id() - last_before > self.timeline.size.height
        )
        self._is_behind |= has_changed
        if not self.view.rows:
            self.timeline.empty_text = self._none_match() if self.view.total else no_packets()
        now = time.monotonic()
        if has_changed and now - self._shown_at < READABLE_SECONDS:
            return False
        # The title counts also what a filter hides, and what comes while the picture is held.
        self._show_title()
        if self._is_behind:
            self._is_behind, self._shown_at = False, now
            self._show_detail()
        return True

    def _none_match(self) -> str:
        clear = self._keymap.with_keys("{main.clear} clears the filter")
        return f"0 of {self.view.total:,} packets match\n\n{clear}"

    def _last_id(self) -> int:
        return self.view.rows[-1].id if self.view.rows else 0

    def clear(self) -> None:
        """Clear the filter, then the marks, and go to the packets."""
        if not self.view.is_filtered and self.timeline.unmark():
            return
        self.filter_bar.clear()
        self.screen.set_focus(self.timeline)

    @on(FilterBar.FilterChanged)
    def _filter(self, event: FilterBar.FilterChanged) -> None:
        event.stop()
        self.view.set_filter(event.view_filter)
        self.timeline.filter_changed()
        if self.view.total:
            self.timeline.empty_text = self._none_match()
        self._show_title()
        self._filter_on()

    def _filter_on(self) -> None:
        """Try the filter on older packets, while the screen has its turn in between."""
        if self.view.untried:
            self.view.work(time.monotonic() + FILTER_SLICE_SECONDS)
            self.timeline.rows_changed()
            later(self, FILTER_PAUSE_SECONDS, self._filter_on)

    @on(FilterBar.FilterLeft)
    def _leave_filter(self) -> None:
        self.screen.set_focus(self.timeline)

    @on(FilterRequested)
    def _apply_shortcut(self, event: FilterRequested) -> None:
        packet, expression = event.packet, self.filter_bar.expression
        expressions = {
            "flow": filter_shortcuts.only_flow(packet),
            "host": filter_shortcuts.only_host(packet),
            "hide": filter_shortcuts.hidden(packet, expression),
        }[event.scope]
        if expressions is None:
            why = "no filter can match this packet: its header was not seen"
            self.post_message(NoticeRequested(why, "warning"))
        else:
            self.filter_bar.set_expression(expressions)

    @on(Timeline.CursorMoved)
    def _show_detail(self) -> None:
        packet = self.timeline.selected
        explanation = self._session.explain(packet) if packet is not None else None
        self._detail.show(packet, explanation, self.timeline.selected_hop)

    def refresh(
        self,
        *regions: Region,
        repaint: bool = True,
        layout: bool = False,
        recompose: bool = False,
    ) -> Self:
        """Draw the pane anew; of a new title only the edge that bears it, it changes that often."""
        if self._is_only_titled:
            outer = self.outer_size
            # Regions are counted from inside the border.
            regions = (Region(-1, outer.height - 2, outer.width, 1),)
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    @on(Timeline.StateChanged)
    def _show_title(self) -> None:
        shown, total = len(self.view.rows), self.view.total
        count = f"{shown:,} of {total:,}" if self.view.is_filtered else f"{total:,}"
        evicted = self._session.packets.evicted
        evicted_text = f" · {evicted:,} discarded" if evicted else ""
        subtitle = f"{count}{evicted_text} · {self._keymap.with_keys(self._state())}"
        if self.border_subtitle != subtitle:
            self._is_only_titled = True
            self.border_subtitle = subtitle
            self._is_only_titled = False

    def _state(self) -> str:
        """Whether the list follows, or what is marked, with the key that leads on."""
        timeline = self.timeline
        if len(timeline.marked) == 1:
            return "◆ marked · {timeline.compare} on another packet compares"
        if timeline.marked:
            return f"◆ {len(timeline.marked):,} marked · {{main.export}} exports"
        if timeline.paused:
            return "PAUSED · {timeline.pause} goes on"
        return "following" if timeline.following else "stopped here · {timeline.follow} follows"
