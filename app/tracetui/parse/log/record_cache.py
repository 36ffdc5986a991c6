"""The cache before the reader of logs: records whose every part is known need no decoder.

A line is cut into its wrapper, its trace point and its body. Wrappers differ line by line in some
digits only, all packets have the trace points in common, and all hops of one hook the body. Other
lines are left to ``LogText``, which decodes these to the same hops.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby, repeat, takewhile
from operator import itemgetter
from typing import Optional

from tracetui.model.trace.hop import Hop, PacketState, new_hop
from tracetui.model.trace.memo import Memo
from tracetui.model.trace.trace_point import TracePoint
from tracetui.parse.log import stamps, trace_record, wrapper
from tracetui.parse.log.body_cache import BodyCache, is_odd
from tracetui.parse.log.clock import Clock
from tracetui.parse.log.line_buffer import LineBuffer
from tracetui.parse.log.losses import RecordNumbers

REMEMBERED = 4096
"""Texts of each kind."""
_DATE = (
    r"(?:[A-Z][a-z]{2} [ 0-9][0-9] |[0-9]{4}-[0-9]{2}-[0-9]{2}[T ])[0-9]{2}:[0-9]{2}:[0-9]{2}"
    r"(?:[.,](?=[0-9])|)"
)


def _up_to_record(sign: str, capitals: int = 3) -> str:
    """A pattern of what stands before ``sign`` and ``TRACE: ``, with so many other T at most."""
    more = rf"(?:T(?!RACE: ){_up_to_record(sign, capitals - 1)}|)" if capitals else ""
    return rf"[^{sign}T\n]{{0,99}}{more}"


# An empty alternative costs less than a group that may be left out.
_LINE = re.compile(
    r"((?:([0-7]),([0-9]{1,18}),([0-9]{1,18}),[\w,=.+-]{0,64};|"
    rf"(?:({_DATE})(?:(?<=[.,])([0-9]{{6}})[0-9]{{0,6}}|)|)"
    rf"({_up_to_record('[')}(?:\[[A-Z][^\]\n]{{0,40}}\] {_up_to_record('[')}|))"
    rf"(?:\[( {{0,11}}[0-9]{{1,12}}\.[0-9]{{6}})(\]{_up_to_record('')})|))"
    r"(TRACE: [^ \n]+) (IN=.*)|.+)\n?|\n",
    re.ASCII,
)
"""A line; of a record of /dev/kmsg that the kernel wrote, its level, number and microseconds since
boot; of others their date and the fraction of its second, what else stands before the kernel's own
stamp, that, and what stands behind it; the trace point and the body. Other lines have none."""
_PLAIN_LINE = re.compile(
    r"(\[( {0,11}[0-9]{1,12}\.[0-9]{6})\] (TRACE: [^ \n]+) (IN=.*)|.+)\n?|\n", re.ASCII
)
"""A line of plain dmesg: the kernel's stamp, the trace point and the body; others have none.

