"""When a record was: one time out of the stamps of a line and of those before it."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from typing import Optional

from tracetui.model.trace.hop import SINCE_EPOCH
from tracetui.model.trace.moments import OF_A_YEAR, OF_NO_START
from tracetui.parse.log import stamps

_DMESG_PREFIX = re.compile(r"\[ {0,11}(\d{1,12}\.\d{6})\] ", re.ASCII)
"""A prefix of plain dmesg."""
_OF_WALL = re.compile(r"\d\d:\d\d|\d{9}", re.ASCII)
"""Part of every stamp of a wall clock."""
_FRONT = 40
"""Characters of a line without a hop that may hold its stamps."""
_HOSTS = 64
"""Clocks that are known at once, for logs of several hosts merged into one."""
_SAME_BOOT_SECONDS = 2.0
"""Seconds between what a wall clock says and what it should by the kernel's; more is another boot,
a suspended machine or a record that was late."""
_SURELY_SAME_BOOT = 1.9
"""Less of them, by more than a float's rounding."""


class Clock:
    """Turns stamps to ``Hop.time``; the clock of one file.

    The kernel's own stamp tells distances best, that of a logger the date: where a line has both,
    the time is the kernel's, laid beside the wall clock once. Without a date, a time below
    ``SINCE_EPOCH`` keeps the distances, and the date is not known (``model.trace.moments``).
    """

    def __init__(self) -> None:
        self._offsets: OrderedDict[str, float] = OrderedDict()
        self._running: Optional[float] = None
        self._start = OF_NO_START
        self._minute: tuple[float, float] = (0.0, 0.0)

    def time_of(self, prefix: str) -> Optional[float]:
        """The time of a line by what stands before its message."""
        plain = _DMESG_PREFIX.fullmatch(prefix)
        if plain is not None:
            return float(plain[1])
        found = stamps.read(prefix)
        if found.gap is not None or found.minute is not None:
            return self._relative(found)
        if found.uptime is not None:
            return self.beside(found.wall, found.uptime, found.host)
        if found.wall is None and found.in_year is not None:
            return OF_A_YEAR + found.in_year
        return found.wall

    def times(
        self, zero: stamps.Stamps, fractions: Sequence[str], uptimes: Sequence[str]
    ) -> tuple[Optional[float], ...]:
        """The times of lines whose stamps are ``zero`` but for these digits, as of each alone.

        ``fractions`` are microseconds, ``uptimes`` seconds since boot; texts are empty where the
        lines have none.
        """
        wall, in_year = zero.wall, zero.in_year
        if zero.uptime is not None:
            since_boot = tuple(map(float, uptimes))
            if wall is None:
                return since_boot
            return self._all_beside(wall, fractions, since_boot, zero.host)
        if in_year is not None:
            return tuple([OF_A_YEAR + (in_year + int(digits or 0) / 1e6) for digits in fractions])
        if wall is None or not fractions[0]:
            return (wall,) * len(fractions)
        return tuple([wall + int(digits) / 1e6 for digits in fractions])

    def pass_by(self, line: str) -> None:
        """Note the stamp of a line that holds no hop: the next one may count from it."""
        if not line.startswith("[") or line[1:2] not in ("<", "+", " ", *"JFMASOND"):
            return
        plain = _DMESG_PREFIX.match(line)
        if plain is None or _OF_WALL.search(line, plain.end(), _FRONT) is not None:
            self.time_of(line[:_FRONT])

    def beside(self, wall: Optional[float], uptime: float, host: str) -> float:
        """The time of a record with both stamps, in seconds since the epoch; or since boot."""
        if wall is None or wall < SINCE_EPOCH:
            return uptime
        offset = self._offsets.get(host)
        if offset is None or abs(wall - uptime - offset) > _SAME_BOOT_SECONDS:
            offset = self._offsets[host] = wall - uptime
            if len(self._offsets) > _HOSTS:
                self._offsets.popitem(last=False)
        return uptime + offset

    def _all_beside(
        self, second: float, fractions: Sequence[str], uptimes: Sequence[float], host: str
    ) -> tuple[float, ...]:
        """The times of records with both stamps, the wall clock's of one second."""
        offset = self._offsets.get(host)
        if offset is not None and second >= SINCE_EPOCH:
            # So near to each other that no fraction of the second can have them apart.
            soonest, latest = second - max(uptimes) - offset, second + 1 - min(uptimes) - offset
            if soonest >= -_SURELY_SAME_BOOT and latest <= _SURELY_SAME_BOOT:
                return tuple([uptime + offset for uptime in uptimes])
        walls = [second + int(digits or 0) / 1e6 for digits in fractions]
        return tuple([self.beside(*both, host) for both in zip(walls, uptimes)])

    def _relative(self, found: stamps.Stamps) -> Optional[float]:
        """``dmesg --reltime`` tells the minute where that changes, and else what passed since."""
        if found.minute is None:
            self._running = (self._running or 0.0) + (found.gap or 0.0)
        elif self._start == OF_NO_START or self._running is None or found.minute < self._minute[0]:
            self._start = OF_A_YEAR
            self._running, self._minute = found.minute, (found.minute, found.minute)
        else:
            # Within its minute each can be anywhere: no more passed for certain than this.
            minute, then = self._minute
            self._running = max(self._running, then + found.minute - minute - 60)
            self._minute = (found.minute, self._running)
        return self._start + self._running
