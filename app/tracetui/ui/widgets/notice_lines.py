"""What the user was told in the last seconds, in lines of their own: they lie over nothing."""

from __future__ import annotations

from functools import partial

from rich.text import Text
from textual.events import Resize
from textual.widgets import Static

from tracetui.session.state.session import Notice
from tracetui.session.text.sanitize import inert
from tracetui.session.text.width import shown, wrapped
from tracetui.ui.keymap import Keymap

SECONDS = 8.0
LINES = 5
"""How many all notices take at most."""
EACH = 2
"""How many one takes at most that is not the newest."""
_MARKS = {"error": "✗", "warning": "!", "information": "·"}


class NoticeLines(Static):
    """Notices, the newest last; each goes after some seconds, and the log keeps them all."""

    def __init__(self, keymap: Keymap) -> None:
        super().__init__("", id="notices", markup=False)
        self._keymap = keymap
        self._told: list[Notice] = []

    def add(self, notice: Notice) -> None:
        """Show a notice for some seconds; one that is told again becomes the newest."""
        self._told = [told for told in self._told if told.text != notice.text]
        self._told.append(notice)
        if self.is_mounted:
            self._show()
            self.set_timer(SECONDS, partial(self._forget, notice))

    def on_mount(self) -> None:
        """Show what was told before there was a screen."""
        self._show()
        for notice in self._told:
            self.set_timer(SECONDS, partial(self._forget, notice))

    def _forget(self, notice: Notice) -> None:
        """Show it no longer, unless it was told again meanwhile."""
        self._told = [told for told in self._told if told is not notice]
        self._show()

    def on_resize(self, event: Resize) -> None:
        """Fit the lines anew."""
        self._draw(event.size.width)

    def _show(self) -> None:
        self.display = bool(self._told)
        self._draw(self.size.width or self.app.size.width)

    def _draw(self, width: int) -> None:
        self.update(self._text(max(10, width - 1)))

    def _text(self, width: int) -> Text:
        """The newest notice as whole as it can be, others where there is room, and how many not."""
        lines: list[Text] = []
        most = LINES if len(self._told) == 1 else LINES - 1
        for left, notice in zip(range(len(self._told) - 1, -1, -1), reversed(self._told)):
            found = _lines(notice, width, most)
            if len(lines) + len(found) + (left > 0) > LINES:
                more = f"  and {left + 1} more: {{main.log}} shows all that was told"
                lines.insert(0, Text(shown(self._keymap.told(more), width), style="dim"))
                break
            lines[:0] = found
            most = EACH
        return Text("\n").join(lines)


def _lines(notice: Notice, width: int, most: int) -> list[Text]:
    mark = _MARKS.get(notice.severity, "·")
    style = "bold" if notice.severity == "error" else ""
    found = wrapped(inert(notice.text), width - 3, most)
    return [
        Text(f" {mark if at == 0 else ' '} {line}", style=style) for at, line in enumerate(found)
    ]