Many logs have no other lines, and fewer parts are cut in less time."""
_PLAIN_WRAPPER = ("", "", "] ")
_WRAPPER_COLUMNS = (1, 4, 6, 8)
"""The level and the parts of the wrapper: hops of one hook agree in them, as in the body."""
_NEW_HOP = partial(new_hop, Hop)
_POINT = re.compile(r"TRACE: [^:\s]{1,255}:\S{1,255}:(?:rule|return|policy):[0-9]{1,10}", re.ASCII)
_USUAL_PREFIX = re.compile(r"(?:[\w<+\[][\w <>:.+/()@\[\]-]{0,250})?", re.ASCII)
_SIX_DIGITS = re.compile("[0-9]{6}")
"""Part of a stamp that is not cut out: such a wrapper does not come again."""
_PROBES = (("000000", "    0.000000"), ("500000", "    1.500000"))
"""Fractions of a second and uptimes that floats hold exactly."""
_Row = tuple[str, ...]


class _Points(Memo[str, TracePoint]):
    """Trace points of one family by what the kernel prints; KeyError for what names none."""

    def __init__(self, family: str, size: int) -> None:
        super().__init__(size)
        self._family = family

    def __missing__(self, printed: str) -> TracePoint:
        is_usual = _POINT.fullmatch(printed) is not None and not is_odd(printed[1:])
        found = trace_record.find(printed) if is_usual else None
        if found is None:
            raise KeyError(printed)
        return self.learn(printed, trace_record.point(found, self._family))


_KnownBody = tuple[PacketState, _Points]


def _by_wrapper(rows: list[_Row]) -> Iterator[tuple[_Row, ...]]:
    """The columns of lines, apart where they differ in level or wrapper: seldom in one hook."""
    columns = tuple(zip(*rows))
    if all(columns[at].count(columns[at][0]) == len(rows) for at in _WRAPPER_COLUMNS):
        yield columns
    else:
        for _, alike in groupby(rows, itemgetter(*_WRAPPER_COLUMNS)):
            yield tuple(zip(*alike))


class RecordCache:
    """Looks up the lines of one file."""

    def __init__(self, clock: Clock, numbers: RecordNumbers, size: int = REMEMBERED) -> None:
        """Remember so many texts of each kind; with 0 every line is left to the decoder."""
        self._clock = clock
        self._numbers = numbers
        self._size = size
        self._wrappers: Memo[tuple[str, ...], stamps.Stamps] = Memo(size)
        self._states: Memo[str, _KnownBody] = Memo(size)
        self._points = {family: _Points(family, size) for family in ("ip", "ip6")}
        self._bodies = BodyCache(size)
        self._block = LineBuffer.done()
        self._rows: list[_Row] = []
        """Lines of the block in their parts."""
        self._next = self._begin = 0
        """The first of them that was not read, and where in the block it begins."""
        self._is_plain = False
        """Whether they are plain dmesg's."""
        self.last_length: Optional[int] = None
        """Characters of the line taken last that is no record of /dev/kmsg; None without one."""

    def hops(self, block: LineBuffer, most: int, but: Optional[int] = None) -> list[Hop]:
        """The hops of the lines that come next in a block, of about so many characters at most.

        The lines are taken from it; the first that is not known in every part, or has ``but``
        characters, is left.
        """
        if not self._size:
            return []
        rows = self._cut(block, most)
        if but is not None:
            rows = list(takewhile(lambda row: len(row[0]) != but, rows))
        if not rows or not rows[0][-1]:
            return []
        hops = self._read_plain(rows) if self._is_plain else self._read(rows)
        taken = len(hops)
        if taken:
            block.pass_to(block.at + sum([len(row[0]) for row in rows[:taken]]) + taken - 1)
            self._next, self._begin = self._next + taken, block.at
            wrapped = (len(row[0]) for row in rows[taken - 1 :: -1] if self._is_plain or not row[1])
            self.last_length = next(wrapped, None)
        return hops

    def _cut(self, block: LineBuffer, most: int) -> list[_Row]:
        """The next lines in their parts; cut anew where the last ones are used up."""
        rows = self._rows
        if block is self._block:
            while self._begin < block.at and self._next < len(rows):
                self._begin += len(rows[self._next][0]) + 1
                self._next += 1
        is_used_up = block is not self._block or self._begin != block.at or self._next == len(rows)
        if is_used_up or (self._is_plain and not rows[self._next][-1]):
            self._block, self._begin, self._next = block, block.at, 0
            rows = self._rows = self._cut_anew(block, block.end_of(most))
        return rows[self._next :] if self._next else rows

    def _cut_anew(self, block: LineBuffer, end: int) -> list[_Row]:
        """The next lines in their parts: plain dmesg's, if the first one is one."""
        if block.text.startswith("[", block.at):
            rows = _PLAIN_LINE.findall(block.text, block.at, end)
            self._is_plain = bool(rows) and bool(rows[0][-1])
            if self._is_plain:
                return rows
        self._is_plain = False
        return _LINE.findall(block.text, block.at, end)

    def _read_plain(self, rows: list[_Row]) -> list[Hop]:
        """The hops of plain dmesg's lines, up to the first that is not known."""
        hops: list[Hop] = []
        for body, same_body in groupby(rows, itemgetter(3)):
            _, uptimes, words, _ = zip(*same_body)
            parts = self._parts(body, _PLAIN_WRAPPER, words)
            if parts is None:
                return hops
            zero, state, points = parts
            times = self._clock.times(zero, ("",) * len(points), uptimes)
            hops += map(_NEW_HOP, zip(points, repeat(state), times))
        return hops

    def _read(self, rows: list[_Row]) -> list[Hop]:
        """The hops of lines, up to the first that is not known or stands behind a gap."""
        hops: list[Hop] = []
        for body, same_body in groupby(rows, itemgetter(10)):
            for columns in _by_wrapper(list(same_body)):
                _, levels, numbers, microseconds, dates, fractions = columns[:6]
                prefixes, uptimes, suffixes, words, _ = columns[6:]
                parts = self._parts(body, (dates[0], prefixes[0], suffixes[0]), words)
                if parts is None:
                    return hops
                zero, state, points = parts
                if not levels[0]:
                    times: Sequence[Optional[float]] = self._clock.times(zero, fractions, uptimes)
                else:
                    count = self._numbers.take(map(int, numbers))
                    times = [int(digits) / 1e6 for digits in microseconds[:count]]
                hops += map(_NEW_HOP, zip(points, repeat(state), times))
                if len(times) < len(points):
                    return hops
        return hops

    def _parts(
        self, body: str, wrapper_key: tuple[str, str, str], words: Iterable[str]
    ) -> Optional[tuple[stamps.Stamps, PacketState, list[TracePoint]]]:
        """The stamps, state and trace points of lines of one wrapper and body, if all are known."""
        known = self._known(body)
        zero = self._wrappers.get(wrapper_key) or self._learn_wrapper(*wrapper_key)
        if zero is None or known is None:
            return None
        state, points = known
        try:
            return zero, state, list(map(points.__getitem__, words))
        except KeyError:
            return None

    def _known(self, body: str) -> Optional[_KnownBody]:
        """The state that a body shows, and the trace points of its family."""
        known = self._states.get(body)
        state = self._bodies.state(body) if known is None and body else None
        if state is None:
            return known
        header = state.header
        family = "ip6" if header is not None and header.family == 6 else "ip"
        return self._states.learn(body, (state, self._points[family]))

    def _learn_wrapper(self, date: str, before: str, behind: str) -> Optional[stamps.Stamps]:
        """The stamps of a wrapper whose own digits are zeros.

        None where not every digit that differs is cut out, or the wrapper says more.
        """
        is_fine = date.endswith((".", ","))
        prefixes = [
            date + fraction * is_fine + before + f"[{uptime}{behind}" * bool(behind)
            for fraction, uptime in _PROBES
        ]
        prefix = prefixes[0]
        is_usual = _USUAL_PREFIX.fullmatch(prefix.replace(",", ".", 1) if is_fine else prefix)
        if is_usual is None or "TRACE:" in prefix or wrapper.is_of_a_program(prefix):
            return None
        if before[:1].isdigit() or _SIX_DIGITS.search(before) or _SIX_DIGITS.search(behind):
            return None
        zero, other = map(stamps.read, prefixes)
        if zero.gap is not None or zero.minute is not None:
            return None
        wall, in_year = (
            None if seconds is None else seconds + is_fine / 2
            for seconds in (zero.wall, zero.in_year)
        )
        uptime = 1.5 if behind else None
        if other != zero._replace(wall=wall, in_year=in_year, uptime=uptime):
            return None
        return self._wrappers.learn((date, before, behind), zero)
