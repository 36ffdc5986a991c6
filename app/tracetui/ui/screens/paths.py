"""Packets by the way they took: a dropped one among thousands is a row of its own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Optional

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tracetui.model.trace import moments
from tracetui.model.trace.packet import Packet
from tracetui.session.recording import report
from tracetui.session.state.session import Session
from tracetui.session.text.width import shown
from tracetui.session.view.path_groups import PathGroup, PathGroups
from tracetui.ui.commands import bindings
from tracetui.ui.widgets.text_parts import MARKS

SLICE_SECONDS = 0.03
STEP_SECONDS = 0.1
ROWS = 500
"""Paths listed at most: more are no help to anybody."""
_WORST_FIRST = {"drop": 0, "reject": 0, "unknown": 1, "accept": 2}


class PathsScreen(ModalScreen[Optional[Packet]]):
    """One row for each path, what was dropped first; gives back the packet to go to."""

    BINDINGS = [  # noqa: RUF012 - as Textual has it
        *bindings("anywhere"),
        Binding("escape,q,p", "dismiss(None)", "close"),
    ]

    def __init__(self, session: Session, packets: Sequence[Packet]) -> None:
        super().__init__()
        self._session = session
        self._paths = PathGroups(packets)
        self._shown: list[PathGroup] = []

    def compose(self) -> ComposeResult:
        """Lay out the list."""
        with Vertical(id="paths") as box:
            box.border_title = "Paths"
            yield OptionList(id="path-list", markup=False)

    def on_mount(self) -> None:
        """Begin to look at the packets."""
        self.call_after_refresh(self._step)
        self.set_interval(STEP_SECONDS, self._step)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Go to the newest packet of a path."""
        self.dismiss(self._shown[event.option_index].newest)

    def _step(self) -> None:
        if self._paths.work(time.monotonic() + SLICE_SECONDS):
            self._show()

    def _show(self) -> None:
        found = self._paths.found
        verdicts = {id(path): self._session.explain(path.newest).verdict for path in found}
        found.sort(key=lambda path: (_WORST_FIRST[verdicts[id(path)]], -path.count))
        rows = self.query_one("#path-list", OptionList)
        kept = rows.highlighted
        self._shown = found[:ROWS]
        rows.clear_options()
        rows.add_options(Option(self._row(path, verdicts[id(path)])) for path in self._shown)
        rows.highlighted = kept if kept is not None and kept < len(self._shown) else 0
        looked = "" if self._paths.done == self._paths.total else f" of {self._paths.total:,}"
        more = f" · {len(found) - ROWS:,} more paths" if len(found) > ROWS else ""
        self.query_one(
            "#paths"
        ).border_subtitle = (
            f"{len(found):,} paths of {self._paths.done:,}{looked} packets{more} · Enter goes there"
        )

    def _row(self, path: PathGroup, verdict: str) -> Text:
        packet = path.newest
        explanation = self._session.explain(packet)
        count = f"{path.count:,}x"
        span = f"{moments.clock(path.first)[:8]}-{moments.clock(path.last)[:8]}"
        head = f"{count:>9}  {MARKS[verdict]:<9}  {span}  "
        width = self.query_one("#path-list").scrollable_content_region.width - 2
        ends = f"{report.protocol(packet.header)} {report.endpoints(packet.header)}"
        text = Text(shown(head + ends, width), "bold" if verdict in ("drop", "reject") else "")
        index = len(packet.hops) - 1 if explanation.decided is None else explanation.decided
        here = explanation.hops[index]
        told = "  ".join(
            part for part in (here.comment, report.rule_text(here), explanation.why) if part
        )
        last = report.place_text(packet.hops[index], here)
        way = f"{'':>11}{len(packet.hops)} hops to {last}  {told}"
        return text.append("\n").append(shown(way, width), "dim")
