"""What is known after the guard tripped: who sent the packets, and what to try instead."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Optional

from tracetui.model.trace.packet import Packet
from tracetui.model.tracing.talkers import Talkers, talkers
from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.session.state.store import PacketStore
from tracetui.session.state.suggestions import Suggestion, proposals

RULES_REMEMBERED = 8
"""Rules asked for of which narrower ones may be proposed."""
PACKETS_LOOKED_AT = 50_000
SECONDS_LOOKED_AT = 1.0


class TripReport:
    """The rules a session asked for, and what was traced when the guard tripped last."""

    def __init__(self, packets: PacketStore) -> None:
        self._packets = packets
        self._asked: deque[tuple[TraceRule, str]] = deque(maxlen=RULES_REMEMBERED)
        self._at: Optional[float] = None
        self._seen = Talkers()
        self._seen_of: tuple[object, ...] = ()

    def asked(self, rule: TraceRule, backend: str) -> None:
        """Note a rule that was asked for."""
        self._asked.append((rule, backend))

    def tripped(self, at: float) -> None:
        """Note a trip; ``at`` is seconds since the epoch."""
        self._at = at

    @property
    def seen(self) -> Talkers:
        """What was traced in the last second before the trip, as far as it was taken in by now."""
        state = (self._at, self._packets.hops, self._packets.evicted)
        if state != self._seen_of:
            self._seen_of, self._seen = state, talkers(self._before_trip())
        return self._seen

    def proposals(self, threshold: int) -> list[Suggestion]:
        """Rules to add instead of those that were removed; ``threshold`` in hops per second."""
        return proposals(self.seen, tuple(self._asked), threshold)

    def _before_trip(self) -> Iterator[Packet]:
        if self._at is None:
            return
        for packet in islice(reversed(self._packets), PACKETS_LOOKED_AT):
            if packet.time is None or packet.time > self._at:
                continue
            if packet.time < self._at - SECONDS_LOOKED_AT:
                return
            yield packet
