"""A list of what to trace of a packet, which leads to the form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tracetui.session.state import suggestions
from tracetui.session.text.sanitize import sanitize
from tracetui.session.view.presets import Preset
from tracetui.ui.commands import bindings


class PresetsScreen(ModalScreen[Optional[Preset]]):
    """A row for each rule suggested by a packet; nothing is added before the form is submitted."""

    BINDINGS = [  # noqa: RUF012 - as Textual has it
        *bindings("anywhere"),
        Binding("escape,q,t", "dismiss(None)", "close"),
    ]

    def __init__(self, presets: Sequence[Preset]) -> None:
        super().__init__()
        self._presets = presets

    def compose(self) -> ComposeResult:
        """Lay out the list."""
        with Vertical(id="presets") as box:
            box.border_title = "Trace more of this packet"
            box.border_subtitle = "Enter fills the form · Esc closes"
            yield OptionList(*(Option(_prompt(preset)) for preset in self._presets), markup=False)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Leave with what was chosen."""
        self.dismiss(self._presets[event.option_index])


def _prompt(preset: Preset) -> Text:
    words = sanitize(suggestions.words(preset.rule))
    return Text(sanitize(preset.description), "bold").append(f"\n    {words}", "not bold dim")
