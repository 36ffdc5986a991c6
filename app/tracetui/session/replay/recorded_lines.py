"""The lines of our own record, taken into a session's packets and rulesets."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Optional

from tracetui.model.trace.assembler import Assembler
from tracetui.model.trace.hop import Hop
from tracetui.model.trace.packet import Packet
from tracetui.session.recording import recording_reader
from tracetui.session.replay.silence import Silence
from tracetui.session.rulesets.rulesets import Rulesets
from tracetui.session.state.explanations import Explanations
from tracetui.session.state.session import Notice
from tracetui.session.state.store import PacketStore


class RecordedLines:
    """Reads the lines of one recording after the other."""

    def __init__(
        self,
        packets: PacketStore,
        assembler: Assembler,
        rulesets: Rulesets,
        explanations: Explanations,
        notify: Callable[[Notice], None],
    ) -> None:
        """``assembler`` numbers the packets; ``notify`` gets the recorded losses and trips."""
        self.lost = 0
        """Hops that the recordings report as lost."""
        self.silence = Silence()
        self._packets = packets
        self._assembler = assembler
        self._rulesets = rulesets
        self._explanations = explanations
        self._notify = notify
        self._by_recorded_id: OrderedDict[int, Packet] = OrderedDict()

    def __len__(self) -> int:
        """The packets that may be written again, which the store still keeps."""
        return len(self._by_recorded_id)

    def take(self, line: str) -> Optional[int]:
        """Take in a line; returns the number of hops it brought, None for a damaged line."""
        try:
            self._take_snapshot(line)
            self._take_event(line)
            self.silence.take(line)
            numbered = recording_reader.read_packet(line, self._assembler.next_id)
        except ValueError:
            return None
        return 0 if numbered is None else self._take_packet(*numbered)

    def _take_snapshot(self, line: str) -> None:
        """Take in a recorded ruleset, or the settings of the recorded node; raises ValueError."""
        record = recording_reader.read_snapshot(line)
        if record is not None:
            self._rulesets.take_record(record)
        sysctls = recording_reader.read_hello(line)
        if sysctls is not None:
            # Another recording counts its packets and snapshots from 1 again.
            self._by_recorded_id.clear()
            self._rulesets.begin_recording()
            self._explanations.explainer.set_sysctls(sysctls, self._assembler.next_id)

    def _take_event(self, line: str) -> None:
        """Take in a recorded loss or trip; raises ValueError."""
        event = recording_reader.read_event(line)
        if event is None:
            return
        self.lost += event.lost
        if event.text:
            self._notify(Notice(event.time or time.time(), "warning", event.text))

    def _take_packet(self, recorded_id: int, recorded: Packet) -> int:
        """Take in a packet, which replaces what was written under the same id before."""
        recorded.place_in(self._with_interval)
        packet = self._by_recorded_id.get(recorded_id)
        if packet is None:
            self._assembler.skip_id()
            self._by_recorded_id[recorded_id] = packet = recorded
            new_hops = len(recorded.hops)
        else:
            new_hops = packet.replace(recorded)
        packet.pack()
        self._packets.took(packet, new_hops)
        self._forget_evicted()
        return new_hops

    def _forget_evicted(self) -> None:
        first_id = self._packets.first_id
        while self._by_recorded_id and next(iter(self._by_recorded_id.values())).id < first_id:
            self._by_recorded_id.popitem(last=False)

    def _with_interval(self, hop: Hop) -> Hop:
        """A recorded hop with its interval among the snapshots of all recordings."""
        if hop.interval is None:
            return hop
        return hop.with_(interval=self._rulesets.shifted(hop.interval))
