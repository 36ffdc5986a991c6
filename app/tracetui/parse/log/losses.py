"""Records that were lost on the way to a log, by the log's own words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple, Optional

_MOST_LOST = 10**15
"""Records; a number beyond is damage."""
_LOSS_WORDS = ("lost", "rop", "uppressed", "issed", "epeated", "No buffer space")
_LOSS_NOTES = tuple(
    re.compile(pattern)
    for pattern in (
        # rsyslog: imklog, imuxsock, imjournal.
        r"(?:(?P<count>\d{1,15}) )?messages? lost (?:from .{1,64} )?due to rate-limiting",
        r"\blost (?P<count>\d{1,15}) messages from .{1,64} due to rate-limiting",
        r"begins? to drop messages(?: from .{1,64})? due to rate-limiting",
        # systemd-journald: of a unit, and records that the kernel overwrote before it read them.
        r"\bSuppressed (?P<count>\d{1,15}) messages from \S",
        r"\bMissed (?P<count>\d{1,15}) kernel messages",
        # The kernel's console.
        r"\*\* (?P<count>\d{1,15}) printk messages dropped",
        r"\bprintk: (?P<count>\d{1,15}) messages? dropped",
        # syslogd writes what comes again once.
        r"\blast message repeated (?P<count>\d{1,15}) times",
        r"\bmessage repeated (?P<count>\d{1,15}) times: \[",
        # nft monitor and xtables-monitor, whose socket overran.
        r"We lost some netlink events",
        r"No buffer space available",
    )
)


class Loss(NamedTuple):
    """A gap in a log, by the log's own words."""

    line: int
    """The number of the line that tells of it, from 1."""
    records: Optional[int]
    """Count of missing records of any kind; None where the log does not tell it."""
    text: str
    """In words."""


def loss_in(text: str, line: int) -> Optional[Loss]:
    """Read the loss that a line of a log tells of; None if it tells of none."""
    if not any(word in text for word in _LOSS_WORDS):
        return None
    for pattern in _LOSS_NOTES:
        found = pattern.search(text)
        if found is not None:
            count = found.groupdict().get("count")
            return Loss(line, int(count) if count else None, found[0])
    return None


class RecordNumbers:
    """The numbers that /dev/kmsg gives its records (Documentation/ABI/testing/dev-kmsg)."""

    def __init__(self) -> None:
        self._last: Optional[int] = None

    def missing(self, number: int) -> int:
        """Count the records missing before this one; a lower number is another boot's."""
        last, self._last = self._last, number
        gap = 0 if last is None else number - last - 1
        return gap if 0 < gap < _MOST_LOST else 0

    def take(self, numbers: Iterable[int]) -> int:
        """Take numbers up to the first gap; how many."""
        taken = 0
        for number in numbers:
            if self._last is not None and number != self._last + 1:
                break
            self._last = number
            taken += 1
        return taken
