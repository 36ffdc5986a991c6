"""Every key, from the table they are declared in."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tracetui.ui.commands import COMMANDS, SCOPES, bindings
from tracetui.ui.keymap import Keymap


class HelpScreen(ModalScreen[None]):
    """The keys, by where they work."""

    BINDINGS = [  # noqa: RUF012 - as Textual has it
        *bindings("anywhere"),
        Binding("escape,question_mark,q,enter", "dismiss", "close"),
    ]

    def __init__(self, keymap: Keymap) -> None:
        super().__init__()
        self._keymap = keymap

    def compose(self) -> ComposeResult:
        """Lay out the list."""
        with VerticalScroll(id="help") as box:
            box.border_title = "Keys"
            box.border_subtitle = "Esc closes"
            yield Static(_text(self._keymap))


def _text(keymap: Keymap) -> Text:
    text = Text()
    for scope, title in SCOPES.items():
        if title:
            text.append(f"\n{title}\n" if len(text) else f"{title}\n", style="bold")
        for command in COMMANDS:
            if command.scope == scope:
                text.append(f"  {keymap.written(command):<12} {command.help}\n")
    text.append("\nA click moves the cursor too; the edge between the panes can be dragged.")
    return text
