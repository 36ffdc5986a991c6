"""Every key, declared once: bindings, footer and the list behind ``?`` all come from here."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from textual.binding import BindingType


class Command(NamedTuple):
    """Something a user can do with a key."""

    name: str
    """Its id: scope and word, a dot between, as ``timeline.pause``.

    Settings and texts name a command by it, so it stays when its label changes.
    """
    keys: str
    """Textual's names of the keys, comma between."""
    action: str
    label: str
    """For the footer; short."""
    help: str
    """For the list of keys."""
    shown: str = ""
    """How the keys are written for people; empty if as they are."""
    footer: bool = False
    priority: bool = False
    """Whether it comes before what the widget with the cursor does with the key.

    It also takes effect before the next key is looked at: a slow line delivers several at once.
    """

    @property
    def scope(self) -> str:
        """Where its keys work: ``anywhere``, ``main`` (no dialog open), or with the cursor there.

        Those places are ``timeline``, ``filter``, ``expression``, ``rules``, ``modules``, ``chain``
        and ``chain-screen``.
        """
        return self.name.partition(".")[0]

    @property
    def needs_node(self) -> bool:
        """Whether it can do nothing in a replay, where there is no node, and one pane alone."""
        return self.scope in ("rules", "modules") or self.name in _NEEDING_A_NODE

    @property
    def is_fixed(self) -> bool:
        """Whether its key can't be bound otherwise: what ends a trace must be where it is known."""
        return self.scope == "anywhere"


_NEEDING_A_NODE = frozenset((
    "main.add-rule", "anywhere.flush", "anywhere.flush-now", "main.guard", "main.arm",
    "main.threshold", "main.extend", "main.modules", "main.to-modules", "main.to-rules",
    "main.to-packets", "main.narrower", "main.wider", "main.maximise", "timeline.trace",
))  # fmt: skip

