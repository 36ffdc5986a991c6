"""Lines of text of every format that holds hops, recognized line by line.

Logs of the kernel in all wrappers, JSON and journal entries around them, and what xtables-monitor,
nft, ulogd, nftrace and tshark print.
"""

from __future__ import annotations

import re
from typing import Optional

from tracetui.model.trace.hop import Hop
from tracetui.parse.log import losses, trace_record, wrapper
from tracetui.parse.log.clock import Clock
from tracetui.parse.log.line_buffer import LineBuffer
from tracetui.parse.log.log_text import LogText
from tracetui.parse.log.losses import Loss, RecordNumbers
from tracetui.parse.log.record_cache import REMEMBERED, RecordCache
from tracetui.parse.structured import NO_HOP, LogMessage, Structured
from tracetui.parse.tools import nft_monitor, xtables_monitor
from tracetui.parse.tools.nft_monitor import NftMonitor
from tracetui.parse.tools.nftrace_tool import NftraceTool
from tracetui.parse.tools.packet_table import PacketTable
from tracetui.parse.tools.xtables_monitor import XtablesMonitor

UNKNOWN_FORM = "it looks like a TRACE record, but of no form that is known"
_TRACE_LIKE = re.compile(r"\bTRACE: ?[^:\s]{1,255}:\S{1,255}:|\btrace id (?:0x)?[0-9a-f]{1,16}\b")
NARROWEST_TERMINAL = 40
"""Columns of a terminal."""
LINE_FAULTS_KEPT = 1000
"""Skipped lines, and losses, that are remembered until somebody takes them."""


class _Widths:
    """Widths of a tool's lines: a terminal that wrapped them left many of exactly its width."""

    def __init__(self) -> None:
        self.last_is_full = False
        """Whether the last line ended where a terminal did."""
        self._widest = self._times = 0

    def note(self, width: int) -> None:
        """Note the width of a line, in characters."""
        if width > self._widest:
            self._widest, self._times = width, 0
        is_widest = width == self._widest >= NARROWEST_TERMINAL
        self._times += is_widest
        self.last_is_full = is_widest and self._times > 1


