"""A replay: lines of files become packets, a bounded piece at a time."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Optional

from tracetui.model.explain.explanation import PacketExplanation
from tracetui.model.trace.assembler import Assembler
from tracetui.model.trace.batch import batches_of, runs
from tracetui.model.trace.hop import Hop
from tracetui.model.trace.packet import Packet
from tracetui.model.tracing.installed_rule import InstalledRule
from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.session.recording import recording
from tracetui.session.replay import halves
from tracetui.session.replay.log_stream import NOTHING, LogStream
from tracetui.session.replay.pace import Pace
from tracetui.session.replay.silence import Silence
from tracetui.session.rulesets.rulesets import Rulesets
from tracetui.session.state.explanations import Explanations
from tracetui.session.state.session import (
    POLL_SECONDS,
    ChainListing,
    ChainRef,
    Notice,
    SourceState,
    Status,
)
from tracetui.session.state.store import PacketStore
from tracetui.session.state.trip_report import TripReport

if TYPE_CHECKING:
    from tracetui.parse.line_reader import LineReader

LOOK_AT_CLOCK = 128
"""Lines between two looks at the clock."""
PLAIN_CHARACTERS = 1 << 16
"""The same for those of plain dmesg, of which a packet has some thousand."""
WAIT_SECONDS = 0.002
"""How long one poll waits for a file that has nothing to read at the moment."""
IDLE_SECONDS = 0.05
"""The same where nobody looks at a screen meanwhile."""
MOST_FAULTS = 1000
"""Kept until somebody takes them."""
NO_NODE = "this is a replay: there is no node to trace"


_EMPTY = ("", "\r")


class Fault(NamedTuple):
    """A line of a file that gave nothing, or that tells of a gap."""

    file: str
    line: int
    why: str


class ReplaySession:
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
        fast; None has them come as fast as can be.
        """
        self.rulesets = rulesets or Rulesets()
        self.explanations = Explanations(self.rulesets)
        self._files = LogStream(files, follow)
        self.packets = PacketStore() if packets is None else packets
        self.aftermath = TripReport(self.packets)
        sources = tuple(SourceState(name, "on") for name in self._files.names)
        self.status = Status(live=False, why_not=why_not, sources=sources)
        self.rules: tuple[InstalledRule, ...] = ()
        self.ended = self._files.ended
        self._why_not = why_not
        self._assembler = Assembler()
        self._waiting: list[Hop] = []
        self._recorded: OrderedDict[int, Packet] = OrderedDict()
        self._notices: list[Notice] = []
        self._silence = Silence()
        self._skipped = self._lost = 0
        self._reader_of_file: Optional[LineReader] = None
        self._pace = Pace(speed)
        self._faults: list[Fault] = []

    def poll(self, seconds: float = POLL_SECONDS) -> bool:
        """Read on, for so long at most; True if anything changed."""
        return self._work(WAIT_SECONDS, seconds)

    def read_some(self) -> None:
        """Read on, where nobody looks at a screen meanwhile."""
        self._work(IDLE_SECONDS)

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
        taken = 0
        self._files.is_idle = False
        while not self._pace.is_waiting and not self.rulesets.is_behind:
            plain = self._take_plain()
            hops, taken = hops + plain, taken + plain
            if plain < LOOK_AT_CLOCK:
                # The next one is of another kind, nearly always.
                line = self._files.next_line()
                if line is not NOTHING:
                    hops, taken = hops + self._take(line), taken + 1
                    if taken % LOOK_AT_CLOCK:
                        continue
                elif not self._read(0.0 if taken else patience):
                    break
            if time.monotonic() > until:
                break
        if self._pace.is_waiting and not taken:
            time.sleep(min(patience, self._pace.seconds_left))
        self.rulesets.work(max(until, time.monotonic() + seconds / 2))
        changes: dict[str, object] = {"hops": hops, "skipped": self._skipped, "lost": self._lost}
        if self.ended and not hops and self.status.sources:
            changes["silence"] = self._silence.findings(self._skipped, self._lost)
        self.status = self.status.with_(**changes, progress=self._files.progress)
        return True

    def _read(self, seconds: float) -> bool:
        """Have more lines; False where there are none yet, or none any more."""
        is_more = self._files.read(seconds)
        for text in self._files.take_errors():
            self._notices.append(Notice(time.time(), "error", text))
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
        """What is to be told to the user since the last call, oldest first."""
        taken, self._notices = self._notices, []
        return taken

    def take_faults(self) -> list[Fault]:
        """Lines that gave nothing or tell of a gap, since the last call; the first MOST_FAULTS."""
        taken, self._faults = self._faults, []
        return taken

    def add_rule(self, rule: TraceRule, backend: str, override: bool = False) -> None:
        """Say that there is no node."""
        self._refuse()

    def delete_rule(self, rule_id: str) -> None:
        """Say that there is no node."""
        self._refuse()

    def extend_rules(self, rule_ids: Sequence[str] = ()) -> None:
        """Say that there is no node."""
        self._refuse()

    def flush(self, foreign_ids: Sequence[str] = ()) -> None:
        """Say that there is no node."""
        self._refuse()

    def explain(self, packet: Packet) -> PacketExplanation:
        """What is known of a packet now."""
        return self.explanations.of(packet)

    def ask_chain(self, place: ChainRef) -> None:
        """Nothing: there is no node, and a recorded chain has the counters it was recorded with."""

    def chain_listing(self, place: ChainRef) -> Optional[ChainListing]:
        """None, for the same reason."""
        return None

    def arm(self) -> None:
        """Say that there is no node."""
        self._refuse()

    def set_threshold(self, hops_per_second: int) -> None:
        """Say that there is no node."""
        self._refuse()

    def load_module(self, name: str) -> None:
        """Say that there is no node."""
        self._refuse()

    def leave(self) -> None:
        """Nothing: nothing of ours is on any node."""

    def close(self, said: Callable[[], None] = lambda: None) -> None:
        """Close the files."""
        self.ended = True
        self._files.close()

    def _refuse(self) -> None:
        self._notices.append(Notice(time.time(), "warning", self._why_not))

    @property
    def _reader(self) -> LineReader:
        """The reader of the present file: what it read tells it how to read on."""
        if self._reader_of_file is None:
            # It takes thirty modules, for which the first picture need not wait.
            from tracetui.parse.line_reader import LineReader

            self._reader_of_file = LineReader()
        return self._reader_of_file

    def _take_plain(self) -> int:
        """Take in lines of plain dmesg, for speed: how many."""
        if not self._pace.is_none or self._files.block.is_done:
            return 0
        found = self._reader.take_plain(self._files.block, PLAIN_CHARACTERS)
        self._assembler.take(runs(found), self.packets.took)
        return sum(len(piece.points) for piece in found)

    def _take(self, line: Optional[str]) -> int:
        """Take in one line, or the end of a file; the number of hops it brought."""
        if line is not None and recording.is_ours(line):
            self._reader.pass_by()
            new = self._take_recorded(line)
            if new is None:
                self._skipped += 1
                self._note(self._reader.lines, "a damaged line of our record")
            return new or 0
        reader = self._reader
        skipped, lost = reader.skipped, reader.lost
        if line is None:
            hops, self._reader_of_file = reader.finish(), None
            self._tell_unread(reader)
        else:
            hops = reader.feed(line)
            if line in _EMPTY:
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
        """Name the lines of a file that begin as records do, and are not read."""
        for why, count in reader.unread.items():
            lines = "1 line" if count == 1 else f"{count:,} lines"
            text = f"{self._files.name}: {lines} of TRACE not read: {why}"
            self._notices.append(Notice(time.time(), "warning", text))

    def _tell_missing(self) -> None:
        """Say that one backend's hops are not in what was read, where that is known."""
        why = halves.missing(self.packets, self.rulesets.histories)
        if why is not None:
            self._notices.append(Notice(time.time(), "warning", why))

    def _note(self, number: int, why: str) -> None:
        if len(self._faults) < MOST_FAULTS:
            self._faults.append(Fault(self._files.name, number, why))

    def _take_reading(self, line: str) -> None:
        """Take in a recorded ruleset, or the settings of the recorded node; raises ValueError."""
        record = recording.read_reading(line)
        if record is not None:
            self.rulesets.take_record(record)
        sysctls = recording.read_hello(line)
        if sysctls is not None:
            # Another recording counts its packets and readings from 1 again.
            self._recorded.clear()
            self.rulesets.begin_recording()
            self.explanations.explainer.set_sysctls(sysctls, self._assembler.next_id)

    def _take_event(self, line: str) -> None:
        """Take in a recorded loss or trip; raises ValueError."""
        event = recording.read_event(line)
        if event is None:
            return
        self._lost += event.lost
        if event.text:
            self._notices.append(Notice(event.time or time.time(), "warning", event.text))

    def _placed(self, hop: Hop) -> Hop:
        """A recorded hop with its window among the readings of all recordings."""
        if hop.readings is None:
            return hop
        return hop.with_(readings=self.rulesets.shifted(hop.readings))

    def _take_recorded(self, line: str) -> Optional[int]:
        """Take in a line of our own record; a packet written again replaces what it was."""
        try:
            self._take_reading(line)
            self._take_event(line)
            self._silence.take(line)
            found = recording.read_packet(line, self._assembler.next_id)
        except ValueError:
            return None
        if found is None:
            return 0
        recorded_id, packet = found
        packet.place_in(self._placed)
        known = self._recorded.get(recorded_id)
        if known is None:
            self._assembler.skip_id()
            self._recorded[recorded_id] = known = packet
            new = len(packet.hops)
        else:
            new = known.replace(packet)
        known.pack()
        self.packets.took(known, new)
        while self._recorded and next(iter(self._recorded.values())).id < self.packets.first_id:
            self._recorded.popitem(last=False)
        return new
