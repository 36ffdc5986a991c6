"""The line at the top: is it safe, is it live, what is traced."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timezone
from typing import ClassVar, Optional

from rich.text import Text
from textual.app import RenderResult
from textual.reactive import reactive
from textual.widget import Widget

from tracetui.model.trace.hop import KMSG
from tracetui.session.live.last_minute import LAST_MINUTE_SECONDS
from tracetui.session.state.guard_state import removal_text
from tracetui.session.state.session import SourceState, Status
from tracetui.session.text.sanitize import sanitize
from tracetui.ui.keymap import Keymap
from tracetui.ui.widgets.rules_pane import countdown

RATE_SAMPLES = 20
"""Rates in the sparkline, one a second."""
SPARKLINE_CELLS = 73
"""Cells at the right from which the sparkline has its place."""
NAME_CELLS = len(" tracetui ")
"""Cells of the name, which goes last of the left side."""
LEAST_PLACE_CELLS = 6
"""Cells below which the beginning of the host's name says nothing."""
BREVITIES, FEWEST_PARTS, FEWEST_WORDS = 4, 2, 3
"""The right side whole, in fewer words, with a loss without its number, and the guard in a word."""
PROGRESS_CELLS = 10
"""Cells of the bar that shows how much was read."""
_BARS = "▁▂▃▄▅▆▇█"


class StatusBar(Widget):
    """Namespace, backend, sources, rate, losses and guard; a trip takes a line more."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "status-bar--name",
        "status-bar--bad",
        "status-bar--good",
    }

    status: reactive[Status] = reactive(Status())
    left: reactive[Optional[float]] = reactive(None)
    """Seconds until the first rule of ours ends; None where none does."""

    def __init__(self, keymap: Keymap) -> None:
        super().__init__()
        self._keymap = keymap
        self._rates: deque[int] = deque([0] * RATE_SAMPLES, maxlen=RATE_SAMPLES)

    def sample(self) -> None:
        """Take the present rate into the sparkline; to be called once a second."""
        self._rates.append(self.status.rate)
        self.refresh()

    def watch_status(self, status: Status) -> None:
        """Mark a trip."""
        self.set_class(status.guard.tripped, "-tripped")

    def render(self) -> RenderResult:
        """Draw the line: the left side as far as it fits, the right side as short as it must be.

        The guard, the rate and the time left stay at every width; numbers that are 0 go first,
        then the sources, then words.
        """
        width = self.size.width
        left = self._left()
        right = self._right(width - left.cell_len)
        for brevity in range(1, BREVITIES):
            if right.cell_len + NAME_CELLS <= width:
                break
            right = self._right(0, brevity)
        right.truncate(width)
        room = width - right.cell_len - 1
        if room < NAME_CELLS + LEAST_PLACE_CELLS:
            left = left[: NAME_CELLS - 1] if room >= NAME_CELLS - 1 else Text()
        left.truncate(room, overflow="ellipsis")
        gap = " " * max(0, width - left.cell_len - right.cell_len)
        line = left + Text(gap) + right
        if self.status.guard.tripped:
            line += Text("\n") + self._trip(width)
        return line

    def _left(self) -> Text:
        status = self.status
        if status.live:
            parts = [f"netns {status.netns}" if status.netns else "host netns"]
        else:
            parts = ["replay" if status.is_replay else "not tracing"]
        if status.node.backends:
            parts.append(status.node.backend)
        named = [_named(source) for source in status.sources]
        if named:
            parts.append(" ".join(named))
        text = Text()
        text.append(" tracetui", style=self.get_component_rich_style("status-bar--name"))
        where = f"  {status.host} · " if status.host else "  "
        return text.append(sanitize(where + " · ".join(parts)))

    def _right(self, room: int, brevity: int = 0) -> Text:
        status, guard = self.status, self.status.guard
        bad = self.get_component_rich_style("status-bar--bad")
        if not status.live:
            read = f"{_bar(status.progress)}{status.hops:,} hops  {status.skipped:,} lines skipped "
            read += f" {status.lost:,} lost " if status.lost else ""
            return Text(read if status.sources else "")
        text = Text(f"{self._sparkline()} " if room >= SPARKLINE_CELLS else "")
        gap = "  " if brevity == 0 else " "
        text.append(f"{status.rate:,}/{guard.threshold:,}{'/s' if brevity else ' hops/s'}{gap}")
        if brevity < FEWEST_PARTS:
            if status.lost or not brevity:
                text.append(f"lost {status.lost:,}", style=bad if status.lost else "")
                text.append(gap)
            if status.unshown:
                text.append(f"unshown {status.unshown:,}", style=bad)
                text.append(gap)
        elif status.lost or status.unshown:
            text.append("lost!", style=bad)
            text.append(gap)
        if self.left is not None:
            text.append(
                f"ends {countdown(self.left)}",
                style=bad if self.left <= LAST_MINUTE_SECONDS else "",
            )
            text.append(gap)
        return text.append(self._guard_state(brevity))

    def _guard_state(self, brevity: int) -> Text:
        guard = self.status.guard
        if guard.tripped:
            style = self.get_component_rich_style("status-bar--bad")
            name = "TRIPPED" if brevity == FEWEST_WORDS else "guard TRIPPED"
            return Text.assemble((name, style), " ")
        if self.status.why_not:
            return Text("no guard ")
        trips = len(guard.trips)
        times = f" (tripped {trips} times)" if trips > 1 else " (tripped)" if trips else ""
        if brevity:
            times = f" ({trips}x)" if trips else ""
        style = self.get_component_rich_style("status-bar--good")
        if brevity == FEWEST_WORDS:
            return Text.assemble(("ARMED", style))
        return Text.assemble(("guard ARMED", style), f"{times} ")

    def _trip(self, width: int) -> Text:
        trip = self.status.guard.trip
        if trip is None:
            return Text()
        tripped_at = datetime.fromtimestamp(trip.at, timezone.utc)
        key = self._keymap.with_keys("{main.guard}")
        sentence = f" ✗ GUARD TRIPPED ({key}: what now): {trip.reason}; {removal_text(trip)}"
        if trip.foreign:
            sentence += ", foreign rules still trace"
        sentence += f" · {tripped_at:%H:%M:%S} UTC"
        text = Text(sanitize(sentence), style=self.get_component_rich_style("status-bar--bad"))
        text.truncate(width, overflow="ellipsis", pad=True)
        return text

    def _sparkline(self) -> str:
        top = max(*self._rates, self.status.guard.threshold // 4, 1)
        return "".join(_BARS[min(7, rate * 8 // (top + 1))] for rate in self._rates)


def _bar(progress: Optional[float]) -> str:
    """The progress bar of the files; empty if that is not known, and at the end."""
    if progress is None:
        return ""
    done = int(progress * PROGRESS_CELLS)
    return f"{'█' * done}{'░' * (PROGRESS_CELLS - done)} {progress:4.0%}  "


def _named(source: SourceState) -> str:
    """A source with its caveat."""
    if source.state == "failed":
        return f"{source.name}!"
    return f"{source.name} (forgeable)" if source.name == KMSG else source.name
