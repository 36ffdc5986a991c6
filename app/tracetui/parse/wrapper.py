"""What stands before the message in a copy of the kernel log: the time, where there is one.

Shapes are those of dmesg(1), journalctl(1), rsyslog and /dev/kmsg. A shape that is not known costs
the time only: the message after it is read all the same.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Optional

from tracetui.model.hop import Hop
from tracetui.parse import kmsg, logline

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_KMSG = re.compile(r"\d+,\d+,\d+,[^;]*;")
_ISO = re.compile(
    r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:[.,](\d{1,6}))?(Z|[+-]\d{2}:?\d{2})?"
)
_CTIME = re.compile(r"[A-Z][a-z]{2} ([A-Z][a-z]{2}) +(\d{1,2}) (\d{2}:\d{2}:\d{2}) (\d{4})")
_UPTIME = re.compile(r"\[\s*(\d{1,12}\.\d{6})(?: <\s*\d{1,12}\.\d{6}>)?\]")
_EPOCH = re.compile(r"(\d{9,11}\.\d{6}) ")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def parse_line(line: str) -> Optional[Hop]:
    """The hop of one line of a log in whatever wrapper; None if it holds none."""
    text = _ANSI.sub("", line).replace("\r", "")
    found = logline.find(text)
    if found is None:
        return None
    if _KMSG.match(text):
        return kmsg.parse(text, None)
    return logline.parse(text[found.start() :], time_of(text[: found.start()]))


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
