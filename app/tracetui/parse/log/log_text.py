"""Kernel messages in the text of a log, as copies really have them.

A record that does not end as its protocol's do waits for the next line: a terminal or a mail may
have wrapped it, or cut all lines at one column.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

from tracetui.model.trace.hop import LOG, Hop
from tracetui.parse.log import kmsg, record_body, trace_record, wrapper
from tracetui.parse.log.clock import Clock
from tracetui.parse.log.line_buffer import LineBuffer
from tracetui.parse.log.record_cache import RecordCache

_KMSG_PREFIX = re.compile(r"\s{0,2}\d+,\d+,\d+,[^;]*;", re.ASCII)
_KMSG_INSIDE = re.compile(r"(?:^|(?<=\s))(\d{1,3},\d{1,20},\d{1,20},[^;\s]{0,64};)", re.ASCII)
_LONGEST_JOINED = 8192
"""Characters of a record with the lines that go on with it."""
_BEGUN = re.compile(r"TRACE:?[ \t]?[^\s=]{0,300}$")
"""A record whose trace point does not end on its line."""
_NARROWEST_WRAP = 40
"""Columns that lines are wrapped at, at least."""
_UNREAD_REST = re.compile(
    r"\s{0,16}(?:O?P?T ?)?\(?(?:[0-9A-F]{2,80}|TRUNCATED)?\) ?(?:UID=\d{1,10} GID=\d{1,10} ?)?",
    re.ASCII,
)
"""TCP options and a socket's owner, which may follow the last field that is read."""
_VALUE_REST = re.compile(r"[0-9A-Fa-fx.:)\]]{1,48}\s*$")
"""The rest of a value and no more."""
_WRAPPERS = (
    r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) "
    r"{1,2}\d{1,2} {0,2}\d\d:|\d{4}-\d\d-\d\d[T ]\d|\[[A-Z][a-z]{2} [A-Z]|\[[ <+]{0,12}\d|<\d{1,3}>"
    r"|kern {0,3}:|\d{1,3},\d{1,20},\d{1,18},"
)
_AHEAD = re.compile(_WRAPPERS, re.ASCII)
_AHEAD_INSIDE = re.compile(rf"(?:^|(?<=\s))(?:{_WRAPPERS})", re.ASCII)
"""The beginning of the next record."""
_LAST_WORD = re.compile(r"(?<!\S)\S{1,300}$")
_KEYS = "|".join(sorted(record_body.KEYS))
_BARE = "|".join((*record_body.TCP_FLAGS, *record_body.WORDS))
_KERNEL_WORD = re.compile(rf"(?:{_KEYS})=|(?:{_BARE})(?!\S)|OPT \(|FRAG:|\[SRC=")
_WHOLE_WORD = re.compile(rf"(?:{_KEYS})=\S{{0,128}}|{_BARE}|FRAG:\d+|\]|\)|bytes\]")
"""A word as the kernel prints it, or one whose end could be missing only if more of it followed."""


class _Pending(NamedTuple):
    text: str
    """From its first line's beginning."""
    body: int
    """Offset of the end of the trace point."""
    width: int
    """Characters of the line that came last."""
    time: Optional[float]


