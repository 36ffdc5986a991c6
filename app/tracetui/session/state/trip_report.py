"""The report of a guard trip: the busiest flows before it, and narrower rules to try."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Optional

from tracetui.model.trace.packet import Packet
from tracetui.model.tracing.installed_rule import InstalledRule
from tracetui.model.tracing.talkers import Talkers, talkers
from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.session.state.store import PacketStore
from tracetui.session.state.suggestions import Suggestion, suggest

RULES_REMEMBERED = 8
"""Requested rules remembered, from which narrower ones are suggested."""
PACKETS_CHECKED_AT_TRIP = 50_000
SECONDS_BEFORE_TRIP = 1.0


class TripReport:
    """The rules a session requested, and the packets they traced before the last trip."""

    def __init__(self, packets: PacketStore) -> None:
        self._packets = packets
        self._requests: deque[tuple[TraceRule, str]] = deque(maxlen=RULES_REMEMBERED)
        self._suspects: list[tuple[TraceRule, str]] = []
        """The requested rules that were installed at the last trip."""
        self._tripped_at: Optional[float] = None
        self._talkers = Talkers()
        self._talkers_state: tuple[object, ...] = ()

    def note_request(self, rule: TraceRule, backend: str) -> None:
        """Note a rule that was requested."""
        self._requests.append((rule, backend))

    def note_trip(self, time: float, installed: Iterable[InstalledRule] = ()) -> None:
        """Note a trip; ``time`` is seconds since the epoch.

        ``installed`` are the rules before it: of the requested ones only those can have flooded.
        """
        self._tripped_at = time
        texts = {_plain(f"{rule.backend} {rule.chain} {rule.text} ") for rule in installed}
        still_there = [
            (rule, backend)
            for rule, backend in self._requests
            if any(
                _plain(" ".join((backend, rule.chain, *rule.matches(family), ""))) in texts
                for family in rule.families
            )
        ]
        # A rule may be listed in other words than it was requested in.
        self._suspects = still_there or [*self._requests]

    @property
    def talkers(self) -> Talkers:
        """The busiest flows of the last second before the trip, of the packets received by now."""
        state = (self._tripped_at, self._packets.hops, self._packets.evicted)
        if state != self._talkers_state:
            self._talkers_state, self._talkers = state, talkers(self._before_trip())
        return self._talkers

    def suggestions(self, threshold: int) -> list[Suggestion]:
        """Rules to add instead of those that were removed; ``threshold`` in hops per second."""
        return suggest(self.talkers, self._suspects or tuple(self._requests), threshold)

    def _before_trip(self) -> Iterator[Packet]:
        if self._tripped_at is None:
            return
        for packet in islice(reversed(self._packets), PACKETS_CHECKED_AT_TRIP):
            if packet.time is None or packet.time > self._tripped_at:
                continue
            if packet.time < self._tripped_at - SECONDS_BEFORE_TRIP:
                return
            yield packet


def _plain(text: str) -> str:
    """The words of a rule without the lengths that iptables adds to whole addresses."""
    return text.replace("/32 ", " ").replace("/128 ", " ").strip()
