"""The command line as data, read from its parser: what completions and the man page are made of."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import NamedTuple

from tracetui.cli.manual import Page
from tracetui.cli.usage import Parser
from tracetui.model.rule_fields import CHAINS, PROTOCOLS

FILES, NAMESPACES, INTERFACES, MODULES = "files", "namespaces", "interfaces", "modules"
"""Kinds of values that a shell finds on the node."""
_KINDS = {
    "FILE": FILES, "NAME|PATH|PID": NAMESPACES, "IFACE": INTERFACES, "NAME": MODULES,
}  # fmt: skip
"""By the name of the value in the help."""
_WORDS = {
    "PREROUTING|OUTPUT": CHAINS,
    "PROTO": PROTOCOLS,
    "N/second|none": ("1/second", "20/second", "100/second", "none"),
    "10m|none": ("1m", "10m", "1h", "none"),
    "N|max": ("1", "10", "max"),
    "SIZE": ("10M", "100M", "1G"),
}


class Value(NamedTuple):
    """What may stand behind an option, or by itself."""

    name: str
    """As the help calls it; empty for an option that takes none."""
    words: tuple[str, ...] = ()
    """Those worth offering."""
    kind: str = ""
    """``files`` and so on, where the node has them."""
    about: str = ""
    repeats: bool = False
    group: str = ""
    """The title it stands under, where it stands by itself."""


class Option(NamedTuple):
    """An option of a command."""

    flags: tuple[str, ...]
    about: str
    value: Value
    group: str
    """The title it stands under."""
    repeats: bool
    """Whether it makes sense more than once."""


class Command(NamedTuple):
    """A command, with what may stand behind it."""

    name: str
    """All words that call it: ``tracetui rules add``."""
    page: Page
    usage: str
    options: tuple[Option, ...]
    operands: tuple[Value, ...]
    below: tuple[str, ...]
    """The words that call the commands below it."""

    @property
    def valued(self) -> list[str]:
        """The flags of the options that take a value."""
        return [flag for one in self.options if one.value.name for flag in one.flags]


def commands(top: Parser) -> Iterator[Command]:
    """All of them, the whole program first."""
    for one in top.all():
        options, operands, below = [], [], []
        for group in one._action_groups:
            for action in group._group_actions:
                if isinstance(action, argparse._SubParsersAction):
                    below += list(action.choices)
                elif action.option_strings:
                    options.append(_option(action, group.title or ""))
                else:
                    operands.append(_value(action, group.title or ""))
        usage = one.format_usage().removeprefix("usage: ").rstrip()
        yield Command(one.prog, one.page, usage, tuple(options), tuple(operands), tuple(below))


def _option(action: argparse.Action, group: str) -> Option:
    repeats = isinstance(action, argparse._AppendAction)
    return Option(tuple(action.option_strings), action.help or "", _value(action), group, repeats)


def _value(action: argparse.Action, group: str = "") -> Value:
    if action.nargs == 0:
        return Value("")
    name = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    words = tuple(action.choices or _WORDS.get(name, ()))
    kind, about = _KINDS.get(name, ""), action.help or ""
    return Value(name, words, kind, about, action.nargs == "+", group)