class LogText:
    """The records of one file, one line after the other.

    Methods add the hops that a line gives or ends to ``out``, and say whether it was of use: it
    was, too, if it waits for the next or goes on with one that did.
    """

    def __init__(self, clock: Clock, cache: RecordCache) -> None:
        self._clock = clock
        self._cache = cache
        self._pending: Optional[_Pending] = None
        self._head: Optional[str] = None
        self._wrapped_at: Optional[int] = None
        self._cut_at: Optional[int] = None
        self._ended_at = 0
        self.why = ""
        """Why the last line was of no use."""
        self.cut_off = 0
        """Records that were cut off in their rule's number; whoever counts them sets it to 0."""
        self.took_beginning = False
        """Whether the last line ended a record that the line before it began."""

    def take_known(self, block: LineBuffer, most: int) -> list[Hop]:
        """The hops of the next lines, as far as the cache knows them."""
        if self._pending is not None or self._head is not None:
            return []
        found = self._cache.hops(block, most, self._wrapped_at)
        if found:
            self._ended_at = self._cache.last_length or self._ended_at
        return found

    def take(self, text: str, found: re.Match[str], out: list[Hop]) -> bool:
        """Take a line with a trace point."""
        self._head = None
        if text[:1] != "[" and _KMSG_PREFIX.match(text):
            return self._take_kmsg(text, out)
        prefix = text[: found.start()]
        if wrapper.is_of_a_program(prefix):
            self.release(out)
            self.why = "a program wrote it, not the kernel"
            return False
        time = self._clock.time_of(prefix)
        if text.find("TRACE:", found.end()) >= 0:
            self.release(out)
            return self._take_joined(text, time, out)
        self._take_record(_Pending(text, found.end(), len(text), time), found, out)
        return True

    def take_other(self, text: str, out: list[Hop]) -> bool:
        """Take a line without a whole trace point."""
        head, self._head = self._head, None
        self.took_beginning = False
        if head is not None and not _AHEAD.match(text):
            whole = head + _unindented(text)
            found = trace_record.find(whole)
            if found is not None and found.end() > len(head):
                self._wrapped_at, self.took_beginning = len(head), True
                return self.take(whole, found, out)
        found = trace_record.find_headless(text)
        if found is not None:
            return self.take(text, found, out)
        if self._goes_on(text, out):
            return True
        ended, self._ended_at = self._ended_at, 0
        if ended >= _NARROWEST_WRAP and self._pending is None and _UNREAD_REST.fullmatch(text):
            self._wrapped_at = ended
            return True
        self.release(out)
        self._clock.pass_by(text)
        self.why = "no TRACE record"
        if _BEGUN.search(text[-320:]):
            self._head = text
        return False

    @property
    def has_begun(self) -> bool:
        """Whether the last line, which was of no use, is one that a record may begin on."""
        return self._head is not None

    def release(self, out: list[Hop], before: Optional[_Pending] = None) -> None:
        """The record that waits, as it is; ``before`` which other one that does not end either."""
        pending, self._pending = self._pending, None
        if pending is None:
            return
        text = pending.text
        if before is not None and before.width == pending.width and before.body != pending.body:
            self._cut_at = pending.width
        if pending.width == self._cut_at and not text[-1:].isspace():
            # All lines end at one column, so the last value may go on, and so may a rule's number.
            if pending.body == len(text):
                self.cut_off += 1
                return
            last = _LAST_WORD.search(text)
            text = text[: last.start()] if last and last.start() > pending.body else text
        found = trace_record.find(text) or trace_record.find_headless(text)
        if found is not None:
            out.append(trace_record.hop(found, trace_record.body_of(text, found), pending.time))

    def _take_record(self, record: _Pending, found: re.Match[str], out: list[Hop]) -> None:
        body = trace_record.body_of(record.text, found)
        is_whole = body.is_whole and record.width != self._wrapped_at
        if self._pending is not None:
            self.release(out, None if is_whole else record)
        if is_whole:
            out.append(trace_record.hop(found, body, record.time))
            self._ended_at = record.width
        else:
            self._pending = record

    def _goes_on(self, text: str, out: list[Hop]) -> bool:
        """Whether a line goes on with the record that waits."""
        pending = self._pending
        if pending is None or _AHEAD.match(text) or len(pending.text) + len(text) > _LONGEST_JOINED:
            return False
        rest = _unindented(text)
        is_own = any(_KERNEL_WORD.match(word) for word in rest.split(None, 2)[:2])
        if not is_own and not _VALUE_REST.fullmatch(rest) and not _UNREAD_REST.fullmatch(rest):
            return False
        whole = _joined(pending.text, rest)
        found = trace_record.find(whole) or trace_record.find_headless(whole)
        if found is None:
            return False
        self._wrapped_at, self._pending = pending.width, None
        self._take_record(_Pending(whole, found.end(), len(text), pending.time), found, out)
        return True

    def _take_kmsg(self, text: str, out: list[Hop]) -> bool:
        self.release(out)
        starts = [found.start(1) for found in _KMSG_INSIDE.finditer(text)] or [0]
        used = False
        for start, end in zip(starts, [*starts[1:], len(text)]):
            hop = kmsg.parse(text[start:end], None)
            if hop is not None:
                out.append(hop.with_(source=LOG))
                used = True
        self.why = "no TRACE record of the kernel's"
        return used

    def _take_joined(self, text: str, time: Optional[float], out: list[Hop]) -> bool:
        """Take several records that were joined on one line, each with its wrapper in front."""
        points = trace_record.find_all(text)
        is_forged = False
        for found, after in zip(points, [*points[1:], None]):
            part = text[found.end() : after.start() if after else len(text)]
            ahead = _AHEAD_INSIDE.search(part)
            body = part[: ahead.start()] if ahead else part
            if not is_forged:
                out.append(
                    trace_record.hop(
                        found, record_body.read(body[: record_body.LONGEST_BODY].strip()), time
                    )
                )
            prefix = part[ahead.start() :] if ahead else ""
            time = self._clock.time_of(prefix.lstrip()) if prefix else None
            is_forged = wrapper.is_of_a_program(prefix)
        return True


def _unindented(text: str) -> str:
    """A line that goes on with another without the blanks that set it off; one may be its own."""
    rest = text.lstrip()
    return rest if len(text) - len(rest) > 1 else text


def _joined(head: str, tail: str) -> str:
    """Two lines of one record as one; the blank between them may have been lost.

    It is put back only where a word ends and a word of the kernel's begins.
    """
    last = _LAST_WORD.search(head)
    is_end = last is not None and _WHOLE_WORD.fullmatch(last[0]) is not None
    if is_end and not tail[:1].isspace() and _KERNEL_WORD.match(tail):
        return f"{head} {tail}"
    return head + tail