COMMANDS = (
    Command("main.add-rule", "a", "add_rule", "add rule", "add a TRACE rule", footer=True),
    Command(
        *("main.filter", "slash", "filter", "filter", "filter packets as you type", "/"),
        footer=True,
        priority=True,
    ),
    Command("anywhere.flush", "F", "app.flush", "FLUSH", "remove our rules at once", footer=True),
    Command(
        "anywhere.flush-now",
        "ctrl+f",
        "app.flush",
        "flush now",
        "remove our rules at once, also while typing",
        priority=True,
    ),
    Command(
        "main.guard",
        "g",
        "guard",
        "guard",
        "the guard: busiest flows, narrower rules, earlier trips",
    ),
    Command("main.arm", "A", "arm", "arm", "arm the guard again after it tripped"),
    Command("main.threshold", "T", "threshold", "threshold", "set the guard's threshold"),
    Command("main.extend", "e", "extend", "extend", "extend our rules by 10 minutes"),
    Command("main.modules", "m", "modules", "modules", "show or fold the modules", footer=True),
    Command("main.to-modules", "1", "pane('modules')", "to modules", "go to the modules"),
    Command("main.to-rules", "2", "pane('rules')", "to rules", "go to the TRACE rules"),
    Command("main.to-packets", "3", "pane('timeline')", "to packets", "go to the packets"),
    Command(
        "main.narrower",
        "less_than_sign",
        "resize(-4)",
        "narrower",
        "make the left side narrower",
        "<",
    ),
    Command(
        "main.wider", "greater_than_sign", "resize(4)", "wider", "make the left side wider", ">"
    ),
    Command("main.colours", "C", "app.change_theme", "colours", "choose colours"),
    Command(
        "main.maximise",
        "backslash",
        "maximise",
        "maximise",
        "show one pane on the whole screen",
        "\\",
    ),
    Command(
        "timeline.hops",
        "enter",
        "open",
        "hops",
        "show or hide a packet's hops; on a hop, its chain",
        footer=True,
    ),
    Command(
        "timeline.tested",
        "u",
        "tested",
        "tested",
        "show the rules that were evaluated but did not match",
    ),
    Command(
        "timeline.outline", "v", "outline", "outline", "a line for each hook, or one for each hop"
    ),
    Command("timeline.own-hops", "o", "own", "own hops", "show the hops of our own TRACE rules"),
    Command("timeline.times", "w", "times", "times", "show the time since the hop before"),
    Command(
        "timeline.compare",
        "c",
        "compare",
        "compare",
        "compare with the packet marked last, or mark it",
    ),
    Command("main.paths", "p", "paths", "paths", "group the packets by path"),
    Command(
        "timeline.this-flow",
        "equals_sign",
        "filter_by('flow')",
        "this flow",
        "show only this flow, both directions",
        "=",
    ),
    Command(
        "timeline.this-host",
        "at",
        "filter_by('host')",
        "this host",
        "show only packets from and to this packet's source",
        "@",
    ),
    Command("timeline.hide", "minus", "filter_by('hide')", "hide", "hide this flow", "-"),
    Command("timeline.mark", "x", "mark", "mark", "mark a packet, or take the mark away"),
    Command(
        "timeline.about", "i", "packet('about')", "about", "all header fields, and their bytes"
    ),
    Command(
        "timeline.trace",
        "t",
        "packet('trace')",
        "trace",
        "trace this flow, or more like it",
        footer=True,
    ),
    Command(
        "timeline.copy", "y", "packet('copy')", "copy", "copy a packet as text to the clipboard"
    ),
    Command(
        "timeline.next-drop", "d", "find_drop(1)", "next drop", "the next packet that was dropped"
    ),
    Command(
        "timeline.drop-before",
        "D",
        "find_drop(-1)",
        "drop before",
        "the previous packet that was dropped",
    ),
    Command("timeline.find", "f", "find", "find", "find a text in packets, hops and rules"),
    Command(
        "timeline.next-found", "n", "find_next(1)", "next found", "the next match of that text"
    ),
    Command("timeline.found-before", "N", "find_next(-1)", "found before", "the previous match"),
    Command(
        "timeline.unfold",
        "right,l",
        "unfold",
        "unfold",
        "show the hops of a packet, of a hook",
        "→ l",
    ),
    Command(
        "timeline.fold", "left,h", "fold", "fold", "hide the hops of a hook, of a packet", "← h"
    ),
    Command("timeline.up", "up,k", "move(-1)", "up", "up; stops following", "↑ k"),
    Command("timeline.down", "down,j", "move(1)", "down", "down", "↓ j"),
    Command("timeline.page-up", "pageup", "page(-1)", "page up", "a page up", "PgUp"),
    Command("timeline.page-down", "pagedown", "page(1)", "page down", "a page down", "PgDn"),
    Command("timeline.first", "home", "first", "first", "the oldest packet", "Home"),
    Command(
        "timeline.follow", "end,G", "follow", "follow", "the newest packet, and follow", "End G"
    ),
    Command(
        "timeline.pause",
        "space",
        "pause",
        "pause",
        "freeze the list; nothing is lost",
        footer=True,
    ),
    Command("chain.up", "up,k", "move(-1)", "up", "up", "↑ k"),
    Command("chain.down", "down,j", "move(1)", "down", "down", "↓ j"),
    Command("chain.page-up", "pageup", "page(-1)", "page up", "a page up", "PgUp"),
    Command("chain.page-down", "pagedown", "page(1)", "page down", "a page down", "PgDn"),
    Command("chain.first", "home", "first", "first", "the first rule", "Home"),
    Command("chain.last", "end,G", "last", "last", "the end of the chain", "End G"),
    Command(
        "chain.follow",
        "enter,right,l",
        "follow",
        "follow",
        "go to the chain that the rule jumps to",
        "Enter → l",
    ),
    Command(
        "chain-screen.back",
        "backspace,left,h,escape,q",
        "back",
        "back",
        "go back to the previous chain",
        "← Esc",
    ),
    Command("modules.about", "i", "about", "about", "all details of the module", footer=True),
    Command("modules.sort", "s", "sort", "sort", "sort by name, size or references", footer=True),
    Command(
        "modules.reverse",
        "r",
        "reverse",
        "users/needs",
        "unfold into users of a module, or into what it needs",
        footer=True,
    ),
    Command("modules.unfold", "right", "unfold", "unfold", "unfold a module; so does Enter", "→"),
    Command("modules.fold", "left", "fold", "fold", "fold it, or go to the one above it", "←"),
    Command("modules.find", "slash", "find", "find", "find modules by a part of their name", "/"),
    Command("modules.load", "l", "load", "load", "load a module that tracing needs (asks first)"),
    Command("filter.packets", "down", "leave", "packets", "to the packets", "↓ Enter", footer=True),
    Command(
        "expression.before", "up", "earlier", "before", "the previous expression", "↑", footer=True
    ),
    Command(
        "expression.after", "down", "later", "after", "the next expression, then the packets", "↓"
    ),
    Command(
        "filter.clear", "escape", "screen.clear", "clear", "clear and leave", "Esc", footer=True
    ),
    Command("rules.extend", "e", "extend", "extend", "extend this rule by 10 minutes", footer=True),
    Command(
        "rules.delete", "d,delete", "delete", "delete", "delete the rule", "d Del", footer=True
    ),
    Command(
        "main.export", "ctrl+s", "export", "export", "write packets to a file or the clipboard"
    ),
    Command("main.log", "L", "app.log", "log", "all notices"),
    Command("main.clear", "escape", "clear", "clear", "clear the filter, then the marks", "Esc"),
    Command("main.keys", "question_mark", "app.keys", "keys", "this list", "?", footer=True),
    Command("main.quit", "q", "app.quit", "quit", "remove our rules and quit", footer=True),
    Command("anywhere.next", "tab", "app.focus_next", "next", "next pane or field", priority=True),
    Command(
        *(
            "anywhere.previous",
            "shift+tab",
            "app.focus_previous",
            "previous",
            "previous pane or field",
        ),
        shown="Shift+Tab",
        priority=True,
    ),
    Command(
        "anywhere.palette", "ctrl+p", "app.command_palette", "palette", "every command, by its name"
    ),
    Command(
        "anywhere.quit", "ctrl+c", "app.quit", "quit", "remove our rules and quit", priority=True
    ),
)

SCOPES = {
    "main": "Everywhere",
    "anywhere": "Also in dialogs",
    "timeline": "In the packets",
    "filter": "In the filter",
    "expression": "In the filter's expression (Tab leads there, → completes)",
    "rules": "In the TRACE rules",
    "modules": "In the modules",
    "chain": "In a chain",
    "chain-screen": "",
}


def offered(is_replay: bool) -> list[Command]:
    """The commands that can work: what footer, list of keys and palette show."""
    return [command for command in COMMANDS if not (is_replay and command.needs_node)]


def bindings(scope: str) -> list[BindingType]:
    """Textual's bindings of one scope."""
    # The man page is made of the table too, and needs no Textual.
    from textual.binding import Binding

    return [
        Binding(
            command.keys,
            command.action,
            command.label,
            show=command.footer,
            key_display=command.shown.split()[0] if command.shown else None,
            priority=command.priority,
            tooltip=command.help,
            id=None if command.is_fixed else command.name,
        )
        for command in COMMANDS
        if command.scope == scope
    ]
