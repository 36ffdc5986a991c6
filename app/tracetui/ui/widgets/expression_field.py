"""The line for a filter expression: completed while it is typed, with what was typed before."""

from __future__ import annotations

from typing import Optional

from textual.suggester import Suggester

from tracetui.session.user.filter_history import FilterHistory
from tracetui.session.view.completions import Completions
from tracetui.ui.commands import bindings
from tracetui.ui.widgets.field import Field


class _Completion(Suggester):
    def __init__(self, seen: Completions) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._seen = seen

    async def get_suggestion(self, value: str) -> Optional[str]:
        return self._seen.completion(value)


class ExpressionField(Field):
    """One line; up and down go through the expressions that were in force before."""

    BINDINGS = bindings("expression")

    def __init__(self, seen: Completions, history: FilterHistory) -> None:
        super().__init__(
            id="expression",
            select_on_focus=False,
            max_length=2000,
            placeholder="src 10.0.0.0/8 and dst port 8090 or icmp · chain KUBE-* · verdict drop",
            suggester=_Completion(seen),
        )
        self._seen = seen
        self._history = history
        self._at = len(history.filters)
        """The place in the history; behind its end is what is being typed."""
        self._typed: dict[int, str] = {}
        """What was typed at each place since one was in force."""

    def on_focus(self) -> None:
        """See what can be completed by now."""
        self._seen.look()

    def remember(self) -> None:
        """Keep what is there for later, if it is a filter."""
        if self.value.strip() and not self.has_class("-wrong"):
            self._history.remember(self.value)
        self._at = len(self._history.filters)
        self._typed.clear()

    def on_blur(self) -> None:
        """Keep what is there for later, wherever the user went."""
        self.remember()

    def on_unmount(self) -> None:
        """Keep what is there when the program ends."""
        self.remember()

    def action_earlier(self) -> None:
        """Show the expression before."""
        if self._at > 0:
            self._show(self._at - 1)

    def action_later(self) -> None:
        """Show the one after it; behind what is being typed are the packets."""
        if self._at < len(self._history.filters):
            self._show(self._at + 1)
        else:
            self.post_message(self.Submitted(self, self.value))

    def _show(self, at: int) -> None:
        self._typed[self._at], self._at = self.value, at
        filters = self._history.filters
        self.value = self._typed.get(at, filters[at] if at < len(filters) else "")
        self.cursor_position = len(self.value)
