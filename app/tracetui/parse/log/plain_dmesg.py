"""Lines as plain dmesg prints them, fast: by far the most there is, and most of it comes again.

All hops of one hook have what stands behind the place in common, byte for byte, and all packets the
places, so both are read once; what is left of a line is its stamp. Whatever is not just so is left
to ``log_text``, which reads these lines too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby, takewhile
from operator import itemgetter
from typing import Optional

from tracetui.model.trace.batch import BatchSegment
from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import PacketState
from tracetui.model.trace.memo import Memo
from tracetui.model.trace.trace_point import TracePoint
from tracetui.parse.headers import ethernet
from tracetui.parse.log import record_body, trace_record
from tracetui.parse.log.line_buffer import LineBuffer

KEPT = 4096
"""Texts of each kind remembered."""
LONGEST_LOOK = 1 << 20
"""Characters."""
_LINE = re.compile(
    r"\[( {0,11}[0-9]{1,12}\.[0-9]{6})\] (TRACE: [^ ]+) (IN=.*)\n?|.+\n?|\n", re.ASCII
)
"""A line: its stamp, its place and what is behind it, or nothing of a line of another kind. What
stands in them is looked at when it comes for the first time."""
_AROUND = len("[] ") + len(" ")
"""Characters of such a line that are in none of the three."""
_Row = tuple[str, str, str]
_WHERE = re.compile(r"TRACE: [^:\s]{1,255}:\S{1,255}:(?:rule|return|policy):[0-9]{1,10}", re.ASCII)
_ESCAPES = re.compile(r"[\r\x1b]")
_ADDRESS = r"([0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3})"
_NAME = r"([^\s=\[]{0,15})"
"""Of an interface; it may hold almost anything, and then others look closer."""
_USUAL = re.compile(
    rf"IN={_NAME} OUT={_NAME} (?:MAC=([0-9a-f:]{{0,80}}) )?SRC={_ADDRESS} DST={_ADDRESS} "
    r"LEN=([0-9]{1,5}) TOS=0x[0-9A-F]{2} PREC=0x[0-9A-F]{2} TTL=([0-9]{1,3}) ID=([0-9]{1,5}) "
    r"(?:CE )?(?:DF )?PROTO=(TCP|UDP) SPT=([0-9]{1,5}) DPT=([0-9]{1,5}) "
    r"(?:LEN=[0-9]{1,5} ?|SEQ=([0-9]{1,10}) ACK=([0-9]{1,10}) WINDOW=[0-9]{1,5} "
    r"RES=0x[0-9A-F]{2} ((?:(?:AE|CWR|ECE|URG|ACK|PSH|RST|SYN|FIN) ){0,9})URGP=[0-9]{1,5} ?"
    r"(?:OPT \([0-9A-F]{2,80}\) ?)?)(?:UID=[0-9]{1,10} GID=[0-9]{1,10} ?)?"
    r"(?:MARK=0x([0-9a-f]{1,8}) ?)?",
    re.ASCII,
)
_Known = tuple[PacketState, Memo[str, TracePoint]]


class PlainDmesg:
    """Reads the lines of one file."""

    def __init__(self) -> None:
        self._known: Memo[str, _Known] = Memo(KEPT)
        """What stands behind a place, with the places that are known beside it."""
        self._places: dict[str, Memo[str, TracePoint]] = {
            family: Memo(KEPT) for family in ("ip", "ip6")
        }
        self._ahead = 0
        """Characters to look at, beyond one line: the longer all were just so, the more."""

    def pieces(self, block: LineBuffer, most: int, but: Optional[int] = None) -> list[BatchSegment]:
        """The hops of the lines that a block goes on with, of so many characters at most.

        Of one line at least. They are taken from it; the first that is not just so, or has ``but``
        characters, is left.
        """
        if not block.text.startswith(("[", "\n"), block.at):
            return []
        end = block.end_of(min(most, self._ahead))
        # A line that ends just there is empty, and not of this kind: the one before takes its end.
        while end > block.at and block.text[end - 1] == "\n":
            end -= 1
        rows: list[_Row] = _LINE.findall(block.text, block.at, end)
        fit = rows if but is None else list(takewhile(lambda row: _length(row) != but, rows))
        found = list(self._read(fit))
        taken = sum(len(piece.points) for piece in found)
        self._note(end - block.at if taken == len(rows) else 0)
        if taken:
            if taken < len(rows):
                end = block.at + sum(_length(row) + 1 for row in rows[:taken]) - 1
            block.pass_to(end, _length(rows[taken - 1]))
        return found

    def _note(self, good: int) -> None:
        """Note how many characters in one go were of such lines; none where one was not."""
        self._ahead = max(self._ahead, min(LONGEST_LOOK, 2 * good)) if good else 0

    def _read(self, rows: list[_Row]) -> Iterator[BatchSegment]:
        """What the lines hold, up to the first that is not just so."""
        for rest, alike in groupby(rows, itemgetter(2)):
            known = self._known.get(rest) or self._learn(rest)
            if known is None:
                return
            state, points = known
            stamps, wheres, _ = zip(*alike)
            try:
                here = tuple(map(points.__getitem__, wheres))
            except KeyError:
                here = tuple(self._places_of(wheres, points, rest))
            if here:
                yield BatchSegment(here, state, tuple(map(float, stamps[: len(here)])))
            if len(here) < len(wheres):
                return

    def _places_of(
        self, wheres: Iterable[str], points: Memo[str, TracePoint], rest: str
    ) -> Iterator[TracePoint]:
        """The places that words are, some of them new, up to the first that is none."""
        for where in wheres:
            at = points.get(where)
            if at is None:
                is_one = _WHERE.fullmatch(where) is not None
                hop = trace_record.parse(f"{where} {rest}", None) if is_one else None
                if hop is None:
                    return
                at = points.learn(where, hop.point)
            yield at

    def _learn(self, rest: str) -> Optional[_Known]:
        if not rest or _ESCAPES.search(rest) is not None:
            return None
        state = read_usual(rest)
        if state is None:
            body = record_body.read(rest[: record_body.LONGEST].strip())
            if not body.is_whole or "TRACE:" in rest:
                return None
            state = body.state
        header = state.header
        family = "ip6" if header is not None and header.family == 6 else "ip"
        return self._known.learn(rest, (state, self._places[family]))


def _length(row: _Row) -> int:
    """Characters of a line; only of one that is just so."""
    return sum(map(len, row)) + _AROUND


def read_usual(rest: str) -> Optional[PacketState]:
    """TCP or UDP over IPv4 without options of IP: most there is; None leaves it to ``log_body``.

    It is what the kernel prints, and nothing else (net/netfilter/nf_log_syslog.c).
    """
    found = _USUAL.fullmatch(rest)
    if found is None:
        return None
    iif, oif, mac, src, dst, length, ttl, ip_id, proto, sport, dport, *more = found.groups()
    seq, ack, flags, mark = more
    src, dst = record_body.address(src), record_body.address(dst)
    if src is None or dst is None:
        return None
    ends = src, dst, int(sport), int(dport)
    tcp = (" ".join(flags.split()), int(seq), int(ack)) if seq is not None else (None, None, None)
    header = Header(4, proto.lower(), *ends, int(length), int(ip_id), int(ttl), *tcp)
    return PacketState(
        iif or None,
        oif or None,
        (int(mark, 16) if mark else 0) or None,
        ethernet.printed_addresses(mac or ""),
        header,
    )
