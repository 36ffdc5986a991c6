"""What stands before the message in a copy of the kernel log: the time, where there is one.

Shapes are those of dmesg(1), journalctl(1), rsyslog and /dev/kmsg. A shape that is not known costs
the time only: the message after it is read all the same.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Optional

from tracetui.model.hop import LOG, Hop
from tracetui.parse import kmsg, logline

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_KMSG = re.compile(r"\d+,\d+,\d+,[^;]*;")
_ISO = re.compile(
    r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:[.,](\d{1,6}))?(Z|[+-]\d{2}:?\d{2})?"
)
_CTIME = re.compile(r"[A-Z][a-z]{2} ([A-Z][a-z]{2}) +(\d{1,2}) (\d{2}:\d{2}:\d{2}) (\d{4})")
_UPTIME = re.compile(r"\[\s*(\d{1,12}\.\d{6})(?: <\s*\d{1,12}\.\d{6}>)?\]")
_EPOCH = re.compile(r"(\d{9,11}\.\d{6}) ")
_DICTIONARY = re.compile(r" [A-Z][A-Z0-9_]*=")
"""A line that belongs to the record before it in a copy of /dev/kmsg."""
_FACILITY = re.compile(
    r"<(?P<raw>\d{1,10})>"
    r"|(?P<named>[a-z]+[0-7]?) *:(?:emerg|alert|crit|err|warn|notice|info|debug) *:"
    r'|\{.*"SYSLOG_FACILITY" ?: ?"(?P<journal>\d{1,10})"'
)
"""What ``dmesg -r``, ``dmesg -x`` and ``journalctl -o json`` tell of who wrote a record."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def parse_line(line: str) -> Optional[Hop]:
    """The hop of one line of a log in whatever wrapper; None if it holds none of the kernel's."""
    text = _ANSI.sub("", line).replace("\r", "")
    found = logline.find(text)
    if found is None or _is_of_a_program(text):
        return None
    if _KMSG.match(text):
        hop = kmsg.parse(text, None)
        return None if hop is None else hop._replace(source=LOG)
    return logline.parse(text[found.start() :], time_of(text[: found.start()]))


def _is_of_a_program(text: str) -> bool:
    """Whether a line says that a program wrote it: no program can write as the kernel does."""
    told = _FACILITY.match(text)
    if told is None:
        return _DICTIONARY.match(text) is not None
    raw, named, journal = told.groups()
    if raw is not None:
        return int(raw) >= 8
    return named != "kern" if named is not None else int(journal) != 0


def time_of(prefix: str) -> Optional[float]:
    """Seconds since the epoch, or since boot where the wrapper has only that; else None.

    Local times are read as UTC: a log does not tell its zone, and differences stay right. A date
    without a year can't be placed, so it gives None.
    """
    if found := _ISO.search(prefix):
        return _iso(found)
    if found := _CTIME.search(prefix):
        return _ctime(found)
    if found := _EPOCH.match(prefix):
        return float(found[1])
    if found := _UPTIME.search(prefix):
        return float(found[1])
    return None


def _iso(found: re.Match[str]) -> Optional[float]:
    date, clock, fraction, zone = found.groups()
    offset = "+00:00" if zone in (None, "Z") else zone[:3] + ":" + zone[-2:]
    try:
        whole = datetime.fromisoformat(f"{date}T{clock}{offset}").timestamp()
    except ValueError:
        return None
    return whole + int((fraction or "0").ljust(6, "0")) / 1e6


def _ctime(found: re.Match[str]) -> Optional[float]:
    month, day, clock, year = found.groups()
    hour, minute, second = (int(part) for part in clock.split(":"))
    try:
        moment = datetime(
            int(year), _MONTHS.index(month) + 1, int(day), hour, minute, second, tzinfo=timezone.utc
        )
    except ValueError:
        return None
    return moment.timestamp()
