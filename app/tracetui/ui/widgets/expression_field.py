"""The line for a filter expression: completed while it is typed, with what was typed before."""

from __future__ import annotations

from typing import Optional

from textual.suggester import Suggester

from tracetui.session.user.filter_history import FilterHistory
from tracetui.session.view.completions import Completions
from tracetui.ui.commands import bindings
from tracetui.ui.widgets.field import Field


class _Completion(Suggester):
    def __init__(self, completions: Completions) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._completions = completions

    async def get_suggestion(self, value: str) -> Optional[str]:
        return self._completions.completion(value)


class ExpressionField(Field):
    """A line; up and down go through earlier expressions."""

    BINDINGS = bindings("expression")

    def __init__(self, completions: Completions, history: FilterHistory) -> None:
        super().__init__(
            id="expression",
            select_on_focus=False,
            max_length=2000,
            placeholder="src 10.0.0.0/8 and dst port 8090 or icmp · chain KUBE-* · verdict drop",
            suggester=_Completion(completions),
        )
        self._completions = completions
        self._history = history
        self._position = len(history.filters)
        """Position in the history; past its end is the text being typed."""
        self._typed: dict[int, str] = {}
        """Text typed at each position of the history since the last one was remembered."""

    def on_focus(self) -> None:
        """Sample the words of the newest packets."""
        self._completions.sample()

    def remember(self) -> None:
        """Keep what is there for later, if it is a filter."""
        if self.value.strip() and not self.has_class("-wrong"):
            self._history.remember(self.value)
        self._position = len(self._history.filters)
        self._typed.clear()

    def on_blur(self) -> None:
        """Keep what is there for later, wherever the user went."""
        self.remember()

    def on_unmount(self) -> None:
        """Keep what is there when the program ends."""
        self.remember()

    def action_earlier(self) -> None:
        """Show the expression before."""
        if self._position > 0:
            self._show(self._position - 1)

    def action_later(self) -> None:
        """Show the one after it; behind what is being typed are the packets."""
        if self._position < len(self._history.filters):
            self._show(self._position + 1)
        else:
            self.post_message(self.Submitted(self, self.value))

    def _show(self, position: int) -> None:
        self._typed[self._position], self._position = self.value, position
        filters = self._history.filters
        self.value = self._typed.get(position, filters[position] if position < len(filters) else "")
        self.cursor_position = len(self.value)
