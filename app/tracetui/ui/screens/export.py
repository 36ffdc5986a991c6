"""Asks which packets are to be written, how, and where to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Optional

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label

from tracetui.model.trace.packet import Packet
from tracetui.session.recording.export import FORMATS, SUFFIXES
from tracetui.ui.commands import bindings
from tracetui.ui.widgets.choice import Choice
from tracetui.ui.widgets.field import Field


class ExportRequest(NamedTuple):
    """The packets to write, and where to."""

    packets: tuple[Packet, ...]
    form: str
    """Format, one of FORMATS."""
    file: Optional[str]
    """Name of the file; None for the clipboard."""


class ExportScreen(ModalScreen[Optional[ExportRequest]]):
    """Form for the packets, the format, and the file or the clipboard."""

    BINDINGS = [  # noqa: RUF012 - as Textual has it
        *bindings("anywhere"),
        Binding("escape", "dismiss(None)", "cancel"),
        Binding("enter", "save", "save", show=False),
        Binding("down", "app.focus_next", "next field", show=False),
        Binding("up", "app.focus_previous", "previous field", show=False),
    ]

    def __init__(self, sets: dict[str, Sequence[Packet]], name: str) -> None:
        """``sets`` are the packets to choose from, by what they are; ``name`` begins the file's."""
        super().__init__()
        self._sets = {
            description: tuple(packets) for description, packets in sets.items() if packets
        }
        self._stem = name

    def compose(self) -> ComposeResult:
        """Lay out the fields."""
        labels = tuple(self._labels())
        with Vertical(id="export") as box:
            box.border_title = "Export packets"
            box.border_subtitle = "Tab next field · ← → choose · Enter saves · Esc cancels"
            with Horizontal(classes="row"):
                yield Label("which", classes="label")
                yield Choice(labels, "which")
            with Horizontal(classes="row"):
                yield Label("as", classes="label")
                yield Choice(FORMATS, "as")
            with Horizontal(classes="row"):
                yield Label("file", classes="label")
                yield Field(self._file(FORMATS[0]), id="file", max_length=255)
            with Horizontal(id="buttons"):
                yield Button("Save", id="save", compact=True, variant="primary")
                yield Button("Copy to the clipboard", id="copy", compact=True)
                yield Button("Cancel", id="cancel", compact=True)

    @on(Choice.ValueChosen)
    def rename(self) -> None:
        """Give a file name that was not typed the suffix of the format."""
        field = self.query_one("#file", Input)
        if field.value in map(self._file, FORMATS):
            field.value = self._file(self._form)

    @on(Button.Pressed, "#save")
    @on(Input.Submitted)
    def action_save(self) -> None:
        """Leave with the file's name."""
        name = self.query_one("#file", Input).value.strip()
        if name:
            self.dismiss(ExportRequest(self._packets, self._form, name))

    @on(Button.Pressed, "#copy")
    def _copy(self) -> None:
        self.dismiss(ExportRequest(self._packets, self._form, None))

    @on(Button.Pressed, "#cancel")
    def _cancel(self) -> None:
        self.dismiss(None)

    @property
    def _form(self) -> str:
        return self.query_one("#as", Choice).value

    @property
    def _packets(self) -> tuple[Packet, ...]:
        return self._labels()[self.query_one("#which", Choice).value]

    def _labels(self) -> dict[str, tuple[Packet, ...]]:
        return {
            description if len(packets) == 1 else f"{description} {len(packets):,}": packets
            for description, packets in self._sets.items()
        }

    def _file(self, form: str) -> str:
        return self._stem + SUFFIXES[form]
