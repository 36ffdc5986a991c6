"""The loaded kernel modules, each unfolding into those that use it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static, Tree
from textual.widgets.tree import TreeNode

from tracetui.errors import TracetuiError
from tracetui.model.modules import Module, ModuleTree
from tracetui.parse import proc_modules
from tracetui.session import modules
from tracetui.session.cells import padded, shown
from tracetui.session.inert import inert

REFRESH_SECONDS = 5.0
DEPTH = 12
"""Levels that unfold: Used-by can't be circular in a sound kernel, but a file may lie."""


class ModulesPane(Vertical):
    """A tree of modules, netfilter's first; a kernel without loadable modules says so."""

    ALLOW_MAXIMIZE = True

    def __init__(self, read: Callable[[], Optional[str]], widget_id: str) -> None:
        super().__init__(id=widget_id)
        self.border_title = "Modules"
        self._read = read
        self._shown: Optional[str] = None
        self._tree = ModuleTree(())

    def compose(self) -> ComposeResult:
        """Lay out the tree and the sentence that stands in its place."""
        yield Tree[Module]("modules", id="tree")
        yield Static("", id="sentence", markup=False)

    def on_mount(self) -> None:
        """Show the modules and keep looking."""
        tree = self.query_one("#tree", Tree)
        tree.show_root = False
        tree.guide_depth = 2
        self.look()
        self.set_interval(REFRESH_SECONDS, self.look)

    def look(self) -> None:
        """Read the modules again and show them if anything is new."""
        try:
            text = self._read()
        except TracetuiError as error:
            self._say(str(error))
            return
        if text is None:
            self._count("none loadable")
            self._say(modules.NO_MODULES)
        elif text != self._shown:
            self._shown = text
            self._fill(text)

    def on_tree_node_expanded(self, event: Tree.NodeExpanded[Module]) -> None:
        """Put a module's users under it the first time it unfolds."""
        module = event.node.data
        if module is not None and not event.node.children:
            self._add(event.node, self._tree.users(module))

    def _count(self, text: str) -> None:
        """Say how many there are: folded to a strip only the title is in sight."""
        self.border_title = f"Modules · {text}"

    def _say(self, sentence: str) -> None:
        self.query_one("#sentence", Static).update(inert(sentence))
        self.set_class(True, "-no-modules")

    def _fill(self, text: str) -> None:
        """Build the tree anew; what was unfolded at its top and the cursor stay."""
        tree = self.query_one("#tree", Tree)
        self.set_class(False, "-no-modules")
        self._tree = ModuleTree(proc_modules.parse(text).modules)
        self._count(f"{len(self._tree)} loaded")
        unfolded = {
            node.data.name
            for node in tree.root.children
            if node.is_expanded and node.data is not None
        }
        line = tree.cursor_line
        tree.clear()
        self._add(tree.root, self._tree.modules)
        for node in tree.root.children:
            if node.data is not None and node.data.name in unfolded:
                node.expand()
        tree.root.expand()
        tree.cursor_line = line

    def _add(self, parent: TreeNode[Module], found: list[Module]) -> None:
        depth, above = 0, parent
        while above.parent is not None:
            depth, above = depth + 1, above.parent
        for module in found:
            has_users = bool(module.used_by) and depth < DEPTH
            # The tree draws a mark of two cells before what unfolds, and nothing before a leaf.
            label = Text("" if has_users else "  ") + self._label(module, depth)
            parent.add(label, data=module, allow_expand=has_users)

    def _label(self, module: Module, depth: int) -> Text:
        width = max(10, 19 - 2 * depth)
        name = padded(shown(module.name, width), width)
        size = modules.size_text(module.size) if module.size else ""
        text = Text(name, style="bold" if module.is_netfilter and not depth else "")
        text.append(f" {size:>9} {modules.references_text(module):>3}", style="dim")
        note = modules.note(module)
        return text.append(f" {shown(note, width)}") if note else text
