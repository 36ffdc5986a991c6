"""The notices of the last seconds, in lines of their own: they cover nothing."""

from __future__ import annotations

from functools import partial

from rich.text import Text
from textual.events import Resize
from textual.widgets import Static

from tracetui.session.state.session import Notice
from tracetui.session.text.sanitize import sanitize
from tracetui.session.text.width import shown, wrapped
from tracetui.ui.keymap import Keymap

NOTICE_SECONDS = 8.0
NOTICE_LINES = 5
"""Lines that all notices take at most."""
LINES_FOR_ALL = 30
"""Lines of the terminal from which there is room for them, as in ``screens.main``."""
NOTICE_LINES_OF_FEW = 3
"""Lines that all notices take at most on a terminal of fewer lines."""
OLDER_NOTICE_LINES = 2
"""Lines that a notice other than the newest takes at most."""
SEVERITY_MARKS = {"error": "✗", "warning": "!", "information": "·"}


class NoticeLines(Static):
    """Notices, the newest last; each goes after some seconds, and the log keeps them all."""

    def __init__(self, keymap: Keymap) -> None:
        super().__init__("", id="notices", markup=False)
        self._keymap = keymap
        self._notices: list[Notice] = []

    def add(self, notice: Notice) -> None:
        """Show a notice for some seconds; one that is told again becomes the newest."""
        self._notices = [known for known in self._notices if known.text != notice.text]
        self._notices.append(notice)
        if self.is_mounted:
            self._show()
            self.set_timer(NOTICE_SECONDS, partial(self._forget, notice))

    def on_mount(self) -> None:
        """Show what was told before there was a screen."""
        self._show()
        for notice in self._notices:
            self.set_timer(NOTICE_SECONDS, partial(self._forget, notice))

    def _forget(self, notice: Notice) -> None:
        """Show it no longer, unless it was told again meanwhile."""
        self._notices = [known for known in self._notices if known is not notice]
        self._show()

    def on_resize(self, event: Resize) -> None:
        """Fit the lines anew."""
        self._draw(event.size.width)

    def _show(self) -> None:
        self.display = bool(self._notices)
        self._draw(self.size.width or self.app.size.width)

    def _draw(self, width: int) -> None:
        self.update(self._text(max(10, width - 1)))

    def _text(self, width: int) -> Text:
        """The newest notice as whole as it can be, others where there is room, and how many not."""
        lines: list[Text] = []
        room = NOTICE_LINES if self.app.size.height >= LINES_FOR_ALL else NOTICE_LINES_OF_FEW
        limit = room if len(self._notices) == 1 else room - 1
        for older, notice in zip(range(len(self._notices) - 1, -1, -1), reversed(self._notices)):
            notice_lines = _lines(notice, width, limit)
            if len(lines) + len(notice_lines) + (older > 0) > room:
                more = f"  and {older + 1} more: {{main.log}} shows all notices"
                lines.insert(0, Text(shown(self._keymap.with_keys(more), width), style="dim"))
                break
            lines[:0] = notice_lines
            limit = OLDER_NOTICE_LINES
        return Text("\n").join(lines)


def _lines(notice: Notice, width: int, limit: int) -> list[Text]:
    mark = SEVERITY_MARKS.get(notice.severity, "·")
    style = "bold" if notice.severity == "error" else ""
    texts = wrapped(sanitize(notice.text), width - 3, limit)
    return [
        Text(f" {mark if index == 0 else ' '} {line}", style=style)
        for index, line in enumerate(texts)
    ]
