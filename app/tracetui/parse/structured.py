"""Messages inside JSON objects and journal entries."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, Optional

from tracetui.model.trace.hop import Hop
from tracetui.parse import json_text
from tracetui.parse.log import journal, json_objects, trace_record
from tracetui.parse.log.clock import Clock
from tracetui.parse.tools import ulogd

NO_HOP = "no TRACE record"
OF_A_PROGRAM = "a program wrote it, not the kernel"
_LONGEST_UPTIME = 1e8
"""Seconds of uptime."""
_BROKEN_JSON = "JSON that is broken"
_LINE_KEYS = ("log", "message", "MSG", "short_message", "line")
"""Keys under which others keep a whole line of a log: container engines, GELF, Loki."""
_NANOSECONDS = re.compile(r"[0-9]{19}")
_TIME_KEYS = ("time", "@timestamp", "timestamp")
_PAIR = re.compile(
    r'"([A-Za-z_@][\w.@]{0,63})"\s{0,8}:\s{0,8}("(?:[^"\\]|\\.){0,4096}"|-?\d{1,20}(?=[\s,}])|true|false)'
)
_CUT_PAIR = re.compile(r'"([A-Za-z_@][\w.@]{0,63})"\s{0,8}:\s{0,8}"((?:[^"\\]|\\.){0,4096})$')


class LogMessage(NamedTuple):
    """A hop or a line of a log that was in an object or an entry, or why it gave neither."""

    line: int
    """The number of its line, from 1."""
    hop: Optional[Hop] = None
    text: Optional[str] = None
    """A line of a log that was in it."""
    why: str = ""
    """Why it gave nothing."""


class Structured:
    """The objects and entries of one file."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._objects = json_objects.JsonObjects()
        self._journal = journal.JournalText()

    @property
    def is_open(self) -> bool:
        """Whether an object or an entry has begun."""
        return self._objects.is_open or self._journal.is_open

    def holds(self, text: str) -> bool:
        """Whether a line is of an object or an entry, as far as its beginning tells."""
        if self.is_open:
            return True
        if text[:1] in ("[", "T", "<", "k", "") and text[:2] != "[{":
            return False
        return self._objects.begins(text) or self._journal.begins(text)

    def take(self, text: str, number: int) -> tuple[list[LogMessage], bool]:
        """The messages that end with a line, and whether the line itself was one of theirs."""
        if self._journal.is_open:
            if self._journal.take(text, number):
                return [], True
            ended = self._end_entry(number)
            more, used = self.take(text, number) if self.holds(text) else ([], not text)
            return ended + more, used
        if not self._objects.is_open and self._journal.take(text, number):
            return [], True
        whole = None if self._objects.is_open else self._objects.whole(text)
        is_flat = whole is not None and json_objects.is_record(whole)
        values = [whole] if whole is not None and is_flat else self._objects.take(text)
        # What is broken was broken off before.
        read = [message for value in values for message in self._read_all(value, number)]
        return self._broken(number) + read, True

    def close(self, number: int) -> list[LogMessage]:
        """End what is open; its messages, as far as they can be read."""
        found = self._end_entry(number)
        self._objects.close()
        return found + self._broken(number)

    def _end_entry(self, number: int) -> list[LogMessage]:
        line, found = self._journal.line or number, self._journal.close()
        return [] if found is None else [self._of_journal(found, line)]

    def _broken(self, number: int) -> list[LogMessage]:
        """Messages of objects that are not whole, by the fields that are."""
        found = []
        for text in self._objects.broken:
            value = _pairs(text)
            message = self._read(value, number) if json_objects.is_record(value) else None
            found.append(message or LogMessage(number, why=_BROKEN_JSON))
        self._objects.broken.clear()
        return found

    def _read_all(self, value: dict[str, Any], number: int) -> list[LogMessage]:
        """Messages of an object: one, or those of a stream of Loki's, a pair each."""
        pairs = value.get("values")
        if not isinstance(pairs, list):
            return [self._read(value, number)]
        texts = [pair for pair in pairs if isinstance(pair, list) and len(pair) >= 2]
        return [
            LogMessage(number, text=f"{_stamp(stamp)} {text.rstrip()}".lstrip())
            for stamp, text in ((pair[0], pair[1]) for pair in texts)
            if isinstance(text, str)
        ] or [LogMessage(number, why=NO_HOP)]

    def _read(self, value: dict[str, Any], number: int) -> LogMessage:
        if "MESSAGE" in value:
            entry = journal.entry(value)
            return (
                LogMessage(number, why=NO_HOP) if entry is None else self._of_journal(entry, number)
            )
        if "oob.prefix" in value:
            hop = ulogd.parse(value)
            return LogMessage(number, hop, why="" if hop else NO_HOP)
        if isinstance(value.get("msg"), str):
            return self._of_dmesg(value, number)
        for key in _LINE_KEYS:
            if isinstance(value.get(key), str):
                stamps = (_stamp(value.get(name)) for name in _TIME_KEYS)
                stamp = next(filter(None, stamps), "")
                return LogMessage(number, text=f"{stamp} {value[key].rstrip()}".lstrip())
        return LogMessage(number, why=NO_HOP)

    def _of_journal(self, entry: journal.JournalEntry, number: int) -> LogMessage:
        if not entry.is_of_kernel:
            return LogMessage(number, why=OF_A_PROGRAM)
        found = trace_record.find(entry.message)
        if found is None:
            return LogMessage(number, text=entry.message)
        time = entry.wall
        if entry.uptime is not None:
            time = self._clock.beside(entry.wall, entry.uptime, entry.host)
        body = trace_record.body_of(entry.message, found)
        return LogMessage(number, trace_record.hop(found, body, time))

    def _of_dmesg(self, value: dict[str, Any], number: int) -> LogMessage:
        """A record of ``dmesg --json``, which gives facility and level by name or as a number."""
        level, text = value.get("pri"), value["msg"]
        is_programs = isinstance(level, int) and level >= 8
        if is_programs or value.get("fac", "kern") != "kern":
            return LogMessage(number, why=OF_A_PROGRAM)
        found = trace_record.find(text)
        if found is None:
            return LogMessage(number, text=text)
        stamp = value.get("time")
        if isinstance(stamp, str):
            time = self._clock.time_of(f"[{stamp[:40]}] ")
        else:
            # Compared first: an int can be too large for a float.
            time = None
            if isinstance(stamp, (int, float)) and 0 <= stamp < _LONGEST_UPTIME:
                time = float(stamp)
        return LogMessage(number, trace_record.hop(found, trace_record.body_of(text, found), time))


def _stamp(value: object) -> str:
    """A time as a log prints it: a text as it is, seconds, or nanoseconds as Loki has them."""
    if isinstance(value, str):
        whole = _NANOSECONDS.fullmatch(value)
        return f"{value[:10]}.{value[10:16]}" if whole is not None else value[:40]
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return f"{value:.6f}" if is_number and 1e8 <= value < 1e11 else ""  # type: ignore[operator]


def _pairs(text: str) -> dict[str, Any]:
    """The fields of an object that is broken; the last word of a text that is cut may be, too."""
    found: dict[str, Any] = {}
    for pair in _PAIR.finditer(text):
        try:
            found.setdefault(pair[1], json_text.read(pair[2]))
        except ValueError:
            continue
    cut = _CUT_PAIR.search(text)
    if cut is not None:
        found.setdefault(cut[1], cut[2].rpartition(" ")[0] + " ")
    return found
