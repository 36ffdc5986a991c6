"""TRACE records as the kernel prints them (net/netfilter/nf_log_syslog.c)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Optional

from tracetui.model.trace.hop import LOG, Hop
from tracetui.model.trace.trace_point import TracePoint, built_in_hook, trace_point
from tracetui.parse.log import record_body

_AFTER_TABLE = r"(?P<chain>\S{1,255}):(?P<type>rule|return|policy):(?P<num>[0-9]{1,10})"
_RECORD_BEGIN = re.compile(
    r"TRACE:[ \t]{0,8}(?P<table>[^:\s\u00a0]{1,255}):" + _AFTER_TABLE + r"(?=\s|IN=|$|[\"'\\,<])",
    re.ASCII,
)
_HEADLESS_BEGIN = re.compile(
    r"(?<![^\s\"'>|;\]])(?P<table>raw|mangle|nat|filter|security):"
    + _AFTER_TABLE
    + r"(?=[ \t]{0,8}IN=)",
    re.ASCII,
)
"""A copy without ``TRACE: ``. Without it, too, the kernel goes on with the input device."""
_TYPE_WORDS = (":policy:", ":rule:", ":return:")


def find(text: str) -> Optional[re.Match[str]]:
    """Find the trace point in a line; None if it has none."""
    return _RECORD_BEGIN.search(text)


def find_headless(text: str) -> Optional[re.Match[str]]:
    """Find the trace point in a line whose ``TRACE: `` was cut off."""
    return _HEADLESS_BEGIN.search(text) if any(one in text for one in _TYPE_WORDS) else None


def find_all(text: str) -> list[re.Match[str]]:
    """Find every trace point in a line that several records were joined to."""
    return list(_RECORD_BEGIN.finditer(text))


def body_of(text: str, found: re.Match[str]) -> record_body.Body:
    """Read the body behind a trace point, in a text that ends with its record."""
    return record_body.read(text[found.end() : found.end() + record_body.LONGEST_BODY].strip())


def hop(found: re.Match[str], body: record_body.Body, time: Optional[float] = None) -> Hop:
    """The hop of a trace point and the body behind it. ``time`` is the record's."""
    header = body.state.header
    family = "ip6" if header is not None and header.family == 6 else "ip"
    return Hop(point(found, family), body.state, time)


def point(found: re.Match[str], family: str) -> TracePoint:
    """The trace point of a match of :func:`find`; ``family`` is ip or ip6."""
    return _point(family, *found.group("table", "chain", "type", "num"))


@lru_cache(maxsize=4096)
def _point(family: str, table: str, chain: str, kind: str, rulenum: str) -> TracePoint:
    hook, number = built_in_hook(table, chain), int(rulenum)
    return trace_point("legacy", family, table, chain, kind, number, hook=hook, source=LOG)


def parse(text: str, time: Optional[float] = None) -> Optional[Hop]:
    """The hop of one printed record; None if there is none in it. ``time`` is the record's."""
    found = find(text)
    return None if found is None else hop(found, body_of(text, found), time)
