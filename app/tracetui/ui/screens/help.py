"""Every key that can work, from the table they are declared in; those of the focused pane first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tracetui.ui.commands import SCOPES, Command, bindings
from tracetui.ui.keymap import Keymap
from tracetui.ui.widgets.field import Field

LONGEST_WORD = 40
"""Characters of what is looked for."""
_MOUSE = "A click moves the cursor too; the edge between the panes can be dragged."


class HelpScreen(ModalScreen[None]):
    """The keys, by where they work; ``/`` finds some by a part of their key or their text."""

    BINDINGS = [  # noqa: RUF012 - as Textual has it
        *bindings("anywhere"),
        Binding("slash", "find", "find"),
        Binding("escape", "leave", "close"),
        Binding("question_mark,q,enter", "dismiss", "close"),
    ]

    def __init__(
        self, keymap: Keymap, commands: Sequence[Command], focused_scopes: Sequence[str]
    ) -> None:
        """List ``commands``, those of ``focused_scopes`` before the others."""
        super().__init__()
        self._keymap = keymap
        self._commands = commands
        self._scopes = sorted(SCOPES, key=lambda scope: scope not in focused_scopes)
        self._lines = Static(id="help-keys")
        self._find = Field(placeholder="a key, or a word", id="find-key", max_length=LONGEST_WORD)

    def compose(self) -> ComposeResult:
        """Lay out the list."""
        with Vertical(id="help") as box:
            box.border_title = "Keys"
            box.border_subtitle = "/ finds · Esc closes"
            yield self._find
            with VerticalScroll(id="help-lines"):
                yield self._lines

    def on_mount(self) -> None:
        """Show all keys."""
        self._show("")
        self.set_focus(self.query_one("#help-lines"))

    def action_find(self) -> None:
        """Look for keys by a part of what is told of them."""
        self.query_one("#help").add_class("-finding")
        self.set_focus(self._find)

    def action_leave(self) -> None:
        """Show all keys again, or close."""
        if not self.query_one("#help").has_class("-finding"):
            self.dismiss(None)
            return
        self._find.value = ""
        self.query_one("#help").remove_class("-finding")
        self.set_focus(self.query_one("#help-lines"))

    @on(Input.Changed)
    def _narrow(self, event: Input.Changed) -> None:
        event.stop()
        self._show(event.value)

    @on(Input.Submitted)
    def _go_to_lines(self) -> None:
        self.set_focus(self.query_one("#help-lines"))

    def _show(self, wanted: str) -> None:
        text = Text()
        for title, commands in self._sections(wanted.strip().casefold()):
            text.append(f"\n{title}\n" if len(text) else f"{title}\n", style="bold")
            for command in commands:
                text.append(f"  {self._keymap.written(command):<12} {command.help}\n")
        if not text:
            text.append("no key of that name does anything, and none is told of in that word")
        elif not wanted:
            text.append(f"\n{_MOUSE}")
        self._lines.update(text)

    def _sections(self, wanted: str) -> Iterator[tuple[str, Iterable[Command]]]:
        """The commands by where they work; those without a title go with the ones before."""
        title, section = "", list[Command]()
        for scope in self._scopes:
            if SCOPES[scope]:
                if section:
                    yield title, section
                title, section = SCOPES[scope], []
            section += [
                command
                for command in self._commands
                if command.scope == scope and self._tells_of(command, wanted)
            ]
        if section:
            yield title, section

    def _tells_of(self, command: Command, wanted: str) -> bool:
        texts = (self._keymap.written(command), command.help, command.label)
        if len(wanted) == 1:
            # One character is a key, by itself.
            return wanted in self._keymap.written(command).casefold().split()
        return any(wanted in text.casefold() for text in texts)
