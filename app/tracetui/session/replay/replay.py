"""A replay: lines of files become packets, a bounded piece at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Optional

from tracetui.model.explain.explanation import PacketExplanation
from tracetui.model.trace.assembler import Assembler
from tracetui.model.trace.batch import batches_of
from tracetui.model.trace.hop import Hop
from tracetui.model.trace.packet import Packet
from tracetui.model.tracing.installed_rule import InstalledRule
from tracetui.session.recording import recording_reader
from tracetui.session.replay import halves
from tracetui.session.replay.log_stream import NEED_MORE, LogStream
from tracetui.session.replay.no_node import NoNode
from tracetui.session.replay.pace import Pace
from tracetui.session.replay.recorded_lines import RecordedLines
from tracetui.session.rulesets.rulesets import Rulesets
from tracetui.session.state.explanations import Explanations
from tracetui.session.state.session import (
    POLL_SECONDS,
    Notice,
    SourceState,
    Status,
)
from tracetui.session.state.store import PacketStore
from tracetui.session.state.trip_report import TripReport

if TYPE_CHECKING:
    from tracetui.parse.line_reader import LineReader

LINES_PER_CLOCK_CHECK = 128
"""Lines read between two checks of the clock."""
KNOWN_CHARACTERS = 1 << 16
"""Characters of known lines read between two checks of the clock; a packet has some thousand."""
POLL_WAIT_SECONDS = 0.002
"""Seconds one poll waits for a file that has nothing to read now."""
READ_WAIT_SECONDS = 0.05
"""Seconds a read waits when there is no screen to draw."""
FAULTS_KEPT = 1000
"""Faults kept until they are taken."""
NO_NODE = "this is a replay: there is no node to trace"
_LINES_WITHOUT_TEXT = ("", "\r")


class Fault(NamedTuple):
    """A line of a file without a hop, or one that reports a loss."""

    file: str
    line: int
    why: str


class ReplaySession(NoNode):
    """Packets out of files; see :class:`Session`. The format of each line is found by looking."""

    def __init__(
        self,
        files: Iterable[tuple[str, BinaryIO]],
        packets: Optional[PacketStore] = None,
        why_not: str = NO_NODE,
        rulesets: Optional[Rulesets] = None,
        follow: bool = False,
        speed: Optional[float] = None,
    ) -> None:
        """Replay open files, each with its name, one after the other.

        ``rulesets`` explain hops that were recorded without any. With ``follow`` the last file is
        read on as it grows. ``speed`` has the hops come in their own rhythm, or so many times as
        fast; None reads as fast as possible.
        """
        self.rulesets = rulesets or Rulesets()
        self.explanations = Explanations(self.rulesets)
        self._files = LogStream(files, follow)
        self.packets = PacketStore() if packets is None else packets
        self.trip_report = TripReport(self.packets)
        sources = tuple(SourceState(name, "on") for name in self._files.names)
        self.status = Status(live=False, why_not=why_not, sources=sources)
        self.rules: tuple[InstalledRule, ...] = ()
        self.ended = self._files.ended
        self._why_not = why_not
        self._assembler = Assembler()
        self._waiting: list[Hop] = []
        self._notices: list[Notice] = []
        self._recorded = RecordedLines(
            self.packets, self._assembler, self.rulesets, self.explanations, self._notify
        )
        self._skipped = self._lost = 0
        self._reader_of_file: Optional[LineReader] = None
        self._pace = Pace(speed)
        self._faults: list[Fault] = []

    def poll(self, seconds: float = POLL_SECONDS) -> bool:
        """Read on, for so long at most; True if anything changed."""
        return self._work(POLL_WAIT_SECONDS, seconds)

    def read_some(self) -> None:
        """Read on, where nobody looks at a screen meanwhile."""
        self._work(READ_WAIT_SECONDS)

    def read_all(self) -> None:
        """Read to the end."""
        while not self.ended:
            self.read_some()
        self.rulesets.work_all()

    def _work(self, patience: float, seconds: float = POLL_SECONDS) -> bool:
        until = time.monotonic() + seconds
        if self.ended:
            return self.rulesets.work(until)
        hops = self.status.hops + self._take_waiting()
        lines = 0
        self._files.is_idle = False
        while not self._pace.is_waiting and not self.rulesets.is_behind:
            known = self._take_known()
            hops, lines = hops + known, lines + known
            if known < LINES_PER_CLOCK_CHECK:
                # The next one is of another kind, nearly always.
                line = self._files.next_line()
                if line is not NEED_MORE:
                    hops, lines = hops + self._take(line), lines + 1
                    if lines % LINES_PER_CLOCK_CHECK:
                        continue
                elif not self._read(0.0 if lines else patience):
                    break
            if time.monotonic() > until:
                break
        if self._pace.is_waiting and not lines:
            time.sleep(min(patience, self._pace.seconds_left))
        self.rulesets.work(max(until, time.monotonic() + seconds / 2))
        lost = self._lost + self._recorded.lost
        changes: dict[str, object] = {"hops": hops, "skipped": self._skipped, "lost": lost}
        if self.ended and not hops and self.status.sources:
            changes["silence"] = self._recorded.silence.findings(self._skipped, lost)
        self.status = self.status.with_(**changes, progress=self._files.progress)
        return True

    def _read(self, seconds: float) -> bool:
        """Have more lines; False where there are none yet, or none any more."""
        is_more = self._files.read(seconds)
        for text in self._files.take_errors():
            self._notify(Notice(time.time(), "error", text))
        if self._files.ended:
            self.ended = True
            self.rulesets.end()
            self._tell_missing()
        return is_more

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to read at the moment, but may be later."""
        return self._files.is_idle

    def take_notices(self) -> list[Notice]:
        """Take the notices since the last call, oldest first."""
        notices, self._notices = self._notices, []
        return notices

    def take_faults(self) -> list[Fault]:
        """Lines that gave nothing or tell of a gap, since the last call; the first MOST_FAULTS."""
        faults, self._faults = self._faults, []
        return faults

    def refuse(self) -> str:
        """Tell the user why nothing can be traced; the reason."""
        self._notify(Notice(time.time(), "warning", self._why_not))
        return self._why_not

    def explain(self, packet: Packet) -> PacketExplanation:
        """Explain a packet with what is known now."""
        return self.explanations.of(packet)

    def close(self, on_notices: Callable[[], None] = lambda: None) -> None:
        """Close the files."""
        self.ended = True
        self._files.close()

    @property
    def _reader(self) -> LineReader:
        """The reader of the present file: what it read tells it how to read on."""
        if self._reader_of_file is None:
            # It takes thirty modules, for which the first picture need not wait.
            from tracetui.parse.line_reader import LineReader

            self._reader_of_file = LineReader()
        return self._reader_of_file

    def _take_known(self) -> int:
        """Take in the next lines, as far as the reader knows them: how many."""
        if not self._pace.is_none or self._files.block.is_done:
            return 0
        hops = self._reader.take_known(self._files.block, KNOWN_CHARACTERS)
        self._assembler.take(batches_of(hops), self.packets.took)
        return len(hops)

    def _take(self, line: Optional[str]) -> int:
        """Take in one line, or the end of a file; the number of hops it brought."""
        if line is not None and recording_reader.is_ours(line):
            self._reader.pass_by()
            new = self._recorded.take(line)
            if new is None:
                self._skipped += 1
                self._note(self._reader.lines, "a damaged line of a recording")
            return new or 0
        reader = self._reader
        skipped, lost = reader.skipped, reader.lost
        if line is None:
            hops, self._reader_of_file = reader.finish(), None
            self._tell_unread(reader)
        else:
            hops = reader.feed(line)
            if line in _LINES_WITHOUT_TEXT:
                # The first of them ends what an empty line ends.
                reader.pass_by(self._files.block.pass_empty())
        self._skipped += reader.skipped - skipped
        self._lost += reader.lost - lost
        if reader.skipped != skipped or reader.lost != lost:
            self._note_faults(reader)
        return self._take_hops(hops)

    def _take_hops(self, hops: list[Hop]) -> int:
        is_early = self._pace.is_early
        due = next((index for index, hop in enumerate(hops) if is_early(hop.time)), len(hops))
        if due < len(hops):
            self._waiting = hops[due:]
        self._assembler.take(batches_of(hops[:due]), self.packets.took)
        return due

    def _take_waiting(self) -> int:
        """Take in hops whose time has come."""
        if not self._waiting or self._pace.is_waiting:
            return 0
        waiting, self._waiting = self._waiting, []
        return self._take_hops(waiting)

    def _note_faults(self, reader: LineReader) -> None:
        for number, why in reader.take_skipped():
            self._note(number, why)
        for loss in reader.take_losses():
            self._note(loss.line, loss.text)

    def _tell_unread(self, reader: LineReader) -> None:
        """Warn of lines that look like TRACE records and could not be read."""
        for why, count in reader.unread.items():
            lines = "1 line" if count == 1 else f"{count:,} lines"
            text = f"{self._files.name}: {lines} of TRACE could not be read: {why}"
            self._notify(Notice(time.time(), "warning", text))

    def _tell_missing(self) -> None:
        """Warn if the log lacks the hops of one backend."""
        why = halves.missing_hops(self.packets, self.rulesets.histories)
        if why is not None:
            self._notify(Notice(time.time(), "warning", why))

    def _note(self, number: int, why: str) -> None:
        if len(self._faults) < FAULTS_KEPT:
            self._faults.append(Fault(self._files.name, number, why))

    def _notify(self, notice: Notice) -> None:
        self._notices.append(notice)
