"""A replay: lines of files become packets, a bounded piece at a time."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO, Optional

from tracetui.model.assemble import Assembler
from tracetui.model.explanation import PacketExplanation
from tracetui.model.hop import Hop
from tracetui.model.installed import InstalledRule
from tracetui.model.packet import Packet
from tracetui.model.rule import TraceRule
from tracetui.parse.line_reader import LineReader
from tracetui.session import recording
from tracetui.session.aftermath import Aftermath
from tracetui.session.explanations import Explanations
from tracetui.session.rulesets import Rulesets
from tracetui.session.session import ChainListing, ChainPlace, Notice, SourceState, Status
from tracetui.session.store import PacketStore

POLL_SECONDS = 0.04
"""How long one poll may work: less than half of a screen's refresh at 10 Hz."""
LOOK_AT_CLOCK = 128
"""Lines between two looks at the clock."""
LONGEST_LINE = 64 << 10
"""Bytes; a longer line is cut there and its rest is a line of its own: it is no log."""
LONGEST_RECORD = 64 << 20
"""Bytes of a line of our own record."""
NO_NODE = "this is a replay: there is no node to trace"


class ReplaySession:
    """Packets out of files; see :class:`Session`. The format of each line is found by looking."""

    def __init__(
        self,
        files: Iterable[tuple[str, BinaryIO]],
        packets: Optional[PacketStore] = None,
        why_not: str = NO_NODE,
        rulesets: Optional[Rulesets] = None,
    ) -> None:
        """Replay open files, each with its name, one after the other.

        ``rulesets`` explain hops that were recorded without any.
        """
        self.rulesets = rulesets or Rulesets()
        self.explanations = Explanations(self.rulesets)
        self._files = list(files)
        self.packets = PacketStore() if packets is None else packets
        self.aftermath = Aftermath(self.packets)
        sources = tuple(SourceState(name, "on") for name, _ in self._files)
        self.status = Status(live=False, why_not=why_not, sources=sources)
        self.rules: tuple[InstalledRule, ...] = ()
        self.ended = not self._files
        self._why_not = why_not
        self._assembler = Assembler()
        self._recorded: OrderedDict[int, Packet] = OrderedDict()
        self._notices: list[Notice] = []
        self._skipped = self._lost = 0
        self._reader = LineReader()
        self._lines = self._read()

    def poll(self) -> bool:
        """Read on, for a bounded time; True if anything changed."""
        until = time.monotonic() + POLL_SECONDS
        if self.ended:
            return self.rulesets.work(until)
        hops = self.status.hops
        for taken, line in enumerate(self._lines, start=1):
            hops += self._take(line)
            if self.rulesets.is_behind:
                self.rulesets.work(until)
            is_late = taken % LOOK_AT_CLOCK == 0 and time.monotonic() > until
            if is_late or self.rulesets.is_behind:
                break
        else:
            self.ended = True
            self.rulesets.end()
        self.rulesets.work(max(until, time.monotonic() + POLL_SECONDS / 2))
        self.status = self.status.with_(hops=hops, skipped=self._skipped, lost=self._lost)
        return True

    def read_all(self) -> None:
        """Read to the end."""
        while not self.ended:
            self.poll()
        self.rulesets.work_all()

    def take_notices(self) -> list[Notice]:
        """What is to be told to the user since the last call, oldest first."""
        taken, self._notices = self._notices, []
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

    def ask_chain(self, place: ChainPlace) -> None:
        """Nothing: there is no node, and a recorded chain has the counters it was recorded with."""

    def chain_listing(self, place: ChainPlace) -> Optional[ChainListing]:
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
        for _, file in self._files:
            file.close()

    def _refuse(self) -> None:
        self._notices.append(Notice(time.time(), "warning", self._why_not))

    def _read(self) -> Iterator[Optional[str]]:
        """The lines of the files, and None where one ends."""
        for name, file in self._files:
            self._reader = LineReader()
            try:
                while line := file.readline(LONGEST_LINE):
                    if not line.endswith(b"\n") and recording.is_ours(line[:64].decode("latin-1")):
                        # A ruleset is one line, however many rules it has.
                        line += file.readline(LONGEST_RECORD)
                    yield line.decode(errors="backslashreplace")
            except (OSError, ValueError) as error:
                self._notices.append(Notice(time.time(), "error", f"{name}: {error}"))
            yield None

    def _take(self, line: Optional[str]) -> int:
        """Take in one line, or the end of a file; the number of hops it brought."""
        if line is not None and recording.is_ours(line):
            self._reader.pass_by()
            new = self._take_recorded(line)
            self._skipped += new is None
            return new or 0
        reader = self._reader
        skipped, lost = reader.skipped, reader.lost
        hops = reader.finish() if line is None else reader.feed(line)
        self._skipped += reader.skipped - skipped
        self._lost += reader.lost - lost
        for hop in hops:
            self.packets.took(self._assembler.add(hop))
        return len(hops)

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

    def _placed(self, hop: Hop) -> Hop:
        """A recorded hop with its window among the readings of all recordings."""
        if hop.readings is None:
            return hop
        return hop._replace(readings=self.rulesets.shifted(hop.readings))

    def _take_recorded(self, line: str) -> Optional[int]:
        """Take in a line of our own record; a packet written again replaces what it was."""
        try:
            self._take_reading(line)
            found = recording.read_packet(line, self._assembler.next_id)
        except ValueError:
            return None
        if found is None:
            return 0
        recorded_id, packet = found
        packet.hops[:] = [self._placed(hop) for hop in packet.hops]
        known = self._recorded.get(recorded_id)
        if known is None:
            self._assembler.skip_id()
            self._recorded[recorded_id] = known = packet
            new = len(packet.hops)
        else:
            new = known.replace(packet)
        self.packets.took(known, new)
        while self._recorded and next(iter(self._recorded.values())).id < self.packets.first_id:
            self._recorded.popitem(last=False)
        return new
