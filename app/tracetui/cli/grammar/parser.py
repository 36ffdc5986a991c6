"""What can be typed behind ``tracetui``."""

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
    """What was typed; ``command`` names the module of ``cli.commands`` that runs it.

    Exits with 2, and one line on standard error, for what can't be meant.
    """
    top = parser()
    found = top.parse_args(argv)
    _refuse_idle(top, found)
    return found


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


def _refuse_idle(top: Parser, found: argparse.Namespace) -> None:
    """Exit with 2 where an option before a command means nothing to the command."""
    known = {one.action.dest for one in found.parser.arguments}
    for flags, action in ((one.flags, one.action) for one in top.arguments):
        is_typed = getattr(found, action.dest, action.default) != action.default
        if flags and is_typed and action.dest not in known:
            found.parser.error(f"{flags[-1]} is no option of it")


def _add_replay(top: Parser) -> None:
    replay = _command(top, "replay", "FILE…")
    given = replay.group(INPUT)
    given.add_argument(
        "files", nargs="+", metavar="FILE", help="a log or recording, packed or not; - is stdin"
    )
    given.add_argument(
        "--ruleset",
        action="append",
        default=[],
        metavar="FILE",
        help="explain the hops by an iptables-save or nft listing; can be given more than once",
    )
    given.add_argument(
        "--follow", action="store_true", help="read on as the last file grows, like tail -F"
    )
    given.add_argument(
        "--speed",
        type=options.speed,
        default="max",
        metavar="N|max",
        help="N times as fast as it was, 1 for as it was (default: max)",
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
        "--own", action="store_true", help="also the hops of our own TRACE rules (text)"
    )
    output.add_argument(
        "--verbose", action="store_true", help="say which lines held no hop, and why (text, json)"
    )
    replay.add_help_flag()


def _add_record(top: Parser) -> None:
    record = _command(top, "record", "RULE")
    options.add_rule(record)
    options.add_tracing(record, inner=True)
    trace = record.group(TRACE)
    trace.add_argument(
        "--seconds", type=options.seconds, metavar="N", help="end after so many seconds"
    )
    trace.add_argument(
        "--packets", type=options.positive, metavar="N", help="end after so many packets"
    )
    options.add_filter(record, inner=True)
    output = record.group(OUTPUT)
    output.add_argument(
        "-w", dest="write", metavar="FILE", default="-", help="where to (default: -, stdout)"
    )
    output.add_argument(
        "--overwrite", action="store_true", help="write FILE anew although it holds something"
    )
    output.add_argument(
        "--rotate",
        type=options.size,
        metavar="SIZE",
        help="begin another file after so much, like 100M; FILE.1 is then the one before",
    )
    output.add_argument(
        "--keep",
        type=options.positive,
        default=5,
        metavar="N",
        help="files before it that are kept with --rotate (default: 5)",
    )
    record.add_help_flag()


def _add_rules(top: Parser) -> None:
    rules = _command(top, "rules", "[ACTION …]")
    rules.set_defaults(action="list")
    options.add_netns(rules, inner=True)
    rules.add_commands("actions", "ACTION")
    for name, operands in (("list", ""), ("add", "RULE"), ("delete", "ID")):
        made = rules.add_command(name, operands)
        made.set_defaults(action=name)
        if name == "add":
            options.add_rule(made)
        if name == "delete":
            made.group("the rule").add_argument(
                "id", metavar="ID", help="as `tracetui rules` shows it"
            )
        options.add_netns(made, inner=True)
        made.add_help_flag()
    rules.add_help_flag()


def _add_flush(top: Parser) -> None:
    flush = _command(top, "flush")
    group = flush.group("the rules")
    group.add_argument("--all", action="store_true", help="foreign TRACE rules too, named")
    options.add_netns(flush, inner=True)
    flush.add_help_flag()


def _add_modules(top: Parser) -> None:
    modules = _command(top, "modules", "[NAME]")
    modules.group("the modules").add_argument(
        "name", nargs="?", metavar="NAME", help="only this one, with everything known of it"
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
    made = top.add_command(name, operands)
    made.set_defaults(command=name)
    return made
