"""Options that several commands share, and the TRACE rules they ask for."""

from __future__ import annotations

import argparse
import re
import time
from typing import TYPE_CHECKING, Any, Optional

from tracetui.cli.grammar.arguments import Group, OneOf
from tracetui.cli.grammar.usage import Parser
from tracetui.errors import InvalidRule
from tracetui.model.tracing.guard import DEFAULT_THRESHOLD, MAX_THRESHOLD
from tracetui.model.tracing.rule_fields import BACKENDS, DEFAULT_EXPIRY, DEFAULT_LIMIT
from tracetui.session.text.sanitize import sanitize

if TYPE_CHECKING:
    from tracetui.model.tracing.trace_rule import TraceRule

LEAST_FILE = 64 << 10
INPUT, TRACE, OUTPUT = "the input", "the trace", "the output"
"""Titles that options stand under."""
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
_RULE_FLAGS = {
    **{name: flag for name, (flag, _, _) in _RULE_FIELDS.items()},
    "syn": "--syn",
    "limit": "--limit",
    "expire": "--expire",
    "family": "-4/-6",
}


def add_netns(parser: Parser, inner: bool = False, title: str = "the node") -> None:
    """--netns; ``inner`` keeps what stood before the command's name."""
    parser.group(title).add_argument(
        "--netns",
        metavar="NAME|PATH|PID",
        default=argparse.SUPPRESS if inner else None,
        help="network namespace to use (default: this one)",
    )


def add_tracing(parser: Parser, inner: bool = False) -> None:
    """--netns, --source and --guard."""
    add_netns(parser, inner, TRACE)
    add_sources(parser, inner)


def add_sources(parser: Parser, inner: bool = False) -> None:
    """--source and --guard."""
    group = parser.group(TRACE)
    group.add_argument(
        "--source",
        type=OneOf(("auto", "nflog", "kmsg", "nftrace")),
        metavar="SOURCE",
        default=argparse.SUPPRESS if inner else "auto",
        help="source of hops: nftrace, nflog or kmsg (default: auto, all available)",
    )
    group.add_argument(
        "--guard",
        type=threshold,
        metavar="HOPS",
        default=argparse.SUPPRESS if inner else DEFAULT_THRESHOLD,
        help=f"remove our rules above this many hops per second (default: {DEFAULT_THRESHOLD})",
    )


def add_rule(parser: Parser) -> None:
    """RULE, in iptables' own words and a few of ours; nothing is set that was not typed."""
    group = parser.group("the RULE (options of iptables)")

    def add(group: Group, *flags: str, **rest: Any) -> None:
        group.add_argument(*flags, default=argparse.SUPPRESS, **rest)

    family = group.exclusive()
    add(family, "-4", dest="family", action="store_const", const="4", help="IPv4 only")
    add(family, "-6", dest="family", action="store_const", const="6", help="IPv6 only")
    for name, (flag, metavar, about) in _RULE_FIELDS.items():
        add(group, flag, dest=name, metavar=metavar, help=about)
    add(group, "--syn", action="store_true", help="only packets that open a TCP connection")
    ours = parser.group("the RULE (options of tracetui)")
    add(ours, "--both", action="store_true", help="trace the replies too")
    add(
        ours,
        "--limit",
        metavar="N/second|none",
        help=f"trace at most this many packets (default: {DEFAULT_LIMIT}/second)",
    )
    add(
        ours,
        "--expire",
        metavar="10m|none",
        help=f"the rule expires after this time (default: {DEFAULT_EXPIRY // 60}m)",
    )
    add(
        ours,
        "--backend",
        type=OneOf(("auto", *BACKENDS)),
        metavar="BACKEND",
        help="legacy or nft (default: auto, where the node's rules are)",
    )
    add(
        ours,
        "--force",
        action="store_true",
        help="add it even if its worst case can hurt the node",
    )


def add_filter(parser: Parser, inner: bool = False) -> None:
    """--filter; ``inner`` keeps what stood before the command's name."""
    parser.group(OUTPUT).add_argument(
        "--filter",
        metavar="EXPR",
        type=expression,
        default=argparse.SUPPRESS if inner else "",
        help="only matching packets, in tcpdump's syntax and more: 'host 10.0.0.1 and not nat'",
    )


def expression(text: str) -> str:
    """A filter that can be meant; raises argparse.ArgumentTypeError with the place of the fault."""
    if not text:
        # The default comes here too, and few commands need what a filter takes to be read.
        return text
    from tracetui.model.filter.view_filter import ViewFilter
    from tracetui.model.filter.words import InvalidFilter

    try:
        ViewFilter.parse(expression=text)
    except InvalidFilter as error:
        where = "" if error.position is None else f"\n  {sanitize(text)}\n  {' ' * error.position}^"
        raise argparse.ArgumentTypeError(f"{error.reason}{where}") from None
    return text


def asks_for_rule(options: argparse.Namespace) -> bool:
    """Whether any part of RULE was typed."""
    return any(hasattr(options, name) for name in (*_RULE_FLAGS, "both", "backend", "force"))


def rules(options: argparse.Namespace) -> list[TraceRule]:
    """The rules RULE means: one, and with --both its mirror images; raises InvalidRule."""
    from tracetui.model.tracing.trace_rule import TraceRule

    typed = {name: getattr(options, name, "") for name in _RULE_FLAGS}
    fields = {name: "yes" if value is True else str(value) for name, value in typed.items()}
    try:
        first = TraceRule.from_fields(fields, time.time())
    except InvalidRule as error:
        raise InvalidRule({_RULE_FLAGS[name]: why for name, why in error.fields.items()}) from None
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
    match = re.fullmatch(r"(\d{1,9})([kKmMgG]?)(i?B)?", text, re.ASCII)
    value = int(match[1]) * 1024 ** " kmg".index(match[2].lower() or " ") if match else 0
    if value < LEAST_FILE:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a file size of at least 64k, such as 100M or 1G"
        )
    return value


def speed(text: str) -> Optional[float]:
    """A factor of the original speed, None for ``max``; raises argparse.ArgumentTypeError."""
    try:
        value = None if text == "max" else float(text)
    except ValueError:
        value = 0.0
    if value is not None and not 0.001 <= value <= 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a speed, such as 1, 10 or max")
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
