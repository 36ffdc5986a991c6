"""Every key, from the table they are declared in."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tracetui.ui.commands import COMMANDS, SCOPES, Command, bindings


class HelpScreen(ModalScreen[None]):
    """The keys, by where they work."""

    BINDINGS = [  # noqa: RUF012 - as Textual has it
        *bindings("anywhere"),
        Binding("escape,question_mark,q,enter", "dismiss", "close"),
    ]

    def compose(self) -> ComposeResult:
        """Lay out the list."""
        with VerticalScroll(id="help") as box:
            box.border_title = "Keys"
            box.border_subtitle = "Esc closes"
            yield Static(_text())


def _text() -> Text:
    text = Text()
    for scope, title in SCOPES.items():
        if title:
            text.append(f"\n{title}\n" if len(text) else f"{title}\n", style="bold")
        for command in COMMANDS:
            if command.scope == scope:
                text.append(f"  {keys_of(command):<12} {command.help}\n")
    text.append("\nA click moves the cursor too.")
    return text


def keys_of(command: Command) -> str:
    """The keys of a command as people write them."""
    return command.shown or " ".join(
        {
            "enter": "Enter",
            "space": "Space",
            "tab": "Tab",
            "ctrl+f": "Ctrl+F",
            "ctrl+c": "Ctrl+C",
            "ctrl+s": "Ctrl+S",
        }.get(key, key)
        for key in command.keys.split(",")
    )
