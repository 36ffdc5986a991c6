"""The times that wrappers put in front of a kernel message.

Shapes are those of dmesg(1), journalctl(1), rsyslog, busybox logread and container logs. Local
times are read as UTC: a log does not tell its zone, and differences stay right.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from functools import lru_cache
from typing import NamedTuple, Optional

_MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_MONTH_NAMES = _MONTHS.split("|")
_DAYS = "Mon|Tue|Wed|Thu|Fri|Sat|Sun"
_UPTIME = re.compile(r"\[\s{0,12}(\d{1,12}\.\d{6})(?: <\s{0,12}\d{1,12}\.\d{6} ?>)?\]", re.ASCII)
_DELTA = re.compile(r"\[(?:<\s{0,12}(\d{1,12}\.\d{6})>|\s{0,12}\+(\d{1,12}\.\d{6}))\]", re.ASCII)
_MINUTE = re.compile(rf"\[({_MONTHS}) ?(\d{{1,2}}) (\d\d):(\d\d)\]", re.ASCII)
_ISO = re.compile(
    r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:[.,](\d{1,6})\d{0,6})?(Z|[+-]\d{2}:?\d{2})?",
    re.ASCII,
)
_CTIME = re.compile(
    rf"(?:{_DAYS}),?\s({_MONTHS})\s{{1,2}}(\d{{1,2}})\s(\d\d):(\d\d):(\d\d)(?:[.,](\d{{1,6}}))?"
    r"\s(\d{4})\b",
    re.ASCII,
)
_SYSLOG = re.compile(
    rf"\b({_MONTHS})[ \t]{{1,4}}(\d{{1,2}})[ \t]{{0,4}}(\d\d):(\d\d):(\d\d)"
    r"(?:[.,](\d{1,6})\d{0,6})?(?!\d)",
    re.ASCII,
)
"""A blank between day and hour is lost in some copies."""
_EPOCH = re.compile(r"(?:^|\s)(\d{9,11}\.\d{6})(?=\s)", re.ASCII)
_YEAR_OF_STAMPS = 1972
"""A year with a 29th of February; the days behind that are as far from its end in any year."""


class Stamps(NamedTuple):
    """Stamps of one line; None for those that it has not."""

    wall: Optional[float] = None
    """Seconds since the epoch."""
    uptime: Optional[float] = None
    """Seconds since boot."""
    in_year: Optional[float] = None
    """Seconds since a year began that is not told: the log prints none."""
    gap: Optional[float] = None
    """Seconds since the record before, whichever that was."""
    minute: Optional[float] = None
    """Seconds like ``in_year``, where only the minute is told."""
    host: str = ""
    """The text between a wall clock's stamp and that of the kernel."""


NO_STAMPS = Stamps()


@lru_cache(maxsize=1024)
def read(prefix: str) -> Stamps:
    """The stamps in what stands before a message."""
    boot = _last(_UPTIME, prefix)
    uptime = float(boot[1]) if boot is not None else None
    wall, end = _wall(prefix)
    if wall is not None:
        host = prefix[end : boot.start()] if boot is not None and boot.start() >= end else ""
        return Stamps(wall, uptime, host=host)
    if uptime is not None:
        return Stamps(uptime=uptime)
    if found := _DELTA.search(prefix):
        return Stamps(gap=float(found[1] or found[2]))
    if found := _MINUTE.search(prefix):
        return Stamps(minute=_in_year(found))
    if found := _SYSLOG.search(prefix):
        return Stamps(in_year=_in_year(found))
    return NO_STAMPS


def of_iso(text: str) -> Optional[float]:
    """Seconds since the epoch of an ISO 8601 stamp; None for a text that holds none."""
    found = _ISO.search(text)
    return None if found is None else _iso(found)


def _last(pattern: re.Pattern[str], text: str) -> Optional[re.Match[str]]:
    """The one next to the message: a copy of several lines joined has others before it."""
    return next(reversed(list(pattern.finditer(text))), None)


def _wall(prefix: str) -> tuple[Optional[float], int]:
    """Seconds since the epoch and where the stamp that tells them ends."""
    if found := _last(_ISO, prefix):
        return _iso(found), found.end()
    if found := _last(_CTIME, prefix):
        month, day, hour, minute, second, part, year = found.groups()
        return _moment(int(year), month, day, hour, minute, second, part), found.end()
    if found := _last(_EPOCH, prefix):
        return float(found[1]), found.end()
    return None, 0


def _iso(found: re.Match[str]) -> Optional[float]:
    date, clock, fraction, zone = found.groups()
    offset = "+00:00" if zone in (None, "Z") else zone[:3] + ":" + zone[-2:]
    try:
        whole = datetime.fromisoformat(f"{date}T{clock}{offset}").timestamp()
    except ValueError:
        return None
    # No kernel that traces ran before the epoch.
    return whole + _fraction(fraction) if whole >= 0 else None


def _in_year(found: re.Match[str]) -> Optional[float]:
    month, day, hour, minute, *more = found.groups()
    second, part = more or ("0", None)
    moment = _moment(_YEAR_OF_STAMPS, month, day, hour, minute, second)
    return None if moment is None else moment - _YEAR_BEGIN + _fraction(part)


def _moment(
    year: int, month: str, day: str, hour: str, minute: str, second: str, part: Optional[str] = None
) -> Optional[float]:
    date = (year, _MONTH_NAMES.index(month) + 1, int(day))
    try:
        whole = datetime(*date, int(hour), int(minute), int(second), tzinfo=timezone.utc)
    except ValueError:
        return None
    seconds = whole.timestamp()
    return seconds + _fraction(part) if seconds >= 0 else None


def _fraction(digits: Optional[str]) -> float:
    return int(digits.ljust(6, "0")) / 1e6 if digits else 0.0


_YEAR_BEGIN = datetime(_YEAR_OF_STAMPS, 1, 1, tzinfo=timezone.utc).timestamp()
