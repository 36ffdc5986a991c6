"""A one-line field with a few values to choose from."""

from __future__ import annotations

from typing import ClassVar, Optional

from rich.text import Text
from textual.app import RenderResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget


class Choice(Widget, can_focus=True):
    """Values side by side, the chosen one marked; left, right and space change it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,space,l", "step(1)", "next", show=False),
        Binding("left,h", "step(-1)", "previous", show=False),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"choice--chosen"}

    value: reactive[str] = reactive("")

    class ValueChosen(Message):
        """The user chose another value."""

    def __init__(
        self, values: tuple[str, ...], widget_id: str, chosen: Optional[str] = None
    ) -> None:
        """Offer ``values``; the first is chosen unless another is named."""
        super().__init__(id=widget_id)
        self._values = values
        self.set_reactive(Choice.value, chosen if chosen in values else values[0])

    def action_step(self, step: int) -> None:
        """Choose the value so many places further."""
        index = (self._values.index(self.value) + step) % len(self._values)
        self.value = self._values[index]
        self.post_message(self.ValueChosen())

    def on_click(self) -> None:
        """Choose the next value."""
        self.focus()
        self.action_step(1)

    def render(self) -> RenderResult:
        """Draw the values."""
        chosen = self.get_component_rich_style("choice--chosen")
        text = Text()
        for value in self._values:
            is_chosen = value == self.value
            text.append(
                f"({value})" if is_chosen else f" {value} ", style=chosen if is_chosen else ""
            )
        return text
