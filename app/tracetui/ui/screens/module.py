"""Everything that is known of one kernel module."""

from __future__ import annotations

import asyncio

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tracetui.model.node.module import Module, ModuleTree
from tracetui.session.node import modules
from tracetui.session.node.module_reader import ModuleReader
from tracetui.session.text.sanitize import sanitize
from tracetui.ui.commands import bindings


class ModuleScreen(ModalScreen[None]):
    """A module's users and dependencies, its state, version and parameters."""

    BINDINGS = [  # noqa: RUF012 - as Textual has it
        *bindings("anywhere"),
        Binding("escape,enter,i,q", "dismiss(None)", "close"),
    ]

    def __init__(self, reader: ModuleReader, tree: ModuleTree, module: Module) -> None:
        super().__init__()
        self._reader = reader
        self._tree = tree
        self._module = module

    def compose(self) -> ComposeResult:
        """Lay out the lines; they come when modinfo has answered."""
        with Vertical(id="module") as box:
            box.border_title = sanitize(self._module.name)
            box.border_subtitle = "Esc closes"
            with VerticalScroll(id="module-lines"):
                yield Static("asking modinfo…", id="module-text", markup=False)

    async def on_mount(self) -> None:
        """Ask beside the screen: modinfo reads the disk."""
        self.run_worker(self._fill(), exclusive=True)

    async def _fill(self) -> None:
        facts = await asyncio.to_thread(self._reader.facts, self._module)
        lines = modules.about(self._tree, self._module, facts)
        self.query_one("#module-text", Static).update("\n".join(map(sanitize, lines)))
