"""The filter: four short fields and an expression, which apply while they are typed."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, Label, Static

from tracetui.model.filter.view_filter import FIELDS, ViewFilter
from tracetui.model.filter.words import InvalidFilter
from tracetui.session.text.width import shown
from tracetui.session.user.filter_history import FilterHistory
from tracetui.session.view.completions import Completions
from tracetui.ui.commands import bindings
from tracetui.ui.widgets.expression_field import ExpressionField
from tracetui.ui.widgets.field import Field

EXPRESSION_COLUMN = len("filter  ")
"""Cells before the expression."""


class FilterBar(Vertical):
    """Source, destination, port, protocol, and a line in tcpdump's words; all of it must hold.

    It is shown while it is open, and of a filter in force the lines that have something in them.
    A field that can't be parsed is marked, with the reason, and changes nothing.
    """

    BINDINGS = bindings("filter")

    class FilterChanged(Message):
        """The filter changed."""

        def __init__(self, view_filter: ViewFilter) -> None:
            super().__init__()
            self.view_filter = view_filter

    class FilterLeft(Message):
        """The user left the filter."""

    def __init__(
        self, completions: Completions, history: FilterHistory, expression: str = ""
    ) -> None:
        """Begin with ``expression`` in force; ``completions`` completes what is typed."""
        super().__init__()
        # Kept, not looked up: while the program ends, a timer may still find them gone.
        self._expression = ExpressionField(completions, history)
        self._quick = [Field(id=name, select_on_focus=False, max_length=43) for name in FIELDS]
        self._fields = [*self._quick, self._expression]
        self._reason_line = Static("", id="reason", markup=False)
        self._first_expression = expression

    @property
    def expression(self) -> str:
        """The expression as typed."""
        return self._expression.value

    def compose(self) -> ComposeResult:
        """Lay out the fields above the expression."""
        with Horizontal(id="quick"):
            for field in self._quick:
                yield Label(field.id or "", classes="filter-bar--label")
                yield field
        with Horizontal(id="line"):
            yield Label("filter", classes="filter-bar--label")
            yield self._expression
        yield self._reason_line

    def on_mount(self) -> None:
        """Have the expression in force that it began with."""
        self._expression.value = self._first_expression

    def focus_first(self) -> None:
        """Go to the first field, or to the expression if there is one."""
        self.add_class("-open")
        first = self._expression if self.expression else self._quick[0]
        self.screen.set_focus(first)

    def on_descendant_blur(self) -> None:
        """Close where nothing is in force, unless another field of it is gone to."""
        self.call_after_refresh(self._close)

    def _close(self) -> None:
        if not self.has_focus_within:
            self.remove_class("-open")

    def set_expression(self, expression: str) -> None:
        """Put another expression in the place of what is there."""
        self._expression.remember()
        self._expression.value = expression
        self._expression.remember()

    def clear(self) -> None:
        """Empty every field."""
        self._expression.remember()
        for field in self._fields:
            field.value = ""

    def on_input_changed(self, event: Input.Changed) -> None:
        """Apply what is typed so far, or mark what is wrong."""
        event.stop()
        self._apply()

    def _apply(self) -> None:
        typed = {field.id or "": field.value for field in self._fields}
        wrong: dict[str, Text] = {}
        try:
            view_filter = ViewFilter.parse(**typed)
        except InvalidFilter as error:
            wrong[error.field] = self._reason(error)
        else:
            self.post_message(self.FilterChanged(view_filter))
        for field in self._fields:
            field.set_class(field.id in wrong, "-wrong")
        self._reason_line.update(next(iter(wrong.values()), ""))
        self.set_class(bool(wrong), "-wrong")
        self.set_class(bool(self.expression), "-expression")
        self.set_class(any(field.value for field in self._quick), "-quick")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go back to the packets."""
        event.stop()
        self.action_leave()

    def action_leave(self) -> None:
        """Go back to the packets; the filter stays."""
        self._expression.remember()
        self.post_message(self.FilterLeft())

    def _reason(self, error: InvalidFilter) -> Text:
        """The error; for an expression, below the position where it is."""
        if error.position is None:
            return Text(f"✗ {error.field}: {shown(error.reason, 200)}")
        column = EXPRESSION_COLUMN + error.position - self._expression.scroll_offset.x
        reason = shown(error.reason, 200)
        if column + 2 + len(reason) <= self.size.width:
            return Text(f"{' ' * column}^ {reason}")
        # Where there is no room behind the place, there is some before it.
        return Text(f"{reason} ^".rjust(column + 1) if len(reason) + 1 <= column else f"✗ {reason}")
