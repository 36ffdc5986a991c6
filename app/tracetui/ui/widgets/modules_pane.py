"""The loaded kernel modules as a tree in both directions, and what tracing needs of them."""

from __future__ import annotations

from typing import Optional, Union

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input, Static, Tree
from textual.widgets.tree import TreeNode

from tracetui.errors import TracetuiError
from tracetui.model.node.module import Module, ModuleTree
from tracetui.model.node.module_order import MODULE_ORDERS
from tracetui.model.node.needs import MISSING, ON_DISK, Need
from tracetui.session.node import modules
from tracetui.session.node.module_reader import ModuleListing, ModuleReader
from tracetui.session.text.sanitize import sanitize
from tracetui.session.text.width import padded, shown
from tracetui.ui.commands import bindings
from tracetui.ui.keymap import Keymap
from tracetui.ui.widgets.field import Field

MODULES_REFRESH_SECONDS = 5.0
UNFOLDED_LEVELS = 12
"""Levels that unfold: Used-by can't be circular in a sound kernel, but a file may lie."""
NEEDS = "needs"
"""Data of the tree node of the checklist."""

Entry = Union[Module, Need, str]


class ModulesTree(Tree[Entry]):
    """Textual's, with the arrows left to the pane: they unfold, and nothing scrolls sideways."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> Optional[bool]:
        """Leave left and right to the pane."""
        return action not in ("scroll_left", "scroll_right")


class ModulesPane(Vertical):
    """A tree of modules, netfilter's first; a kernel without loadable modules says so."""

    BINDINGS = bindings("modules")

    class ModuleRequested(Message):
        """The user wants to see everything known of a module."""

        def __init__(self, tree: ModuleTree, module: Module) -> None:
            super().__init__()
            self.tree = tree
            self.module = module

    class LoadRequested(Message):
        """The user wants a module that tracing needs loaded."""

        def __init__(self, need: Need) -> None:
            super().__init__()
            self.need = need

    def __init__(self, reader: ModuleReader, keymap: Keymap) -> None:
        super().__init__(id="modules")
        self._keymap = keymap
        self.border_title = "Modules"
        self._reader = reader
        self._order = MODULE_ORDERS[0]
        self._is_reversed = False
        self._name_part = ""
        self._sentence_text = ""
        self._is_read = False
        self._shown: object = None
        self._listing = ModuleListing(ModuleTree(()), True, 0, ())
        # Kept, not looked up: while the program ends, a timer may still find them gone.
        self._tree = ModulesTree("modules", id="tree")
        self._sentence = Static("", id="sentence", markup=False)
        self._find = Field(placeholder="find a module", id="find", max_length=64)

    def compose(self) -> ComposeResult:
        """Lay out the tree, the sentence above it, and where a name is looked for."""
        # Before they have styles, which depend on it.
        self._is_read = self._read()
        yield self._sentence
        yield self._tree
        yield self._find

    def on_mount(self) -> None:
        """Show the modules and keep looking."""
        tree = self._tree
        tree.show_root = False
        tree.guide_depth = 2
        if self._is_read:
            self._show()
        self.set_interval(MODULES_REFRESH_SECONDS, self.look)

    def look(self) -> None:
        """Read the modules again and show them if anything is new."""
        if self._read():
            self._show()

    def _read(self) -> bool:
        """Read the modules; False, and the reason is said, if they can't be read."""
        try:
            self._listing = self._reader.read()
        except TracetuiError as error:
            self._say(str(error))
            return False
        if not self._listing.is_loadable:
            self._say(modules.NO_MODULES)
        return True

    @property
    def needs(self) -> tuple[Need, ...]:
        """The parts that tracing needs of this kernel, as last read."""
        return self._listing.needs

    def action_sort(self) -> None:
        """Sort by the next of the orders."""
        self._order = MODULE_ORDERS[(MODULE_ORDERS.index(self._order) + 1) % len(MODULE_ORDERS)]
        self._show()

    def action_reverse(self) -> None:
        """Unfold modules into what they need instead of what uses them, or back."""
        self._is_reversed = not self._is_reversed
        self._show()

    def action_unfold(self) -> None:
        """Unfold what is under the cursor; where it is unfolded, go to the first below it."""
        node = self._tree.cursor_node
        if node is not None and node.allow_expand and not node.is_expanded:
            node.expand()
        elif node is not None and node.children:
            self._tree.move_cursor(node.children[0])

    def action_fold(self) -> None:
        """Fold what is under the cursor; where it is folded, go to what it stands under."""
        node = self._tree.cursor_node
        if node is None:
            return
        if node.is_expanded and node.allow_expand:
            node.collapse()
        elif node.parent is not None and node.parent is not self._tree.root:
            self._tree.move_cursor(node.parent)

    def action_find(self) -> None:
        """Look for modules by a part of their name."""
        self.add_class("-finding")
        self._find.focus()

    def action_about(self) -> None:
        """Show everything that is known of what is under the cursor."""
        node = self._tree.cursor_node
        if node is not None and isinstance(node.data, Module):
            self.post_message(self.ModuleRequested(self._listing.tree, node.data))
        elif node is not None and isinstance(node.data, Need):
            need = node.data
            self.notify(
                f"{need.part.name} · {modules.need_state(need)}: {need.part.what_for}", markup=False
            )

    def action_load(self) -> None:
        """Ask for the part of what tracing needs under the cursor."""
        node = self._tree.cursor_node
        if node is not None and isinstance(node.data, Need):
            self.post_message(self.LoadRequested(node.data))

    @on(Input.Changed, "#find")
    def _narrow(self, event: Input.Changed) -> None:
        event.stop()
        self._name_part = event.value.strip().lower()
        self._show()

    @on(Input.Submitted, "#find")
    def leave_find(self) -> None:
        """Go from the name that is looked for to what was found."""
        self._tree.focus()
        self.set_class(bool(self._name_part), "-finding")

    def clear_find(self) -> bool:
        """Show all modules again; False if they are shown."""
        if not self.has_class("-finding"):
            return False
        self._find.value = ""
        self.remove_class("-finding")
        self._tree.focus()
        return True

    def on_tree_node_expanded(self, event: Tree.NodeExpanded[Entry]) -> None:
        """Put a module's users, or what it needs, under it the first time it unfolds."""
        node = event.node
        if isinstance(node.data, Module) and not node.children:
            self._add_modules(node, self._below(node.data))

    def _say(self, sentence: str) -> None:
        if sentence != self._sentence_text:
            self._sentence_text = sentence
            self._sentence.update(sanitize(sentence))
        self.set_class(True, "-no-modules")

    def _show(self) -> None:
        """Build the tree anew if it has changed; what was unfolded and the cursor stay."""
        listing = self._listing
        chosen = [
            module
            for module in listing.tree.sorted_by(self._order)
            if self._name_part in module.name.lower()
        ]
        now = (chosen, listing.needs, self._is_reversed)
        if now == self._shown:
            return
        self._shown = now
        self._count(len(chosen))
        tree = self._tree
        unfolded = {_name(node) for node in tree.root.children if node.is_expanded}
        line = tree.cursor_line
        tree.clear()
        if listing.needs and not self._name_part:
            self._add_needs(tree.root, listing.needs)
        self._add_modules(tree.root, chosen)
        for node in tree.root.children:
            if _name(node) in unfolded:
                node.expand()
        tree.root.expand()
        tree.cursor_line = max(line, 0)

    def _count(self, chosen: int) -> None:
        """Say how many there are: folded to a strip only the title is in sight."""
        total = len(self._listing.tree)
        loaded = "loaded" if self._listing.is_loadable else "built in"
        count = f"{chosen} of {total}" if self._name_part else f"{total}"
        lacking = sum(need.state in (MISSING, ON_DISK) for need in self._listing.needs)
        self.border_title = (
            f"Modules · {count} {loaded}{f' · {lacking} not loaded' if lacking else ''}"
        )
        order = "" if self._order == MODULE_ORDERS[0] else f"by {self._order} · "
        self.border_subtitle = f"{order}{'depends on' if self._is_reversed else 'used by'}"

    def _below(self, module: Module) -> list[Module]:
        tree = self._listing.tree
        return tree.needs(module) if self._is_reversed else tree.users(module)

    def _add_needs(self, parent: TreeNode[Entry], needs: tuple[Need, ...]) -> None:
        there = sum(need.is_there for need in needs)
        is_complete = there == len(needs)
        label = Text(f"{'●' if is_complete else '○'} what tracing needs ", style="bold")
        label.append(f"{there}/{len(needs)}", style="dim" if is_complete else "bold")
        node = parent.add(label, data=NEEDS)
        for need in needs:
            text = Text(f"{modules.mark_of(need)} {padded(need.part.name, 15)} ")
            state = "not loaded · {modules.load} loads" if need.state == ON_DISK else need.state
            state = self._keymap.with_keys(state)
            node.add_leaf(text.append(state, style="dim"), data=need)

    def _add_modules(self, parent: TreeNode[Entry], children: list[Module]) -> None:
        depth, above = 0, parent
        while above.parent is not None:
            depth, above = depth + 1, above.parent
        for module in children:
            unfolds = bool(self._below(module)) and depth < UNFOLDED_LEVELS
            # The tree draws a mark of two cells before what unfolds, and nothing before a leaf.
            label = Text("" if unfolds else "  ") + self._label(module, depth)
            parent.add(label, data=module, allow_expand=unfolds)

    def _label(self, module: Module, depth: int) -> Text:
        if module.is_built_in:
            return Text(shown(module.name, 26)).append(f" {module.state}".lower(), style="dim")
        width = max(10, 19 - 2 * depth)
        name = padded(shown(module.name, width), width)
        size = modules.size_text(module.size) if module.size else ""
        text = Text(name, style="bold" if module.is_netfilter and not depth else "")
        text.append(f" {size:>9} {modules.references_text(module):>3}", style="dim")
        note = modules.note(module)
        return text.append(f" {shown(note, width)}") if note else text


def _name(node: TreeNode[Entry]) -> object:
    return node.data.name if isinstance(node.data, Module) else node.data
