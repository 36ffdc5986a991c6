"""The parser of one command: help that reads like a manual, and plain words for what is wrong."""

from __future__ import annotations

import argparse
import os
import re
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn, Optional

from tracetui.cli.manual import PAGES, Page
from tracetui.model.rule_fields import PROTOCOLS
from tracetui.session.inert import inert

HELP = "help"
"""The title of what only tells."""
WIDTH = 80
"""Columns of the help at most; narrower terminals get less."""
_IPTABLES = {
    "--protocol": "-p", "--proto": "-p", "--source-port": "--sport", "--sports": "--sport",
    "--src": "-s", "--dst": "-d", "--destination": "-d", "--destination-port": "--dport",
    "--dports": "--dport", "--in-interface": "-i", "--out-interface": "-o", "--ipv4": "-4",
    "--ipv6": "-6", "-A": "--chain", "-I": "--chain",
}  # fmt: skip
"""What iptables(8) calls what our options call otherwise."""
_PCAP = ("ether", "host", "net", "port", "portrange", "src", "dst", "ip", "ip6", *PROTOCOLS)
"""What filters of tcpdump begin with (pcap-filter(7))."""
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

    What is parsed has the parser of the command that was typed as ``parser``.
    """

    def __init__(self, prog: str, operands: str = "", top: Optional[Parser] = None) -> None:
        """``operands`` stand behind the options in the line on usage."""
        self.page: Page = PAGES[prog]
        self.top = top or self
        """The parser of the whole command line."""
        super().__init__(
            prog=prog,
            usage=f"{prog} [OPTIONS]{' ' if operands else ''}{operands}",
            description="\n\n".join([self.page.about, *self.page.more]),
            epilog=_epilog(self.page),
            formatter_class=_Formatter,
            allow_abbrev=False,
            add_help=False,
        )
        self.set_defaults(parser=self)
        self._commands: Any = None
        self._titled: dict[str, argparse._ArgumentGroup] = {}

    def group(self, title: str) -> argparse._ArgumentGroup:
        """The options under one title."""
        if title not in self._titled:
            self._titled[title] = self.add_argument_group(title)
        return self._titled[title]

    def add_help_flag(self) -> None:
        """Add -h, which is the last of the options."""
        self.group(HELP).add_argument("-h", "--help", action="help", help="show this and exit")

    def add_commands(self, title: str, metavar: str) -> None:
        """Have commands below this one."""
        self._commands = self.add_subparsers(title=title, metavar=metavar, prog=self.prog)

    def add_command(self, name: str, operands: str = "") -> Parser:
        """A command below this one, told of by its page."""
        page = PAGES[f"{self.prog} {name}"]
        made: Parser = self._commands.add_parser(
            name, help=page.summary, operands=operands, top=self.top
        )
        return made

    def flags(self) -> list[str]:
        """Every option as it is typed."""
        return list(self._option_string_actions)

    def parse_known_args(  # type: ignore[override]
        self, args: Optional[Sequence[str]] = None, namespace: Optional[argparse.Namespace] = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse; what is not known ends it, in the words of the command that it was typed for."""
        words = sys.argv[1:] if args is None else list(args)
        self._look_at_options(words)
        found, unknown = super().parse_known_args(words, namespace)
        if unknown:
            self.error(f"{unknown[0]!r} is not expected here{self._about_rules()}")
        return found, []

    def error(self, message: str) -> NoReturn:
        """Say in one line what is wrong and where help is; exit status 2."""
        first, *shown = self._plainer(message).split("\n")
        lines = [f"{self.prog}: {first}; see {self.prog} --help", *shown]
        self.exit(2, "".join(f"{inert(line)}\n" for line in lines))

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        known = list(action.choices)
        choice = f" (one of {', '.join(known)})"
        if isinstance(action, argparse._SubParsersAction):
            hint = _meant(str(value), known) or choice
            # Of a name that is too long, Path would raise.
            if self.top is self and os.path.isfile(value):  # noqa: PTH113
                hint = f" (did you mean {self.prog} replay {value}?)"
            elif value in _PCAP and self._about_rules():
                hint = self._about_rules()
            self.error(f"no {str(action.metavar).lower()} {value!r}{hint}")
        self.error(f"{'/'.join(action.option_strings) or action.metavar}: not {value!r}{choice}")

    def _look_at_options(self, words: Sequence[str]) -> None:
        """Complain of an option that is none, before its value is taken for something else."""
        is_value = False
        for word in words:
            if is_value or word == "-":
                is_value = False
                continue
            if word == "--" or (not word.startswith("-") and self._subparsers is not None):
                return
            if not word.startswith("-"):
                continue
            flag = word.partition("=")[0]
            known = self._option_string_actions.get(flag)
            if known is None and (flag[:2] == "--" or flag[:2] not in self._option_string_actions):
                self.error(self._unknown(flag))
            is_value = known is not None and known.nargs is None and "=" not in word

    def _plainer(self, message: str) -> str:
        expected = _EXPECTED.fullmatch(message)
        if expected:
            action = self._option_string_actions.get(expected[1].split("/")[0])
            value = action.metavar if action else None
            return f"{expected[1]} needs a value{f': {value}' if value else ''}"
        for theirs, ours in _PLAINER:
            if theirs.fullmatch(message):
                return theirs.sub(ours, message)
        return message

    def _about_rules(self) -> str:
        return " (a RULE is options: -p tcp --dport 80)" if "--dport" in self.flags() else ""

    def _unknown(self, flag: str) -> str:
        """Why an option is not understood here."""
        others = [one.prog for one in self.top.all() if flag in one.flags()]
        if others:
            return f"{flag} is no option of it, but of {_listed(others)}"
        return f"no option {flag}{_meant(flag, self.flags())}"

    def all(self) -> Iterable[Parser]:
        """The parser itself and those of the commands below it."""
        yield self
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                for one in action.choices.values():
                    yield from one.all()


class _Formatter(argparse.HelpFormatter):
    """Wraps a paragraph of one line, and leaves one of several as it is."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26)
        self._width = min(self._width, WIDTH - 2)

    def _format_action(self, action: argparse.Action) -> str:
        if isinstance(action, argparse._SubParsersAction):
            return "".join(map(self._format_action, self._iter_indented_subactions(action)))
        return super()._format_action(action)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(
            part if "\n" in part else textwrap.fill(part, width, break_on_hyphens=False)
            for part in text.split("\n\n")
        )

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(text, width, break_on_hyphens=False)


def _epilog(page: Page) -> str:
    examples = "".join(f"\n  # {one.purpose}\n  {one.line}" for one in page.examples)
    statuses = "".join(f"\n  {status}  {text}" for status, text in page.statuses.items())
    return f"examples:{examples}\n\nexit status:{statuses}"


def _meant(typed: str, known: Sequence[str]) -> str:
    """What was probably meant, as a question; empty where nothing is near."""
    from difflib import get_close_matches

    alias = _IPTABLES.get(typed)
    near = [alias] if alias in known else get_close_matches(typed, known, 1, 0.6)
    return f" (did you mean {near[0]}?)" if near else ""


def _listed(words: Sequence[str]) -> str:
    *first, last = [f"`{word}`" for word in words]
    return f"{', '.join(first)} and {last}" if first else last
