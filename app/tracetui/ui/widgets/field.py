"""A line to type in."""

from __future__ import annotations

from typing import Any, Optional

from textual.reactive import reactive
from textual.widgets import Input

from tracetui.session.text.sanitize import sanitize


class Field(Input):
    """Textual's, with what is pasted into it inert: it would be drawn as it is."""

    compact = reactive(True)
    """Compact from the start, so that the styles are worked out once, not three times."""

    def __init__(self, value: str = "", **options: Any) -> None:
        """``options`` are those of Textual's."""
        super().__init__(value, compact=True, classes="-textual-compact", **options)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> Optional[bool]:
        """Leave up and down to the container: a line has nothing to scroll."""
        return action not in ("scroll_up", "scroll_down")

    def on_mount(self) -> None:
        """Turn the blinking off."""
        self.cursor_blink = False

    def type_character(self, character: str) -> None:
        """Put a character where the cursor is, or in the place of what is selected."""
        if self.selection.is_empty:
            self.insert_text_at_cursor(character)
        else:
            self.replace(character, *self.selection)

    def replace(self, text: str, start: int, end: int) -> None:
        """Put a text in the place of another."""
        super().replace(sanitize(text), start, end)
