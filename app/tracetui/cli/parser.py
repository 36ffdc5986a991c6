"""What can be typed behind ``tracetui``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, NoReturn

from tracetui import __version__
from tracetui.cli import options
from tracetui.model.modules import ORDERS
from tracetui.session.inert import inert

DESCRIPTION = """\
Shows which netfilter rule rewrote, dropped or passed a packet, live.

Without a command: the full screen, with the RULE in place if one is given.
"""
EPILOG = """\
examples:
  tracetui                                    the full screen; a adds a rule, ? shows the keys
  tracetui -p tcp -d 10.96.0.10 --dport 80    the same, tracing one service from the start
  tracetui replay kern.log                    the same timeline from a kernel log
  tracetui record -p tcp --syn -w syn.ndjson  headless, until Ctrl+C
  tracetui flush                              remove every TRACE rule of ours

A rule of ours traces at most 20 packets/s and ends by itself after 10 minutes, unless you say
otherwise.
"""
REPLAY = """\
examples:
  tracetui replay kern.log
  dmesg | tracetui replay - --format text
  tracetui replay /var/log/kern.log.2.gz /var/log/kern.log.1 /var/log/kern.log --follow
  tracetui replay kern.log --filter 'dst port 53 and verdict drop' --format text
  tracetui replay kern.log --ruleset v4.iptables-save --ruleset v6.ip6tables-save
  tracetui replay --format json syn.ndjson | jq 'select(.verdict == "drop")'
"""
RECORD = """\
A packet is written when no hop of it came for a moment; if more come it is written again under
the same id, and the last line stands.

examples:
  tracetui record -p udp --dport 53 --seconds 30 -w dns.ndjson
  tracetui record -p tcp --syn --packets 10 | jq -c '[.src, .dst, .verdict]'
"""
MODULES = """\
A star behind the references says that some are held by no module: by the kernel, a rule, a socket.

examples:
  tracetui modules nf_conntrack
  tracetui modules --sort size
  tracetui modules --json | jq -r '.needs[] | select(.state == "missing") | .module'
"""
DOCTOR = """\
It changes nothing. Exit status 1: something keeps this node from being traced.

examples:
  sudo tracetui doctor
  sudo tracetui doctor --netns cni-1234
"""
RULES = """\
examples:
  tracetui rules
  tracetui rules add -p tcp --dport 443 --syn --expire 2m
  tracetui rules delete 3fa9c1
"""

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


class Parser(argparse.ArgumentParser):
    """argparse, with one line for what is wrong."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where help is; exit status 2."""
        first, *shown = message.split("\n")
        lines = [f"{self.prog}: {first}; see {self.prog} --help", *shown]
        self.exit(2, "".join(f"{inert(line)}\n" for line in lines))


def parser() -> argparse.ArgumentParser:
    """The whole command line; ``command`` names the module of ``tracetui.cli`` that runs it."""
    top = Parser(
        prog="tracetui",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[options.tracing(), options.view(), options.rule()],
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"tracetui {__version__}")
    top.set_defaults(command="live")
    commands: Any = top.add_subparsers(title="commands", metavar="COMMAND")
    _add_replay(commands)
    _add_record(commands)
    _add_rules(commands)
    flush = _command(commands, "flush", "remove every TRACE rule of ours", "", options.netns(True))
    flush.add_argument("--all", action="store_true", help="foreign TRACE rules too, named")
    about = "the kernel modules with their Used-by tree, and what tracing needs of them"
    modules = _command(commands, "modules", about, MODULES)
    modules.add_argument(
        "name", nargs="?", metavar="NAME", help="only this one, with everything known of it"
    )
    modules.add_argument("--sort", choices=ORDERS, default="name", help="default: name")
    modules.add_argument("--json", action="store_true", help="as JSON")
    about = "what this node can trace, what is missing, and what to type"
    doctor = _command(commands, "doctor", about, DOCTOR, options.netns(True))
    doctor.add_argument("--json", action="store_true", help="as JSON")
    _command(commands, "demo", "trace a throwaway lab; without root, play a recording", "")
    return top


def _add_replay(commands: Commands) -> None:
    about = "show hops from files or standard input"
    replay = _command(commands, "replay", about, REPLAY, options.view(True))
    replay.add_argument(
        "files", nargs="+", metavar="FILE", help="a log or recording, packed or not; - is stdin"
    )
    replay.add_argument(
        "--ruleset",
        action="append",
        default=[],
        metavar="FILE",
        help="explain the hops by an iptables-save or nft listing; can be given more than once",
    )
    replay.add_argument(
        "--own", action="store_true", help="also the hops of TRACE rules of ours (text)"
    )
    replay.add_argument(
        "--format", choices=("tui", "text", "json"), help="default: tui on a terminal, else text"
    )
    replay.add_argument(
        "--follow", action="store_true", help="read on as the last file grows, like tail -F"
    )
    replay.add_argument(
        "--speed",
        type=options.speed,
        default="max",
        metavar="N|max",
        help="N times as fast as it was, 1 for as it was (default: max)",
    )
    replay.add_argument(
        "--verbose", action="store_true", help="say which lines held no hop, and why (text, json)"
    )


def _add_record(commands: Commands) -> None:
    record = _command(
        commands, "record", "trace without a screen and write NDJSON", RECORD,
        options.tracing(True), options.view(True), options.rule(),
    )  # fmt: skip
    record.add_argument("-w", dest="write", metavar="FILE", default="-", help="default: - (stdout)")
    record.add_argument("--seconds", type=options.seconds, metavar="N", help="end after so long")
    record.add_argument("--packets", type=options.positive, metavar="N", help="end after so many")
    record.add_argument(
        "--rotate",
        type=options.size,
        metavar="SIZE",
        help="begin another file after so much, like 100M; FILE.1 is then the one before",
    )
    record.add_argument(
        "--keep",
        type=options.positive,
        default=5,
        metavar="N",
        help="files before it that are kept with --rotate (default: 5)",
    )


def _add_rules(commands: Commands) -> None:
    about = "list, add or delete TRACE rules of the raw tables"
    rules = _command(commands, "rules", about, RULES, options.netns(True))
    rules.set_defaults(action="list")
    actions = rules.add_subparsers(title="actions", metavar="ACTION")
    listing = actions.add_parser(
        "list", help="all of them, ours and foreign (the default)", parents=[options.netns(True)]
    )
    listing.set_defaults(action="list")
    about = "add one that no process watches: it ends by its expiry, delete or flush"
    adding = actions.add_parser(
        "add", help=about, description=about, parents=[options.netns(True), options.rule()]
    )
    adding.set_defaults(action="add")
    deleting = actions.add_parser(
        "delete", help="delete one of ours", parents=[options.netns(True)]
    )
    deleting.set_defaults(action="delete")
    deleting.add_argument("id", metavar="ID", help="as `tracetui rules` shows it")


def _command(
    commands: Commands,
    name: str,
    about: str,
    epilog: str,
    *parents: argparse.ArgumentParser,
) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(
        name,
        help=about,
        description=about,
        epilog=epilog,
        parents=parents,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.set_defaults(command=name)
    return made
