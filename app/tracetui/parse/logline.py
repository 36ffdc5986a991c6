"""TRACE records as the kernel prints them (net/netfilter/nf_log_syslog.c)."""

from __future__ import annotations

import re
from typing import Optional

from tracetui.model.hop import LOG, Hop
from tracetui.model.place import built_in_hook
from tracetui.parse import log_body

_PLACE = r"(?P<chain>\S{1,255}):(?P<type>rule|return|policy):(?P<num>[0-9]{1,10})"
_TRACE = re.compile(
    r"TRACE:[ \t]{0,8}(?P<table>[^:\s\u00a0]{1,255}):" + _PLACE + r"(?=\s|IN=|$|[\"'\\,<])",
    re.ASCII,
)
_HEADLESS = re.compile(
    r"(?<![^\s\"'>|;\]])(?P<table>raw|mangle|nat|filter|security):" + _PLACE + r"(?=[ \t]{0,8}IN=)",
    re.ASCII,
)
"""A copy without ``TRACE: ``. Without it, too, the kernel goes on with the input device."""
_DMESG = re.compile(
    r"\[ {0,11}(?P<time>[0-9]{1,12}\.[0-9]{6})\] TRACE: (?P<table>[^:\s]{1,255}):"
    + _PLACE
    + r"(?= IN=)",
    re.ASCII,
)
_TYPES = (":policy:", ":rule:", ":return:")


def find(text: str) -> Optional[re.Match[str]]:
    """Where a hop begins in a line; None if it holds none."""
    return _TRACE.search(text)


def find_headless(text: str) -> Optional[re.Match[str]]:
    """The same where ``TRACE: `` was cut off."""
    return _HEADLESS.search(text) if any(one in text for one in _TYPES) else None


def find_all(text: str) -> list[re.Match[str]]:
    """Where each hop begins in a line that several records were joined to."""
    return list(_TRACE.finditer(text))


def find_dmesg(line: str) -> Optional[re.Match[str]]:
    """The same, with the stamp, in a line as plain dmesg prints it: by far the most there is."""
    return _DMESG.match(line)


def body_of(text: str, found: re.Match[str]) -> log_body.Body:
    """What follows the place in a text that ends with its record."""
    return log_body.read(text[found.end() : found.end() + log_body.LONGEST].strip())


def hop(found: re.Match[str], body: log_body.Body, time: Optional[float] = None) -> Hop:
    """The hop of a place and what follows it. ``time`` is the record's."""
    table, chain, kind, rulenum = found.group("table", "chain", "type", "num")
    header = body.header
    return Hop.of(
        "legacy",
        "ip6" if header is not None and header.family == 6 else "ip",
        table,
        chain,
        kind,
        int(rulenum),
        hook=built_in_hook(table, chain),
        iif=body.iif,
        oif=body.oif,
        mark=body.mark,
        time=time,
        header=header,
        mac=body.mac,
        source=LOG,
    )


def parse(text: str, time: Optional[float] = None) -> Optional[Hop]:
    """The hop of one printed record; None if there is none in it. ``time`` is the record's."""
    found = find(text)
    return None if found is None else hop(found, body_of(text, found), time)
