"""The line at the top: is it safe, is it live, what is traced."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timezone
from typing import ClassVar, Optional

from rich.text import Text
from textual.app import RenderResult
from textual.reactive import reactive
from textual.widget import Widget

from tracetui.session.guard_state import removal_text
from tracetui.session.inert import inert
from tracetui.session.session import Status
from tracetui.ui.widgets.rules_pane import LAST_MINUTE, countdown

SAMPLES = 20
"""Rates in the sparkline, one a second."""
_BARS = "▁▂▃▄▅▆▇█"


class StatusBar(Widget):
    """Where, from what sources, how fast, what was lost, the guard; a trip takes one line more."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "status-bar--name",
        "status-bar--bad",
        "status-bar--good",
    }

    status: reactive[Status] = reactive(Status(), layout=True)
    left: reactive[Optional[float]] = reactive(None)
    """Seconds until the first rule of ours ends; None where none does."""

    def __init__(self) -> None:
        super().__init__()
        self._rates: deque[int] = deque([0] * SAMPLES, maxlen=SAMPLES)

    def sample(self) -> None:
        """Take the present rate into the sparkline; to be called once a second."""
        self._rates.append(self.status.rate)
        self.refresh()

    def watch_status(self, status: Status) -> None:
        """Mark a trip."""
        self.set_class(status.guard.tripped, "-tripped")

    def render(self) -> RenderResult:
        """Draw the line, the right side whole and the left side as far as it fits."""
        width = self.size.width
        right = self._right(width)
        left = self._left()
        left.truncate(max(0, width - right.cell_len - 2), overflow="ellipsis")
        gap = " " * max(1, width - left.cell_len - right.cell_len)
        line = left + Text(gap) + right
        if self.status.guard.tripped:
            line += Text("\n") + self._trip(width)
        return line

    def _left(self) -> Text:
        status = self.status
        if status.live:
            parts = [f"netns {status.netns}" if status.netns else "host netns"]
        else:
            parts = ["replay" if status.sources else "not tracing"]
        if status.node.backends:
            parts.append(status.node.backend)
        named = [f"{s.name}!" if s.state == "failed" else s.name for s in status.sources]
        if named:
            parts.append(" ".join(named))
        text = Text()
        text.append(" tracetui", style=self.get_component_rich_style("status-bar--name"))
        where = f"  {status.host} · " if status.host else "  "
        return text.append(inert(where + " · ".join(parts)))

    def _right(self, width: int) -> Text:
        status, guard = self.status, self.status.guard
        bad = self.get_component_rich_style("status-bar--bad")
        good = self.get_component_rich_style("status-bar--good")
        if not status.live:
            read = f"{status.hops:,} hops  {status.skipped:,} lines skipped "
            return Text(read if status.sources else "")
        text = Text(f"{self._sparkline()} " if width >= 100 else "")
        text.append(f"{status.rate:,}/{guard.threshold:,} hops/s  ")
        text.append(f"lost {status.lost:,}", style=bad if status.lost else "")
        if status.unshown:
            text.append(f"  unshown {status.unshown:,}", style=bad)
        if self.left is not None:
            text.append("  ")
            text.append(
                f"ends {countdown(self.left)}", style=bad if self.left <= LAST_MINUTE else ""
            )
        if guard.tripped:
            text.append("  guard TRIPPED ", style=bad)
        elif status.why_not:
            text.append("  no guard ")
        else:
            text.append("  guard ARMED", style=good)
            trips = len(guard.trips)
            text.append(
                f" (tripped {trips} times) " if trips > 1 else " (tripped) " if trips else " "
            )
        return text

    def _trip(self, width: int) -> Text:
        trip = self.status.guard.trip
        if trip is None:
            return Text()
        at = datetime.fromtimestamp(trip.at, timezone.utc)
        words = f" ✗ GUARD TRIPPED (g: what now): {trip.reason}; {removal_text(trip)}"
        if trip.foreign:
            words += ", foreign rules trace on"
        words += f" · {at:%H:%M:%S} UTC"
        text = Text(inert(words), style=self.get_component_rich_style("status-bar--bad"))
        text.truncate(width, overflow="ellipsis", pad=True)
        return text

    def _sparkline(self) -> str:
        top = max(*self._rates, self.status.guard.threshold // 4, 1)
        return "".join(_BARS[min(7, rate * 8 // (top + 1))] for rate in self._rates)
