"""``tracetui man``: the manual as a man page (man(7), groff_man(7))."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from tracetui import __version__
from tracetui.cli.grammar import manual, roff
from tracetui.cli.grammar.grammar import CommandGrammar, Option, commands
from tracetui.cli.grammar.usage import HELP
from tracetui.ui.commands import COMMANDS, SCOPES
from tracetui.ui.keymap import written

_USUAL_DIRECTORY = Path("/usr/local/bin")
Described = tuple[str, str]
"""An option as it is typed, and what is told of it."""


def run(options: argparse.Namespace) -> int:
    """Print it; the exit status."""
    print("\n".join(_page(tuple(commands(options.parser.top)))))
    return 0


def _page(all_commands: Sequence[CommandGrammar]) -> Iterator[str]:
    top, *below = all_commands
    yield f'.TH TRACETUI 8 "" "tracetui {__version__}"'
    yield from _section("NAME", [f"tracetui \\- {roff.text(top.page.summary)}"])
    yield from _section("SYNOPSIS", _synopsis(all_commands))
    yield from _section("DESCRIPTION", roff.paragraphs([*top.page.more, *manual.SAFETY]))
    yield from _section("PRIVILEGES", _privileges())
    yield from _section("COMMANDS", _commands(below))
    yield from _section("OPTIONS", _options(all_commands))
    yield from _section("FILTERS", roff.paragraphs(manual.FILTERS))
    yield from _section("KEYS", _keys())
    yield from _section("FILES", _entries(manual.OWN_FILES))
    yield from _section("ENVIRONMENT", _entries(manual.ENVIRONMENT))
    yield from _section("EXIT STATUS", _statuses(below))
    yield from _section("EXAMPLES", _examples(all_commands))
    yield from _section("SEE ALSO", [roff.text(", ".join(manual.SEE_ALSO))])


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield f".SH {title}"
    yield from lines


def _synopsis(all_commands: Iterable[CommandGrammar]) -> Iterator[str]:
    for command in all_commands:
        for line in command.usage.splitlines():
            words = line.strip().removeprefix(command.name)
            if line.strip() != words:
                yield f"\\fB{roff.text(command.name)}\\fR{roff.text(words)}"
                yield ".br"


def _privileges() -> Iterator[str]:
    directory = (
        Path(sys.argv[0]).absolute().parent
        if sys.argv[0].endswith("tracetui")
        else _USUAL_DIRECTORY
    )
    yield from roff.paragraphs(manual.PRIVILEGES)
    line = manual.SUDOERS.line.format(directory=directory)
    yield from roff.example(manual.SUDOERS.purpose, line)
    yield from roff.paragraphs(manual.TRUST)


def _commands(below: Iterable[CommandGrammar]) -> Iterator[str]:
    for command in below:
        yield roff.heading(command.usage)
        yield from roff.paragraphs([command.page.about, *command.page.more])


def _options(all_commands: Iterable[CommandGrammar]) -> Iterator[str]:
    """Each once, with the commands that have it, under the first title it stands under."""
    titles: dict[Described, str] = {}
    names: dict[Described, list[str]] = {}
    for command in all_commands:
        described_options = [
            (argument.group, (_flags(argument), argument.about)) for argument in command.options
        ]
        described_options += [
            (argument.group, (argument.name, argument.about)) for argument in command.operands
        ]
        for title, described in described_options:
            titles.setdefault(described, title)
            names.setdefault(described, []).append(command.name.removeprefix("tracetui "))
    for title in sorted(set(titles.values()), key=[*titles.values()].index):
        group = [argument for argument in titles if titles[argument] == title]
        shared = (
            names[group[0]]
            if all(names[argument] == names[group[0]] for argument in group)
            else None
        )
        yield roff.heading(title[0].upper() + title[1:])
        yield from roff.paragraphs([f"Of {', '.join(shared)}:"] if shared else [])
        for name, about in group:
            is_told = shared or title == HELP
            where = "" if is_told else f" ({', '.join(names[name, about])})"
            yield from roff.entry(name, f"{about}{where}")


def _flags(option: Option) -> str:
    value = f" {option.value.name}" if option.value.name else ""
    return ", ".join(option.flags) + value


def _keys() -> Iterator[str]:
    for scope, title in SCOPES.items():
        if title:
            yield roff.heading(title)
        for command in COMMANDS:
            if command.scope == scope:
                yield from roff.entry(written(command), command.help)


def _entries(texts: Mapping[str, str]) -> Iterator[str]:
    for name, about in texts.items():
        yield from roff.entry(name, about)


def _statuses(below: Iterable[CommandGrammar]) -> Iterator[str]:
    for status, about in manual.STATUSES.items():
        yield from roff.entry(str(status), about)
    yield from roff.entry("128+n", manual.ENDED)
    for command in below:
        if command.page.statuses != manual.STATUSES:
            statuses = "; ".join(
                f"{status} {text}" for status, text in command.page.statuses.items()
            )
            yield from roff.paragraphs([f"`{command.name}`: {statuses}."])


def _examples(all_commands: Iterable[CommandGrammar]) -> Iterator[str]:
    for command in all_commands:
        yield roff.heading(command.name)
        for example in command.page.examples:
            yield from roff.example(example.purpose, example.line)
