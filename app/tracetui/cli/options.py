"""Options that several commands share, and the TRACE rules they ask for."""

from __future__ import annotations

import argparse
import re
import time
from typing import Optional

from tracetui.errors import InvalidRule
from tracetui.model.filter_words import InvalidFilter
from tracetui.model.guard import DEFAULT_THRESHOLD, MAX_THRESHOLD
from tracetui.model.rule import BACKENDS, DEFAULT_LIMIT, TraceRule
from tracetui.model.view_filter import ViewFilter
from tracetui.session.inert import inert

LEAST_FILE = 64 << 10
_RULE_FIELDS = {
    "chain": ("--chain", "PREROUTING|OUTPUT", "where packets enter the node, or start on it"),
    "proto": ("-p", "PROTO", "tcp, udp, icmp, icmpv6, … or a number"),
    "src": ("-s", "ADDR[/N]", "source address"),
    "dst": ("-d", "ADDR[/N]", "destination address, before any DNAT"),
    "sport": ("--sport", "PORT[:PORT]", "source port"),
    "dport": ("--dport", "PORT[:PORT]", "destination port, before any DNAT"),
    "iif": ("-i", "IFACE", "in-interface (PREROUTING)"),
    "oif": ("-o", "IFACE", "out-interface (OUTPUT)"),
}
_FLAGS = {
    **{name: flag for name, (flag, _, _) in _RULE_FIELDS.items()},
    "syn": "--syn",
    "limit": "--limit",
    "expire": "--expire",
    "family": "-4/-6",
}


def netns(suppress: bool = False) -> argparse.ArgumentParser:
    """--netns; ``suppress`` keeps what stood before the command's name."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--netns",
        metavar="NAME|PATH|PID",
        default=argparse.SUPPRESS if suppress else None,
        help="the network namespace meant (default: this one)",
    )
    return parser


def tracing(suppress: bool = False) -> argparse.ArgumentParser:
    """--netns, --source and --guard."""
    parser = argparse.ArgumentParser(add_help=False, parents=[netns(suppress)])
    parser.add_argument(
        "--source",
        choices=("auto", "nflog", "kmsg", "nftrace"),
        default=argparse.SUPPRESS if suppress else "auto",
        help="where hops come from (default: auto, all that can be had)",
    )
    parser.add_argument(
        "--guard",
        type=threshold,
        metavar="HOPS_PER_SECOND",
        default=argparse.SUPPRESS if suppress else DEFAULT_THRESHOLD,
        help=f"remove our rules above this rate (default: {DEFAULT_THRESHOLD})",
    )
    return parser


def rule() -> argparse.ArgumentParser:
    """RULE, in iptables' own words and a few of ours; nothing is set that was not typed."""
    parser = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = parser.add_argument_group("RULE, in iptables' own words")
    family = group.add_mutually_exclusive_group()
    family.add_argument("-4", dest="family", action="store_const", const="4", help="IPv4 only")
    family.add_argument("-6", dest="family", action="store_const", const="6", help="IPv6 only")
    for name, (flag, metavar, about) in _RULE_FIELDS.items():
        group.add_argument(flag, dest=name, metavar=metavar, help=about)
    group.add_argument("--syn", action="store_true", help="only packets that open a TCP connection")
    ours = parser.add_argument_group("RULE, in ours")
    ours.add_argument("--both", action="store_true", help="trace the answers too")
    ours.add_argument(
        "--limit",
        metavar="N/second|none",
        help=f"packets traced at most (default: {DEFAULT_LIMIT})",
    )
    ours.add_argument(
        "--expire", metavar="10m|none", help="the kernel ends the rule after this (default: 10m)"
    )
    ours.add_argument("--backend", choices=("auto", *BACKENDS), help="default: auto")
    ours.add_argument(
        "--force", action="store_true", help="add it although its worst case may hurt the node"
    )
    return parser


def view(suppress: bool = False) -> argparse.ArgumentParser:
    """--filter; ``suppress`` keeps what stood before the command's name."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--filter",
        metavar="EXPR",
        type=expression,
        default=argparse.SUPPRESS if suppress else "",
        help="only packets like these, in tcpdump's words and ours: 'host 10.0.0.1 and not nat'",
    )
    return parser


def expression(text: str) -> str:
    """A filter that can be meant; raises argparse.ArgumentTypeError with the place of the fault."""
    try:
        ViewFilter.parse(expression=text)
    except InvalidFilter as error:
        where = "" if error.at is None else f"\n  {inert(text)}\n  {' ' * error.at}^"
        raise argparse.ArgumentTypeError(f"{error.reason}{where}") from None
    return text


def asks_for_rule(options: argparse.Namespace) -> bool:
    """Whether any part of RULE was typed."""
    return any(hasattr(options, name) for name in (*_FLAGS, "both", "backend", "force"))


def rules(options: argparse.Namespace) -> list[TraceRule]:
    """The rules RULE means: one, and with --both its mirror images; raises InvalidRule."""
    typed = {name: getattr(options, name, "") for name in _FLAGS}
    fields = {name: "yes" if value is True else str(value) for name, value in typed.items()}
    try:
        first = TraceRule.from_fields(fields, time.time())
    except InvalidRule as error:
        raise InvalidRule({_FLAGS[name]: why for name, why in error.fields.items()}) from None
    mirrored = first.mirrored() if getattr(options, "both", False) else ()
    return [first, *mirrored]


def positive(text: str) -> int:
    """A whole number above 0; raises argparse.ArgumentTypeError."""
    value = int(text) if text.isascii() and text.isdigit() else 0
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return value


def threshold(text: str) -> int:
    """Hops per second for the guard; raises argparse.ArgumentTypeError."""
    if len(text) > len(str(MAX_THRESHOLD)):
        raise argparse.ArgumentTypeError(f"a threshold is at most {MAX_THRESHOLD}")
    return positive(text)


def size(text: str) -> int:
    """Bytes, with k, M or G behind for more; raises argparse.ArgumentTypeError."""
    found = re.fullmatch(r"(\d{1,9})([kKmMgG]?)(i?B)?", text, re.ASCII)
    value = int(found[1]) * 1024 ** " kmg".index(found[2].lower() or " ") if found else 0
    if value < LEAST_FILE:
        raise argparse.ArgumentTypeError(f"{text!r} is no size of a file from 64k: 100M, 1G")
    return value


def speed(text: str) -> Optional[float]:
    """How many times as fast, None for ``max``; raises argparse.ArgumentTypeError."""
    try:
        value = None if text == "max" else float(text)
    except ValueError:
        value = 0.0
    if value is not None and not 0.001 <= value <= 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is no speed: 1, 10, max")
    return value


def seconds(text: str) -> float:
    """A number of seconds above 0; raises argparse.ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value
