"""Times of hops whose date is not known: they keep distances, and what the log printed.

``Hop.time`` is one number. From ``SINCE_EPOCH`` on it counts from the epoch, from 0 on from boot; a
stamp without a year, and distances from a moment that is not told, count from far below.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Optional

from tracetui.model.trace.hop import END_OF_CALENDAR, SINCE_EPOCH

OF_A_YEAR = -1e9
"""Seconds; from here on a time counts from the beginning of a year that the log does not tell."""
OF_NO_START = -2e9
"""Seconds; from here on a time counts from a moment that nothing tells."""
_LEAP_YEAR = datetime(1972, 1, 1, tzinfo=timezone.utc).timestamp()
_UNKNOWN = "--:--:--.---"


def stamp(time: Optional[float]) -> str:
    """A time as the log printed it: its uptime, or month and day; UTC's clock for a known date."""
    if time is not None and OF_A_YEAR <= time < 0:
        return f"{_in_year(time):%b %d %H:%M:%S}{_fraction(time)}"
    if time is not None and 0 <= time < SINCE_EPOCH:
        return f"{time:.6f}"
    return clock(time)


def clock(time: Optional[float]) -> str:
    """The time of day in UTC with milliseconds, or the uptime; dashes where neither is known.

    Twelve characters, or more for an uptime of years.
    """
    if time is None or time < OF_A_YEAR or time >= END_OF_CALENDAR:
        return _UNKNOWN
    if 0 <= time < SINCE_EPOCH:
        whole = f"{time:.6f}"
        return whole[: max(12, whole.index(".") + 4)].rjust(12)
    moment = _in_year(time) if time < 0 else datetime.fromtimestamp(time, timezone.utc)
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}"


def dated(time: Optional[float]) -> str:
    """A time with its date and zone, as far as the source tells them."""
    if time is None or not OF_A_YEAR <= time < END_OF_CALENDAR:
        return "not known"
    if time < 0:
        return f"{stamp(time)}, in a year that the log does not tell"
    if time < SINCE_EPOCH:
        return f"{stamp(time)} s since boot"
    return f"{datetime.fromtimestamp(time, timezone.utc):%Y-%m-%d %H:%M:%S.%f} UTC"


def _in_year(time: float) -> datetime:
    # A year with a 29th of February: the days are as far from its beginning as the log's are.
    return datetime.fromtimestamp(_LEAP_YEAR + round(time - OF_A_YEAR, 6), timezone.utc)


def _fraction(time: float) -> str:
    part = round((time - OF_A_YEAR) % 1, 6)
    return f"{part:.6f}"[1:] if 0 < part < 1 else ""
