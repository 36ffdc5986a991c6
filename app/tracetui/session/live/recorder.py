"""A trace without a screen: packets are handed on once no hop of theirs came for a moment."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Optional

from tracetui.model.filter.view_filter import ViewFilter
from tracetui.model.trace.packet import Packet
from tracetui.session.live.live import LiveSession
from tracetui.session.recording.recording import RecordingWriter

PACKET_QUIET_SECONDS = 0.3
"""Seconds without a new hop after which a packet is handed on; if more come, it is again."""
RULESET_PATIENCE_SECONDS = 15.0
"""Seconds after which it is handed on although the ruleset it met is still being read."""
SETTLE_SECONDS = 2.0
"""Seconds that the end waits for what explains the last packets."""
POLL_PAUSE_SECONDS = 0.05


class Recorder:
    """Hands a session's packets, and the rulesets they met, to a writer until told to stop."""

    def __init__(
        self, session: LiveSession, writer: RecordingWriter, view: Optional[ViewFilter] = None
    ) -> None:
        """``session`` keeps its readings; packets that ``view`` holds back are not handed on."""
        self._view = view or ViewFilter()
        self._session = session
        self._writer = writer
        self._restless: dict[int, tuple[Packet, float]] = {}
        """Packets that got a hop a moment ago, and when."""
        self._quiet: dict[int, tuple[Packet, float]] = {}
        """Packets that got no hop since, and are not written yet."""
        self._count = 0
        self._written: OrderedDict[int, None] = OrderedDict()
        """Packets written that may get hops yet, and be written again."""
        self._lost = self._unshown = 0
        self._is_tripped = False
        self._rules: list[str] = []

    @property
    def packets(self) -> int:
        """Packets handed on so far."""
        return self._count

    def run(
        self,
        seconds: Optional[float],
        packets: Optional[int],
        stopped: Callable[[], bool],
        tell: Callable[[], None],
    ) -> None:
        """Record for so long, or so many packets, or until ``stopped`` or the session's end.

        ``tell`` is called after every look at the session, for its notices.
        """
        end = None if seconds is None else time.monotonic() + seconds
        while not (stopped() or self._session.ended):
            now = time.monotonic()
            if end is not None and now >= end:
                break
            if packets is not None and self.packets >= packets:
                break
            self._session.poll()
            tell()
            self._note(now)
            self._hand_on(now, packets)
            # Where there is more to take in than one look does, there is no time to sleep.
            time.sleep(max(0.0, POLL_PAUSE_SECONDS - (time.monotonic() - now)))
        self._settle(packets)

    def _settle(self, packets: Optional[int]) -> None:
        """Wait a moment for what the last packets met, and longer for rules being read."""
        self._session.read_rulesets()
        known, began = self._waiting, time.monotonic()
        while known & self._waiting and not self._session.ended:
            waited = time.monotonic() - began
            if waited >= RULESET_PATIENCE_SECONDS or (
                waited >= SETTLE_SECONDS and not self._is_pending
            ):
                break
            self._session.poll()
            self._note(time.monotonic())
            self._hand_on(time.monotonic(), packets)
            time.sleep(POLL_PAUSE_SECONDS)

    @property
    def _is_pending(self) -> bool:
        """Whether a packet that is not written yet met rules that are being read."""
        waiting = [packet for packet, _ in (*self._restless.values(), *self._quiet.values())]
        return any(self._session.explain(packet).is_pending for packet in waiting)

    @property
    def _waiting(self) -> set[int]:
        return {*self._restless, *self._quiet}

    def finish(self, packets: Optional[int]) -> None:
        """Hand on what is left, after the session was closed: all that came before that."""
        self._note(0.0)
        self._hand_on(float("inf"), packets)

    def _note(self, now: float) -> None:
        self._note_state()
        for record in self._session.take_readings():
            self._writer.snapshot(record)
        for packet in self._session.packets.take_changed():
            # The one that moved last is last.
            self._restless.pop(packet.id, None)
            self._quiet.pop(packet.id, None)
            self._restless[packet.id] = (packet, now)

    def _note_state(self) -> None:
        """Write what changed of rules, losses and guard."""
        status, now = self._session.status, time.time()
        rules = [rule.id for rule in self._session.rules]
        if rules != self._rules:
            self._rules = rules
            self._writer.rules(now, self._session.rules)
        lost, unshown = status.lost - self._lost, status.unshown - self._unshown
        if lost or unshown:
            self._lost, self._unshown = status.lost, status.unshown
            self._writer.loss(now, lost, unshown)
        if status.guard.tripped != self._is_tripped:
            self._is_tripped = status.guard.tripped
            self._writer.guard(now, status.guard)

    def _hand_on(self, now: float, limit: Optional[int]) -> None:
        """Write the packets that had no hop for a moment, in the order in which they began.

        One that met a ruleset that is still being read has those wait that began after it.
        """
        while self._restless:
            packet, moved = next(iter(self._restless.values()))
            if moved > now - PACKET_QUIET_SECONDS:
                break
            del self._restless[packet.id]
            self._quiet[packet.id] = packet, moved
        for packet_id in sorted(self._quiet):
            if not self._write(*self._quiet[packet_id], now, limit):
                break
            del self._quiet[packet_id]
        self._writer.flush()

    def _write(self, packet: Packet, moved: float, now: float, limit: Optional[int]) -> bool:
        """Write a packet if it is let through; False while the ruleset it met is being read."""
        explanation = self._session.explain(packet)
        if explanation.is_pending and moved > now - RULESET_PATIENCE_SECONDS:
            return False
        if not self._view.matches(packet, self._session.explain):
            return True
        is_new = packet.id not in self._written
        if limit is None or not is_new or self._count < limit:
            self._count += is_new
            self._written[packet.id] = None
            self._writer.packet(packet, explanation)
            first = self._session.packets.first_id
            while self._written and next(iter(self._written)) < first:
                self._written.popitem(last=False)
        return True
