"""TRACE records as the kernel prints them (net/netfilter/nf_log_syslog.c)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Optional

from tracetui.model.trace.hop import LOG, Hop
from tracetui.model.trace.trace_point import TracePoint, built_in_hook, trace_point
from tracetui.parse.log import record_body

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


def body_of(text: str, found: re.Match[str]) -> record_body.Body:
    """What follows the place in a text that ends with its record."""
    return record_body.read(text[found.end() : found.end() + record_body.LONGEST].strip())


def hop(found: re.Match[str], body: record_body.Body, time: Optional[float] = None) -> Hop:
    """The hop of a place and what follows it. ``time`` is the record's."""
    header = body.state.header
    family = "ip6" if header is not None and header.family == 6 else "ip"
    return Hop(_place(family, *found.group("table", "chain", "type", "num")), body.state, time)


@lru_cache(maxsize=4096)
def _place(family: str, table: str, chain: str, kind: str, rulenum: str) -> TracePoint:
    hook, number = built_in_hook(table, chain), int(rulenum)
    return trace_point("legacy", family, table, chain, kind, number, hook=hook, source=LOG)


def parse(text: str, time: Optional[float] = None) -> Optional[Hop]:
    """The hop of one printed record; None if there is none in it. ``time`` is the record's."""
    found = find(text)
    return None if found is None else hop(found, body_of(text, found), time)
