"""The commands and options of ``tracetui``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Optional

from tracetui import __version__
from tracetui.cli.grammar import options
from tracetui.cli.grammar.arguments import OneOf
from tracetui.cli.grammar.options import INPUT, OUTPUT, TRACE
from tracetui.cli.grammar.usage import HELP, Parser
from tracetui.model.node.module_order import MODULE_ORDERS

SHELLS = ("bash", "zsh", "fish")


def parse(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Parse the command line; ``command`` names the module of ``cli.commands`` that runs it.

    Exits with 2, and one line on standard error, for what can't be meant.
    """
    top = parser()
    parsed = top.parse_args(argv)
    _refuse_idle(top, parsed)
    return parsed


def parser() -> Parser:
    """The parser of the whole command line."""
    top = Parser("tracetui", "[RULE]\n       tracetui COMMAND [OPTIONS] …")
    top.set_defaults(command="live")
    top.add_commands("commands", "COMMAND")
    for add in (
        _add_replay, _add_record, _add_rules, _add_flush, _add_modules, _add_doctor, _add_demo,
        _add_completion, _add_man,
    ):  # fmt: skip
        add(top)
    options.add_rule(top)
    options.add_tracing(top)
    options.add_filter(top)
    top.group(HELP).add_argument(
        "--version",
        action="version",
        version=f"tracetui {__version__}",
        help="show the version and exit",
    )
    top.add_help_flag()
    return top


def _refuse_idle(top: Parser, parsed: argparse.Namespace) -> None:
    """Exit with 2 where an option before a command means nothing to the command."""
    own_options = {argument.action.dest for argument in parsed.parser.arguments}
    for flags, action in ((argument.flags, argument.action) for argument in top.arguments):
        is_typed = getattr(parsed, action.dest, action.default) != action.default
        if flags and is_typed and action.dest not in own_options:
            parsed.parser.error(f"{flags[-1]} is not an option of this command")


def _add_replay(top: Parser) -> None:
    replay = _command(top, "replay", "FILE…")
    source = replay.group(INPUT)
    source.add_argument(
        "files", nargs="+", metavar="FILE", help="a log or recording, compressed or not; - is stdin"
    )
    source.add_argument(
        "--ruleset",
        action="append",
        default=[],
        metavar="FILE",
        help="a listing by iptables-save or nft that explains the hops; can be repeated",
    )
    source.add_argument(
        "--follow", action="store_true", help="read on as the last file grows, like tail -F"
    )
    source.add_argument(
        "--speed",
        type=options.speed,
        default="max",
        metavar="N|max",
        help="1 for the original speed, N for N times as fast (default: max)",
    )
    options.add_filter(replay, inner=True)
    output = replay.group(OUTPUT)
    output.add_argument(
        "--format",
        type=OneOf(("tui", "text", "json")),
        metavar="FORMAT",
        help="tui, text or json (default: tui on a terminal, else text)",
    )
    output.add_argument(
        "--own", action="store_true", help="show the hops of our own TRACE rules too (text)"
    )
    output.add_argument(
        "--verbose", action="store_true", help="list the lines without a hop, and why (text, json)"
    )
    replay.add_help_flag()


def _add_record(top: Parser) -> None:
    record = _command(top, "record", "RULE")
    options.add_rule(record)
    options.add_tracing(record, inner=True)
    trace = record.group(TRACE)
    trace.add_argument("--seconds", type=options.seconds, metavar="N", help="stop after N seconds")
    trace.add_argument("--packets", type=options.positive, metavar="N", help="stop after N packets")
    options.add_filter(record, inner=True)
    output = record.group(OUTPUT)
    output.add_argument(
        "-w", dest="write", metavar="FILE", default="-", help="output file (default: -, stdout)"
    )
    output.add_argument(
        "--overwrite", action="store_true", help="overwrite FILE if it is not empty"
    )
    output.add_argument(
        "--rotate",
        type=options.size,
        metavar="SIZE",
        help="start a new file at this size, like 100M; the previous one becomes FILE.1",
    )
    output.add_argument(
        "--keep",
        type=options.positive,
        default=5,
        metavar="N",
        help="earlier files to keep with --rotate (default: 5)",
    )
    record.add_help_flag()


def _add_rules(top: Parser) -> None:
    rules = _command(top, "rules", "[ACTION …]")
    rules.set_defaults(action="list")
    options.add_netns(rules, inner=True)
    rules.add_commands("actions", "ACTION")
    for name, operands in (("list", ""), ("add", "RULE"), ("delete", "ID")):
        action = rules.add_command(name, operands)
        action.set_defaults(action=name)
        if name == "add":
            options.add_rule(action)
        if name == "delete":
            action.group("the rule").add_argument(
                "id", metavar="ID", help="as `tracetui rules` shows it"
            )
        options.add_netns(action, inner=True)
        action.add_help_flag()
    rules.add_help_flag()


def _add_flush(top: Parser) -> None:
    flush = _command(top, "flush")
    group = flush.group("the rules")
    group.add_argument(
        "--all", action="store_true", help="remove foreign TRACE rules too, and name them"
    )
    options.add_netns(flush, inner=True)
    flush.add_help_flag()


def _add_modules(top: Parser) -> None:
    modules = _command(top, "modules", "[NAME|FILE]")
    modules.group("the modules").add_argument(
        "name",
        nargs="?",
        metavar="NAME|FILE",
        help="only this module, with all its details; or another node's: a copy of its "
        "/proc/modules, or what lsmod printed there, - for standard input",
    )
    output = modules.group(OUTPUT)
    output.add_argument(
        "--sort",
        type=OneOf(MODULE_ORDERS),
        default=MODULE_ORDERS[0],
        metavar="ORDER",
        help=f"{', '.join(MODULE_ORDERS[:-1])} or {MODULE_ORDERS[-1]} "
        f"(default: {MODULE_ORDERS[0]})",
    )
    output.add_argument("--json", action="store_true", help="as JSON")
    modules.add_help_flag()


def _add_doctor(top: Parser) -> None:
    doctor = _command(top, "doctor")
    options.add_netns(doctor, inner=True)
    doctor.group(OUTPUT).add_argument("--json", action="store_true", help="as JSON")
    doctor.add_help_flag()


def _add_demo(top: Parser) -> None:
    demo = _command(top, "demo")
    options.add_sources(demo, inner=True)
    demo.add_help_flag()


def _add_completion(top: Parser) -> None:
    completion = _command(top, "completion", "SHELL")
    completion.group("the shell").add_argument(
        "shell", type=OneOf(SHELLS), metavar="SHELL", help="bash, zsh or fish"
    )
    completion.add_help_flag()


def _add_man(top: Parser) -> None:
    _command(top, "man").add_help_flag()


def _command(top: Parser, name: str, operands: str = "") -> Parser:
    command = top.add_command(name, operands)
    command.set_defaults(command=name)
    return command
