"""Asks before something is done that can't be taken back."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tracetui.session.text.sanitize import inert
from tracetui.ui.commands import bindings


class ConfirmScreen(ModalScreen[bool]):
    """What will be done, line by line; only ``y`` does it."""

    BINDINGS = [  # noqa: RUF012 - as Textual has it
        *bindings("anywhere"),
        Binding("y", "dismiss(True)", "yes"),
        Binding("n,escape,enter,q", "dismiss(False)", "no"),
    ]

    def __init__(self, title: str, lines: Sequence[str]) -> None:
        super().__init__()
        self._title = title
        self._lines = lines

    def compose(self) -> ComposeResult:
        """Lay out the question."""
        with Vertical(id="confirm") as box:
            box.border_title = self._title
            box.border_subtitle = "y does it · n or Esc does not"
            with VerticalScroll(id="confirm-lines"):
                yield Static("\n".join(inert(line) for line in self._lines), markup=False)
