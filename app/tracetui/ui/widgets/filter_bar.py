"""The filter: four short fields that apply while they are typed."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Label, Static

from tracetui.model.view_filter import FIELDS, InvalidFilter, ViewFilter
from tracetui.ui.commands import bindings
from tracetui.ui.widgets.field import Field


class FilterBar(Horizontal):
    """Source, destination, port and protocol; what can't be meant is marked and changes nothing."""

    BINDINGS = bindings("filter")

    class Changed(Message):
        """Another filter is in force."""

        def __init__(self, view_filter: ViewFilter) -> None:
            super().__init__()
            self.view_filter = view_filter

    class Left(Message):
        """The user is done with the fields."""

    def compose(self) -> ComposeResult:
        """Lay out the fields."""
        for name in FIELDS:
            yield Label(name, classes="filter-bar--label")
            yield Field(id=name, compact=True, select_on_focus=False, max_length=43)
        yield Static("", id="reason", markup=False)

    def focus_first(self) -> None:
        """Go to the first field."""
        self.screen.set_focus(self.query_one("#src", Input))

    def clear(self) -> None:
        """Empty every field."""
        for field in self.query(Input):
            field.value = ""

    def on_input_changed(self, event: Input.Changed) -> None:
        """Apply what is typed so far, or mark what is wrong."""
        event.stop()
        typed = {field.id or "": field.value for field in self.query(Input)}
        wrong: dict[str, str] = {}
        try:
            view_filter = ViewFilter.parse(**typed)
        except InvalidFilter as error:
            wrong[error.field] = error.reason
        else:
            self.post_message(self.Changed(view_filter))
        for field in self.query(Input):
            field.set_class(field.id in wrong, "-wrong")
        reason = next((f"✗ {name}: {why}" for name, why in wrong.items()), "")
        self.query_one("#reason", Static).update(reason)
        self.set_class(bool(wrong), "-wrong")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go back to the packets."""
        event.stop()
        self.action_leave()

    def action_leave(self) -> None:
        """Go back to the packets; the filter stays."""
        self.post_message(self.Left())
