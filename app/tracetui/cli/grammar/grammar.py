"""The command line as data, read from its parser: what completions and the man page are made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tracetui.cli.grammar.arguments import Argument
from tracetui.cli.grammar.manual import Page
from tracetui.cli.grammar.usage import Parser
from tracetui.model.tracing.rule_fields import RULE_CHAINS, RULE_PROTOCOLS

FILE_NAMES, NAMESPACE_NAMES, INTERFACE_NAMES, MODULE_NAMES = (
    "files",
    "namespaces",
    "interfaces",
    "modules",
)
"""Kinds of values that a shell finds on the node."""
_VALUE_KINDS = {
    "FILE": FILE_NAMES, "NAME|PATH|PID": NAMESPACE_NAMES,
    "IFACE": INTERFACE_NAMES, "NAME|FILE": MODULE_NAMES,
}  # fmt: skip
"""By the name of the value in the help."""
_VALUE_WORDS = {
    "PREROUTING|OUTPUT": RULE_CHAINS,
    "PROTO": RULE_PROTOCOLS,
    "N/second|none": ("1/second", "20/second", "100/second", "none"),
    "10m|none": ("1m", "10m", "1h", "none"),
    "N|max": ("1", "10", "max"),
    "SIZE": ("10M", "100M", "1G"),
}


class Value(NamedTuple):
    """The value of an option, or an operand."""

    name: str
    """Name in the help; empty for an option without a value."""
    words: tuple[str, ...] = ()
    """Words to offer."""
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


class CommandGrammar(NamedTuple):
    """A command, with what may stand behind it."""

    name: str
    """All words of the command: ``tracetui rules add``."""
    page: Page
    usage: str
    options: tuple[Option, ...]
    operands: tuple[Value, ...]
    below: tuple[str, ...]
    """The words that call the commands below it."""

    @property
    def valued(self) -> list[str]:
        """The flags of the options that take a value."""
        return [flag for option in self.options if option.value.name for flag in option.flags]


def commands(top: Parser) -> Iterator[CommandGrammar]:
    """All commands, the whole program first."""
    for parser in top.all():
        options = tuple(_option(argument) for argument in parser.arguments if argument.flags)
        operands = tuple(_value(argument) for argument in parser.arguments if not argument.flags)
        usage = parser.format_usage().removeprefix("usage: ").rstrip()
        yield CommandGrammar(
            parser.prog, parser.page, usage, options, operands, tuple(parser.commands)
        )


def _option(argument: Argument) -> Option:
    about = argument.action.help or ""
    return Option(argument.flags, about, _value(argument), argument.title, argument.repeats)


def _value(argument: Argument) -> Value:
    if not argument.takes_value:
        return Value("")
    name, action = argument.metavar, argument.action
    words = argument.words or tuple(_VALUE_WORDS.get(name, ()))
    kind, about = _VALUE_KINDS.get(name, ""), action.help or ""
    group = "" if argument.flags else argument.title
    return Value(name, words, kind, about, action.nargs == "+", group)
