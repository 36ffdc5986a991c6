"""Packets grouped by path: a dropped one among thousands has a row of its own."""

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
from tracetui.ui.widgets.text_parts import VERDICT_MARKS

GROUP_SLICE_SECONDS = 0.03
GROUP_STEP_SECONDS = 0.1
PATHS_LISTED = 500
"""Paths listed at most: more are no help to anybody."""
_WORST_FIRST = {"drop": 0, "reject": 0, "unknown": 1, "accept": 2}


class PathsScreen(ModalScreen[Optional[Packet]]):
    """A row for each path, dropped packets first; returns the packet to go to."""

    BINDINGS = [  # noqa: RUF012 - as Textual has it
        *bindings("anywhere"),
        Binding("escape,q,p", "dismiss(None)", "close"),
    ]

    def __init__(self, session: Session, packets: Sequence[Packet]) -> None:
        super().__init__()
        self._session = session
        self._groups = PathGroups(packets)
        self._shown: list[PathGroup] = []

    def compose(self) -> ComposeResult:
        """Lay out the list."""
        with Vertical(id="paths") as box:
            box.border_title = "Paths"
            yield OptionList(id="path-list", markup=False)

    def on_mount(self) -> None:
        """Begin to look at the packets."""
        self.call_after_refresh(self._step)
        self.set_interval(GROUP_STEP_SECONDS, self._step)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Go to the newest packet of a path."""
        self.dismiss(self._shown[event.option_index].newest)

    def _step(self) -> None:
        if self._groups.work(time.monotonic() + GROUP_SLICE_SECONDS):
            self._show()

    def _show(self) -> None:
        groups = self._groups.groups
        verdicts = {id(group): self._session.explain(group.newest).verdict for group in groups}
        groups.sort(key=lambda group: (_WORST_FIRST[verdicts[id(group)]], -group.count))
        rows = self.query_one("#path-list", OptionList)
        cursor = rows.highlighted
        self._shown = groups[:PATHS_LISTED]
        rows.clear_options()
        rows.add_options(Option(self._row(group, verdicts[id(group)])) for group in self._shown)
        rows.highlighted = cursor if cursor is not None and cursor < len(self._shown) else 0
        done, total = self._groups.done, self._groups.total
        of_all = "" if done == total else f" of {total:,}"
        more = f" · {len(groups) - PATHS_LISTED:,} more paths" if len(groups) > PATHS_LISTED else ""
        subtitle = f"{len(groups):,} paths of {done:,}{of_all} packets{more} · Enter goes there"
        self.query_one("#paths").border_subtitle = subtitle

    def _row(self, path: PathGroup, verdict: str) -> Text:
        packet = path.newest
        explanation = self._session.explain(packet)
        count = f"{path.count:,}x"
        span = f"{moments.clock(path.first)[:8]}-{moments.clock(path.last)[:8]}"
        head = f"{count:>9}  {VERDICT_MARKS[verdict]:<9}  {span}  "
        width = self.query_one("#path-list").scrollable_content_region.width - 2
        ends = f"{report.protocol(packet.header)} {report.endpoints(packet.header)}"
        text = Text(shown(head + ends, width), "bold" if verdict in ("drop", "reject") else "")
        index = len(packet.hops) - 1 if explanation.decided is None else explanation.decided
        explained = explanation.hops[index]
        reason = "  ".join(
            part
            for part in (explained.comment, report.rule_text(explained), explanation.why)
            if part
        )
        last = report.point_text(packet.hops[index], explained)
        hops_line = f"{'':>11}{len(packet.hops)} hops to {last}  {reason}"
        return text.append("\n").append(shown(hops_line, width), "dim")