class LineReader:
    """Reads one file, line by line. It holds no more than what may go on with the next line.

    Nothing raises, whatever the lines.
    """

    def __init__(self, remembered: int = REMEMBERED) -> None:
        """Read the beginning of a file; ``remembered`` is the size of the cache (RecordCache)."""
        self.lines = 0
        """Lines that were read."""
        self.skipped = 0
        """Lines with something on them that gave nothing, and go with none that did."""
        self.lost = 0
        """Records that the log says are missing, as far as it says how many; of any kind, not only
        hops, and where a copy was filtered those left out are among them."""
        self.unread: dict[str, int] = {}
        """Counts of skipped lines that begin as a TRACE record does, by why they gave nothing."""
        self._skipped: list[tuple[int, str]] = []
        self._losses: list[Loss] = []
        self._clock = Clock()
        self._numbers = RecordNumbers()
        self._log = LogText(self._clock, RecordCache(self._clock, self._numbers, remembered))
        self._nft = NftMonitor()
        self._xtables = XtablesMonitor()
        self._structured = Structured(self._clock)
        self._nftrace = NftraceTool()
        self._table = PacketTable()
        self._begun: Optional[int] = None
        self._is_looked_up = False
        """Whether :meth:`take_known` left the next line to :meth:`feed`."""
        self._is_calm = False
        """Whether nothing waits for the next line: the cache knew the last one."""
        self._widths = _Widths()

    def feed(self, line: str) -> list[Hop]:
        """The hops that are known with this line, in the log's order."""
        is_looked_up, self._is_looked_up = self._is_looked_up, False
        known = [] if is_looked_up else self._look_up(LineBuffer(line), 0)
        if known:
            return known
        self._is_calm = False
        self.lines += 1
        out: list[Hop] = []
        text = wrapper.as_typed(wrapper.bare(line))
        if self._structured.holds(text) and self._take_structured(text, out):
            return out
        if text and not text.isspace():
            self._take(text, self.lines, out)
        return out

    def take_known(self, block: LineBuffer, most: int) -> list[Hop]:
        """The hops of the next lines, as far as all their parts came before.

        The lines, of about so many characters at most, are taken from the block. None leaves the
        next one to :meth:`feed`: nothing was done.
        """
        self._is_looked_up = True
        return self._look_up(block, most)

    def _look_up(self, block: LineBuffer, most: int) -> list[Hop]:
        if not self._is_calm and (
            self._nft.is_waiting or self._xtables.is_waiting or self._structured.is_open
        ):
            return []
        found = self._log.take_known(block, most)
        if found:
            self._is_calm = True
            self.lines += len(found)
        return found

    def pass_by(self, lines: int = 1) -> None:
        """Count lines that somebody else reads, or that tell nothing."""
        self.lines += lines

    def finish(self) -> list[Hop]:
        """The hops that were held back. More lines may follow all the same."""
        out: list[Hop] = []
        self._take_messages(self._structured.close(self.lines), out)
        self._release(out)
        out += self._nft.finish()
        out += self._nftrace.finish()
        self._end_beginning(True)
        self._count_cut_off()
        return out

    def take_skipped(self) -> list[tuple[int, str]]:
        """Number and reason of the lines skipped since the last call; the first FAULTS_KEPT."""
        taken, self._skipped = self._skipped, []
        return taken

    def take_losses(self) -> list[Loss]:
        """The gaps that the log told of since the last call; the first FAULTS_KEPT."""
        taken, self._losses = self._losses, []
        return taken

    def _take(self, text: str, number: int, out: list[Hop]) -> None:
        """A line of text, or a message that was inside another format."""
        sequence = wrapper.sequence_of(text)
        if sequence is not None:
            self._miss(self._numbers.missing(sequence), number)
        found = trace_record.find(text)
        if found is None:
            self._table.read_title(text)
        if found is None and (spaced := wrapper.with_blanks(text)) is not text:
            text, found = spaced, trace_record.find(spaced)
        used = self._take_other(text, out) if found is None else self._take_legacy(text, found, out)
        self._end_beginning(not (found is None and used and self._log.took_beginning))
        self._count_cut_off()
        if used or wrapper.is_dictionary(text):
            return
        loss = losses.loss_in(text, number)
        if loss is not None:
            self._note(loss)
        elif self._log.has_begun:
            self._begun = number
        else:
            why = self._log.why or NO_HOP
            if _TRACE_LIKE.search(text):
                why = UNKNOWN_FORM if why == NO_HOP else why
                self.unread[why] = self.unread.get(why, 0) + 1
            self._skip(number, why)

    def _end_beginning(self, is_alone: bool) -> None:
        """Decide on the line before, on which a record may have begun."""
        begun, self._begun = self._begun, None
        if begun is not None and is_alone:
            self._skip(begun, NO_HOP)

    def _count_cut_off(self) -> None:
        while self._log.cut_off:
            self._log.cut_off -= 1
            self._skip(self.lines, "a record cut off in its rule's number")

    def _take_legacy(self, text: str, found: re.Match[str], out: list[Hop]) -> bool:
        """Take a line with a trace point of legacy."""
        if self._nft.is_waiting or self._xtables.is_waiting:
            self._release_tools(out)
        if text[found.end() : found.end() + 4] != " IN=":
            time = self._clock.time_of(text[: found.start()])
            if self._nftrace.take(text, found, time):
                return True
            row = self._table.take(text, found, time)
            if row is not None:
                self._log.release(out)
                out.append(row)
                return True
        return self._log.take(text, found, out)

    def _take_other(self, text: str, out: list[Hop]) -> bool:
        """Take a line without one."""
        self._log.why = ""
        if "trace id " in text and (events := nft_monitor.find_all(text)):
            self._log.release(out)
            out += self._xtables.release()
            self._widths.note(len(text))
            time = self._clock.time_of(text[: events[0].start()])
            return self._nft.take_all(text, events, time, out)
        is_xtables = "TRACE: " in text or "PACKET: " in text
        if is_xtables and (lines := xtables_monitor.find_all(text)):
            self._log.release(out)
            out += self._nft.release()
            self._widths.note(len(text))
            time = self._clock.time_of(text[: lines[0].start()])
            self._xtables.take_all(text, lines, time, out)
            return True
        if (more := self._nft.take_more(text, self._widths.last_is_full)) is not None:
            self._widths.note(len(text))
            out += more
            return True
        if self._xtables.take_more(text, self._widths.last_is_full):
            self._widths.note(len(text))
            return True
        if self._nftrace.take_packet(text):
            return True
        self._release_tools(out)
        return self._log.take_other(text, out)

    def _release(self, out: list[Hop]) -> None:
        self._log.release(out)
        self._release_tools(out)

    def _release_tools(self, out: list[Hop]) -> None:
        out += self._nft.release()
        out += self._xtables.release()

    def _take_structured(self, text: str, out: list[Hop]) -> bool:
        """A line of a JSON object or a journal entry; False for one that only ends it."""
        messages, used = self._structured.take(text, self.lines)
        self._take_messages(messages, out)
        return used

    def _take_messages(self, messages: list[LogMessage], out: list[Hop]) -> None:
        for message in messages:
            if message.hop is not None:
                self._release(out)
                out.append(message.hop)
            elif message.text is not None:
                self._take(message.text, message.line, out)
            else:
                self._skip(message.line, message.why)

    def _miss(self, records: int, number: int) -> None:
        if records:
            what = "records are missing by their numbers: lost, or left out of this copy"
            self._note(Loss(number, records, f"{records:,} {what}"))

    def _note(self, loss: Loss) -> None:
        self.lost += loss.records or 0
        if len(self._losses) < LINE_FAULTS_KEPT:
            self._losses.append(loss)

    def _skip(self, number: int, why: str) -> None:
        self.skipped += 1
        if len(self._skipped) < LINE_FAULTS_KEPT:
            self._skipped.append((number, why))
