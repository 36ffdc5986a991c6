"""Asks for a text to look for in the packets."""

from __future__ import annotations

from typing import Optional

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from tracetui.ui.commands import bindings
from tracetui.ui.keymap import Keymap
from tracetui.ui.widgets.field import Field


class FindScreen(ModalScreen[Optional[str]]):
    """A field for an address, a chain, a word of a rule or of its comment."""

    BINDINGS = [  # noqa: RUF012 - as Textual has it
        *bindings("anywhere"),
        Binding("escape", "dismiss(None)", "cancel"),
    ]

    def __init__(self, keymap: Keymap) -> None:
        super().__init__()
        self._keymap = keymap

    def compose(self) -> ComposeResult:
        """Lay out the question."""
        with Vertical(id="find-text") as box:
            box.border_title = "Find in packets, hops and rules"
            box.border_subtitle = self._keymap.with_keys(
                "Enter finds · then {timeline.next-found} next, {timeline.found-before} previous"
            )
            yield Field(max_length=200)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Give back what was typed."""
        self.dismiss(event.value.strip() or None)
