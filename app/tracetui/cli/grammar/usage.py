"""The parser of one command: help that reads like a manual, and plain words for what is wrong."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn, Optional

from tracetui.cli.grammar import help_text
from tracetui.cli.grammar.arguments import Argument, Group
from tracetui.cli.grammar.help_text import HelpEntry
from tracetui.cli.grammar.manual import PAGES, Page
from tracetui.model.tracing.rule_fields import RULE_PROTOCOLS
from tracetui.session.text.sanitize import sanitize

HELP = "help"
"""Title of the options that only print."""
_IPTABLES_OPTIONS = {
    "--protocol": "-p", "--proto": "-p", "--source-port": "--sport", "--sports": "--sport",
    "--src": "-s", "--dst": "-d", "--destination": "-d", "--destination-port": "--dport",
    "--dports": "--dport", "--in-interface": "-i", "--out-interface": "-o", "--ipv4": "-4",
    "--ipv6": "-6", "-A": "--chain", "-I": "--chain",
}  # fmt: skip
"""Options of iptables(8) that have other names here."""
_TCPDUMP_WORDS = (
    "ether",
    "host",
    "net",
    "port",
    "portrange",
    "src",
    "dst",
    "ip",
    "ip6",
    *RULE_PROTOCOLS,
)
"""First words of tcpdump's filters (pcap-filter(7))."""
_PLAINER = (
    (
        re.compile(r"argument (\S+): not allowed with argument (\S+)"),
        r"\1 and \2 exclude each other",
    ),
    (re.compile(r"the following arguments are required: (.*)"), r"\1 is missing"),
    (re.compile(r"argument (\S+): ignored explicit argument .*"), r"\1 takes no value"),
    (re.compile(r"argument (\S+): (.*)", re.DOTALL), r"\1: \2"),
)
"""argparse's words, and ours for the same."""
_EXPECTED = re.compile(r"argument (\S+): expected .*argument")


