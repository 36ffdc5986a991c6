"""Asks before something is done that can't be taken back."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tracetui.session.text.sanitize import sanitize
from tracetui.ui.commands import bindings


class ConfirmScreen(ModalScreen[bool]):
    """Lists what will be done; only ``y`` does it."""

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
            box.border_subtitle = "y yes · n or Esc no"
            with VerticalScroll(id="confirm-lines"):
                yield Static("\n".join(sanitize(line) for line in self._lines), markup=False)
