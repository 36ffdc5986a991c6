"""The alarm after a trip of the guard: our rules go at once, then other floods are looked for."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import Any

from tracetui.collector.reactor.mailbox import Mailbox
from tracetui.collector.reactor.reactor import Reactor
from tracetui.collector.reactor.worker import Worker
from tracetui.collector.rules.node_changes import NodeChanges
from tracetui.model.tracing.guard import MAX_THRESHOLD, Guard
from tracetui.protocol.replies import ErrorKind, refused

FOREIGN_COUNT_SECONDS = 0.5
"""Seconds over which matches of foreign rules are counted."""
MUTED_AFTER_SECONDS = 1.0
"""Seconds of a flood after a trip until the sources are closed: to receive it costs the node half
of what tracing costs; on kernel 6.18 receiving 100,000 hops takes 0.2 to 0.3 s of a core."""


TRIPS_KEPT = 20
"""Trips told to the session, the last ones."""


class Alarm:
    """The guard's state, and the jobs behind it; used by the receive loop's thread only."""

    def __init__(
        self,
        guard: Guard,
        node: NodeChanges,
        remover: Worker,
        worker: Worker,
        mailbox: Mailbox,
        reactor: Reactor[Any],
    ) -> None:
        """``remover`` runs nothing but removals; ``worker`` whatever else may block."""
        self._guard = guard
        self._node = node
        self._remover = remover
        self._worker = worker
        self._mailbox = mailbox
        self._reactor = reactor
        self._trips: deque[dict[str, Any]] = deque(maxlen=TRIPS_KEPT)
        self._since = 0.0
        self._is_muted = False

    def trip(self) -> None:
        """Have our rules removed now, whatever else goes on."""
        self._since = time.monotonic()
        trip = {"at": time.time(), "reason": self._guard.reason, "removed": None, "foreign": ()}
        self._trips.append(trip)
        why = f"the guard tripped ({self._guard.reason})"
        self._node.refuse(refused(ErrorKind.REFUSED, why, "arm it first"))
        self._node.note_removal()
        self._remover.insist(partial(self._remove, trip))
        self._reactor.send_status()

    def arm(self) -> None:
        """Start anew; rules may be added again."""
        self._guard.arm()
        self._node.refuse(None)
        if self._is_muted:
            self._is_muted = False
            self._reactor.unmute()
        self._reactor.send_status()

    def set_threshold(self, hops_per_second: int) -> None:
        """Change the guard's threshold; raises CommandRefused for one that it can't have."""
        if not 0 < hops_per_second <= MAX_THRESHOLD:
            why = f"no threshold of {hops_per_second} hops a second"
            raise refused(ErrorKind.INVALID, why, f"1 to {MAX_THRESHOLD:,} can be set")
        self._guard.threshold = hops_per_second
        self._reactor.send_status()

    def tick(self, now: float) -> None:
        """Stop listening to a flood that does not end; ``now`` is monotonic seconds."""
        lasts = self._guard.tripped and now - self._since > MUTED_AFTER_SECONDS
        if lasts and not self._is_muted and self._guard.rate(now) > self._guard.threshold:
            self._is_muted = True
            self._reactor.mute()
            self._reactor.send_status()

    def state(self) -> dict[str, Any]:
        """Return the guard's state as the session gets it; times are seconds since the epoch."""
        return {
            "threshold": self._guard.threshold,
            "tripped": self._guard.tripped,
            "muted": self._is_muted,
            "trips": tuple(self._trips),
        }

    def _remove(self, trip: dict[str, Any]) -> None:
        removed: list[str] = []

        def note(text: str) -> None:
            removed.append(text)
            self._mailbox.post(partial(self._note, trip, removed=tuple(removed)))

        self._node.remove_noted(note)
        # Foreign rules are looked for by a worker that may wait: the next trip must not.
        self._worker.submit(partial(self._look_further, trip))
        removed += self._node.remove_leftover()
        self._mailbox.post(partial(self._note, trip, removed=tuple(removed)))

    def _look_further(self, trip: dict[str, Any]) -> None:
        foreign = tuple(self._busy_foreign_rules())
        self._mailbox.post(partial(self._note, trip, foreign=foreign))

    def _busy_foreign_rules(self) -> list[Mapping[str, Any]]:
        """The rules of others that trace packets now, the busiest first."""
        before = self._node.foreign_matches()
        if not before:
            return []
        time.sleep(FOREIGN_COUNT_SECONDS)
        busy = [
            (rule.packets - before[key].packets, rule)
            for key, rule in self._node.foreign_matches().items()
            if key in before and rule.packets > before[key].packets
        ]
        return [
            {"rate": round(matches / FOREIGN_COUNT_SECONDS), "rule": rule.to_json()}
            for matches, rule in sorted(busy, key=lambda busy_rule: -busy_rule[0])
        ]

    def _note(self, trip: dict[str, Any], **changes: Any) -> None:
        trip.update(changes)
        self._reactor.send_status()
        self._reactor.relist()
