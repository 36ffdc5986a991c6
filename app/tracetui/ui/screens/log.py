"""The log: all notices with their times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tracetui.model.trace import moments
from tracetui.session.state.session import Notice
from tracetui.session.text.sanitize import sanitize
from tracetui.ui.commands import bindings
from tracetui.ui.widgets.notice_lines import SEVERITY_MARKS

LOG_REFRESH_SECONDS = 0.5
NOTICES_LISTED = 1000
"""The newest notices that are listed."""


class LogScreen(ModalScreen[None]):
    """The notices with their times, the newest last."""

    BINDINGS = [  # noqa: RUF012 - as Textual has it
        *bindings("anywhere"),
        Binding("escape,q,L,enter", "dismiss(None)", "close"),
    ]

    def __init__(self, notices: Sequence[Notice]) -> None:
        """Show ``notices``, also those that are added to it later."""
        super().__init__()
        self._notices = notices
        self._count = -1

    def compose(self) -> ComposeResult:
        """Lay out the list."""
        with VerticalScroll(id="log") as box:
            box.border_title = "Notices"
            box.border_subtitle = "UTC · Esc closes"
            yield Static("", id="log-text", markup=False)

    def on_mount(self) -> None:
        """Show them, and what is told meanwhile."""
        self._show()
        self.set_interval(LOG_REFRESH_SECONDS, self._show)

    def _show(self) -> None:
        if len(self._notices) == self._count:
            return
        self._count = len(self._notices)
        self.query_one("#log-text", Static).update(Text("\n").join(_lines(self._notices)))
        self.query_one("#log", VerticalScroll).scroll_end(animate=False)


def _lines(notices: Sequence[Notice]) -> Iterator[Text]:
    if not notices:
        yield Text("nothing yet", "dim")
    if len(notices) > NOTICES_LISTED:
        yield Text(f"{len(notices) - NOTICES_LISTED:,} older ones", "dim")
    for notice in notices[-NOTICES_LISTED:]:
        mark = SEVERITY_MARKS.get(notice.severity, "·")
        style = "bold" if notice.severity == "error" else ""
        yield Text(f"{moments.clock(notice.time)[:8]} {mark} {sanitize(notice.text)}", style)
