"""Asks for the guard's threshold."""

from __future__ import annotations

from typing import Optional

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tracetui.ui.commands import bindings
from tracetui.ui.widgets.field import Field


class ThresholdScreen(ModalScreen[Optional[int]]):
    """A field for the hops per second above which our rules are removed."""

    BINDINGS = [  # noqa: RUF012 - as Textual has it
        *bindings("anywhere"),
        Binding("escape", "dismiss(None)", "cancel"),
    ]

    def __init__(self, present: int) -> None:
        super().__init__()
        self._present = present

    def compose(self) -> ComposeResult:
        """Lay out the question."""
        with Vertical(id="threshold") as box:
            box.border_title = "Guard"
            box.border_subtitle = "Enter sets it · Esc leaves it"
            yield Static("Remove our rules above so many hops/s:")
            yield Field(str(self._present), max_length=9)
            yield Static("", id="reason", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Give back the number, or say what is wrong."""
        typed = event.value.strip()
        if typed.isascii() and typed.isdigit() and int(typed) > 0:
            self.dismiss(int(typed))
        else:
            self.query_one("#reason", Static).update("✗ a whole number above 0")
