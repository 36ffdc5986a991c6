"""Entries of the systemd journal (systemd.journal-fields(7)), of ``journalctl -o json`` and others.

``-o verbose`` and ``-o export`` print a field a line, in no fixed order: who wrote an entry may
follow its message.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple, Optional

_ENTRY_FIELD = re.compile(r"\s{0,8}([A-Z_][A-Z0-9_]{0,63})=(.*)", re.DOTALL)
_ENTRY_BEGIN = re.compile(r"(?:__CURSOR|__REALTIME_TIMESTAMP)=|.{10,60} \[s=[0-9a-f]{4,32};i=")
_MOST_FIELDS = 256
_LONGEST_MESSAGE = 64 << 10
"""Characters of a message."""


class JournalEntry(NamedTuple):
    """A message and its stamps, as an entry has them."""

    message: str
    is_of_kernel: bool
    """False only where it says that something else wrote it."""
    wall: Optional[float]
    """Seconds since the epoch, when journald got it."""
    uptime: Optional[float]
    """Seconds since boot, by the kernel's own stamp."""
    host: str


class JournalText:
    """Entries that are printed a field a line."""

    def __init__(self) -> None:
        self._fields: Optional[dict[str, Any]] = None
        self.line = 0
        """The number of the line of the open entry's message; 0 before that came."""

    @property
    def is_open(self) -> bool:
        """Whether an entry has begun."""
        return self._fields is not None

    def begins(self, text: str) -> bool:
        """Whether an entry begins on a line; that is also one of its fields in ``-o export``."""
        return _ENTRY_BEGIN.match(text) is not None

    def take(self, text: str, number: int) -> bool:
        """Take a line into the open entry, or begin one; False for a line that is of neither."""
        found = _ENTRY_FIELD.match(text)
        if self._fields is None:
            if not self.begins(text):
                return False
            self._fields, self.line = {}, 0
        elif found is None or found[1] in self._fields or len(self._fields) >= _MOST_FIELDS:
            return False
        if found is not None:
            self._fields[found[1]] = found[2][:_LONGEST_MESSAGE]
            self.line = number if found[1] == "MESSAGE" else self.line
        return True

    def close(self) -> Optional[JournalEntry]:
        """End the open entry; None if it has no message."""
        fields, self._fields = self._fields, None
        return None if fields is None else entry(fields)


def entry(fields: dict[str, Any]) -> Optional[JournalEntry]:
    """The entry that some fields make; None without a message."""
    message = _text(fields.get("MESSAGE"))
    if message is None:
        return None
    facility, transport = fields.get("SYSLOG_FACILITY"), fields.get("_TRANSPORT")
    stamp = _microseconds(fields.get("_SOURCE_MONOTONIC_TIMESTAMP"))
    return JournalEntry(
        message,
        str(facility) in ("0", "None") and transport in ("kernel", None),
        _microseconds(fields.get("__REALTIME_TIMESTAMP")),
        stamp,
        f"{fields.get('_HOSTNAME')}/{fields.get('_BOOT_ID')}"[:128],
    )


def _text(value: Any) -> Optional[str]:
    """A message, which comes as a list of bytes if it is no UTF-8, or of the field's values."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not value or len(value) > _LONGEST_MESSAGE:
        return None
    if all(type(one) is int and 0 <= one < 256 for one in value):
        return bytes(value).decode(errors="backslashreplace")
    return value[-1] if isinstance(value[-1], str) else None


def _microseconds(value: Any) -> Optional[float]:
    """Seconds; journalctl prints numbers as texts."""
    text = str(value) if isinstance(value, (str, int)) else ""
    return int(text) / 1e6 if re.fullmatch("[0-9]{1,17}", text) else None