class Parser(argparse.ArgumentParser):
    """The options of one command; ``page`` tells of it.

    What is parsed has the parser of the command that was typed as ``parser``. Of argparse only what
    its documentation names is used: the rest changes from Python to Python.
    """

    def __init__(self, prog: str, operands: str = "", top: Optional[Parser] = None) -> None:
        """``operands`` stand behind the options in the line on usage."""
        super().__init__(prog=prog, allow_abbrev=False, add_help=False)
        self.page: Page = PAGES[prog]
        self.top = top or self
        """The parser of the whole command line."""
        self.arguments: list[Argument] = []
        self.commands: dict[str, Parser] = {}
        """Subcommands by their names."""
        self._line = f"usage: {prog} [OPTIONS]{' ' if operands else ''}{operands}\n"
        self._commands_title = self._commands_name = ""
        self._groups: dict[str, Group] = {}
        self._titles: list[str] = []
        """In the order of the help."""
        self.set_defaults(parser=self)

    def group(self, title: str) -> Group:
        """The options under one title."""
        if title not in self._groups:
            self._titles.append(title)
            self._groups[title] = Group(title, self.arguments, self.add_argument_group(title))
        return self._groups[title]

    def add_help_flag(self) -> None:
        """Add -h, which is the last of the options."""
        self.group(HELP).add_argument("-h", "--help", action="help", help="show this and exit")

    def add_commands(self, title: str, name: str) -> None:
        """Have commands below this one; ``name`` is what one of them is called."""
        self._titles.append(title)
        self._commands_title, self._commands_name = title, name

    def add_command(self, name: str, operands: str = "") -> Parser:
        """A command below this one, told of by its page."""
        self.commands[name] = Parser(f"{self.prog} {name}", operands, self.top)
        return self.commands[name]

    def flags(self) -> list[str]:
        """Every option as it is typed."""
        return [flag for argument in self.arguments for flag in argument.flags]

    def format_usage(self) -> str:
        """The line on usage."""
        return self._line

    def format_help(self) -> str:
        """The help, as wide as the terminal but no wider than help_text.WIDTH."""
        lists = {title: list(self._entries(title)) for title in self._titles}
        paragraphs = [self.page.about, *self.page.more]
        return help_text.written(self._line, paragraphs, lists, _epilog(self.page))

    def _entries(self, title: str) -> Iterable[HelpEntry]:
        if title == self._commands_title:
            for name, command in self.commands.items():
                yield HelpEntry(name, command.page.summary, 4)
        for argument in self.arguments:
            if argument.title == title:
                value = argument.metavar if argument.takes_value else ""
                typed = " ".join(filter(None, [", ".join(argument.flags), value]))
                yield HelpEntry(typed, argument.action.help or "")

    def parse_known_args(  # type: ignore[override]
        self, args: Optional[Sequence[str]] = None, namespace: Optional[argparse.Namespace] = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse; what is not known ends it, in the words of the command that it was typed for."""
        words = sys.argv[1:] if args is None else list(args)
        own = self._look_at_options(words)
        parsed, unknown = super().parse_known_args(words[:own], namespace)
        if unknown:
            self.error(f"{unknown[0]!r} is not expected here{self._about_rules()}")
        if own < len(words):
            below = self._command(words[own]).parse_args(words[own + 1 :])
            for name, value in vars(below).items():
                setattr(parsed, name, value)
        return parsed, []

    def error(self, message: str) -> NoReturn:
        """Say in one line what is wrong and where help is; exit status 2."""
        first, *shown = self._plainer(message).split("\n")
        lines = [f"{self.prog}: {first}; see {self.prog} --help", *shown]
        self.exit(2, "".join(f"{sanitize(line)}\n" for line in lines))

    def _command(self, name: str) -> Parser:
        """The command of that name below this one; ends with 2 where there is none."""
        if name not in self.commands:
            self.error(f"no {self._commands_name.lower()} {name!r}{self._about_name(name)}")
        return self.commands[name]

    def _about_name(self, name: str) -> str:
        """A hint for an unknown command."""
        names = list(self.commands)
        hint = _meant(name, names) or f" (one of {', '.join(names)})"
        # Of a name that is too long, Path would raise.
        if self.top is self and os.path.isfile(name):  # noqa: PTH113
            hint = f" (did you mean {self.prog} replay {name}?)"
        elif name in _TCPDUMP_WORDS and self._about_rules():
            hint = self._about_rules()
        return hint

    def _look_at_options(self, words: Sequence[str]) -> int:
        """Complain of an option that is none, before its value is taken for something else.

        Returns how many of the words are this command's own: the next calls one below it.
        """
        is_value = False
        for index, word in enumerate(words):
            if is_value:
                is_value = False
                continue
            if word == "--":
                break
            if word == "-" or not word.startswith("-"):
                if self.commands:
                    return index
                continue
            is_value = self._is_followed(word)
        return len(words)

    def _is_followed(self, word: str) -> bool:
        """Whether the value of an option is the next word; ends with 2 for an unknown option."""
        flag = word.partition("=")[0]
        argument = self._argument(flag)
        if argument is None and (flag[:2] == "--" or self._argument(flag[:2]) is None):
            self.error(self._unknown(flag))
        return argument is not None and argument.takes_value and "=" not in word

    def _argument(self, flag: str) -> Optional[Argument]:
        return next((argument for argument in self.arguments if flag in argument.flags), None)

    def _plainer(self, message: str) -> str:
        expected = _EXPECTED.fullmatch(message)
        if expected:
            argument = self._argument(expected[1].split("/")[0])
            return f"{expected[1]} needs a value{f': {argument.metavar}' if argument else ''}"
        for theirs, ours in _PLAINER:
            if theirs.fullmatch(message):
                return theirs.sub(ours, message)
        return message

    def _about_rules(self) -> str:
        return " (a RULE is options: -p tcp --dport 80)" if "--dport" in self.flags() else ""

    def _unknown(self, flag: str) -> str:
        """Why an option is not understood here."""
        others = [parser.prog for parser in self.top.all() if flag in parser.flags()]
        if others:
            return f"{flag} is not an option of this command, but of {_listed(others)}"
        return f"no option {flag}{_meant(flag, self.flags())}"

    def all(self) -> Iterable[Parser]:
        """The parser itself and those of the commands below it."""
        yield self
        for command in self.commands.values():
            yield from command.all()


def _epilog(page: Page) -> str:
    examples = "".join(f"\n  # {example.purpose}\n  {example.line}" for example in page.examples)
    statuses = "".join(f"\n  {status}  {text}" for status, text in page.statuses.items())
    return f"examples:{examples}\n\nexit status:{statuses}"


def _meant(typed: str, candidates: Sequence[str]) -> str:
    """Suggest the nearest known word as a question; empty if none is near."""
    from difflib import get_close_matches

    alias = _IPTABLES_OPTIONS.get(typed)
    near = [alias] if alias in candidates else get_close_matches(typed, candidates, 1, 0.6)
    return f" (did you mean {near[0]}?)" if near else ""


def _listed(words: Sequence[str]) -> str:
    *first, last = [f"`{word}`" for word in words]
    return f"{', '.join(first)} and {last}" if first else last
