"""The line at the bottom: what the keys do where the cursor is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, NamedTuple, Optional

from rich.text import Text
from textual.app import RenderResult
from textual.binding import Binding
from textual.events import MouseDown, MouseMove
from textual.reactive import reactive
from textual.screen import Screen
from textual.widget import Widget

from tracetui.session.text.width import cells_of
from tracetui.ui.commands import Command

KEY_GAP = 1
"""Cells between two keys."""
_LAST_TO_GO = ("FLUSH", "keys", "quit", "add rule", "filter")
"""Labels of the keys that stay longest on a narrow screen."""


class _Item(NamedTuple):
    binding: Binding
    key: str
    """The key as people write it."""
    begin: int
    end: int
    """The cells it takes."""


class KeyBar(Widget):
    """The keys that there is room for; those that are needed most stay longest.

    One widget for all of them: with one for each, as Textual's footer has it, a start takes a
    quarter longer.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "key-bar--key",
        "key-bar--label",
        "key-bar--under",
    }

    under: reactive[Optional[int]] = reactive(None)
    """Index of the item under the mouse."""

    def __init__(self, commands: Iterable[Command]) -> None:
        """Show the keys of these commands; of others nothing, though they are bound."""
        super().__init__()
        self._actions = frozenset(command.action for command in commands if command.footer)
        self._bindings_shown: list[Binding] = []
        self._items: list[_Item] = []

    def on_mount(self) -> None:
        """Follow the cursor from pane to pane."""
        self.screen.bindings_updated_signal.subscribe(self, self._change)

    def render(self) -> RenderResult:
        """Draw the keys that there is room for."""
        key_style = self.get_component_rich_style("key-bar--key")
        label_style = self.get_component_rich_style("key-bar--label")
        self._items = self._laid_out(self.size.width)
        line = Text(no_wrap=True)
        for index, item in enumerate(self._items):
            line.pad_right(item.begin - line.cell_len)
            label = Text.assemble(
                (item.key, key_style), (f" {item.binding.description}", label_style)
            )
            if index == self.under:
                label.stylize(self.get_component_rich_style("key-bar--under"))
            line.append_text(label)
        return line

    def on_mouse_move(self, event: MouseMove) -> None:
        """Tell what is under the mouse."""
        self.under = self._at(event.x)
        self.tooltip = None if self.under is None else self._items[self.under].binding.tooltip

    def on_leave(self) -> None:
        """Note that the mouse left."""
        self.under = None

    def on_mouse_down(self, event: MouseDown) -> None:
        """Press the key that is under the mouse."""
        index = self._at(event.x)
        if index is not None:
            self.app.simulate_key(self._items[index].binding.key)

    def _change(self, screen: Screen[object]) -> None:
        # Of one action only the first key is shown.
        shown = {
            active.binding.action: active.binding
            for active in reversed(screen.active_bindings.values())
            if active.binding.show and active.enabled and active.binding.action in self._actions
        }
        bindings_shown = [*reversed(shown.values())]
        if bindings_shown != self._bindings_shown:
            self._bindings_shown, self.under = bindings_shown, None
            self.refresh()

    def _laid_out(self, width: int) -> list[_Item]:
        """The keys from left to right, without those that there is no room for."""
        bindings = list(self._bindings_shown)
        while bindings and self._width(bindings) > width:
            # Of equals the last goes first.
            del bindings[
                max(range(len(bindings)), key=lambda index: (_rank(bindings[index]), index))
            ]
        items: list[_Item] = []
        begin = 0
        for binding in bindings:
            end = begin + self._cells(binding)
            items.append(_Item(binding, self.app.get_key_display(binding), begin, end))
            begin = end + KEY_GAP
        return items

    def _width(self, bindings: list[Binding]) -> int:
        return sum(self._cells(binding) + KEY_GAP for binding in bindings) - KEY_GAP

    def _cells(self, binding: Binding) -> int:
        return cells_of(f"{self.app.get_key_display(binding)} {binding.description}")

    def _at(self, x: int) -> Optional[int]:
        hits = (index for index, item in enumerate(self._items) if item.begin <= x < item.end)
        return next(hits, None)


def _rank(binding: Binding) -> int:
    """The rank of a key when room runs out; the highest is left out first."""
    label = binding.description
    return _LAST_TO_GO.index(label) if label in _LAST_TO_GO else len(_LAST_TO_GO)
