"""What a trip of the guard sets off: our rules go at once, then what still floods is looked at."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol

from tracetui.collector.reactor.mailbox import Mailbox
from tracetui.collector.reactor.worker import Worker
from tracetui.collector.rules.node_changes import NodeChanges
from tracetui.model.tracing.guard import MAX_THRESHOLD, Guard

FOREIGN_SECONDS = 0.5
"""Over which matches of foreign rules are counted."""
DEAF_AFTER_SECONDS = 1.0
"""A flood that goes on so long after a trip is not listened to any more: that alone costs the node
half of what tracing costs: on kernel 6.18 receiving 100,000 hops takes 0.2 to 0.3 s of a core."""


TRIPS_KEPT = 20
"""Trips told to the session, the last ones."""


class Hearer(Protocol):
    """The receive loop, as far as the alarm needs it; used by that loop's thread only."""

    def deafen(self) -> None:
        """Close every source."""
        ...

    def listen_again(self) -> None:
        """Open them again."""
        ...

    def tell_status(self) -> None:
        """Have the state told soon."""
        ...

    def relist(self) -> None:
        """Have the rules listed soon."""
        ...


class Alarm:
    """The guard's state, and the jobs behind it; used by the receive loop's thread only."""

    def __init__(
        self,
        guard: Guard,
        keeper: NodeChanges,
        remover: Worker,
        worker: Worker,
        mailbox: Mailbox,
        loop: Hearer,
    ) -> None:
        """``remover`` runs nothing but removals; ``worker`` whatever else may block."""
        self._guard = guard
        self._keeper = keeper
        self._remover = remover
        self._worker = worker
        self._mailbox = mailbox
        self._loop = loop
        self._trips: deque[dict[str, Any]] = deque(maxlen=TRIPS_KEPT)
        self._since = 0.0
        self._is_deaf = False

    def trip(self) -> None:
        """Have our rules removed now, whatever else goes on."""
        self._since = time.monotonic()
        trip = {"at": time.time(), "reason": self._guard.reason, "removed": None, "foreign": ()}
        self._trips.append(trip)
        self._keeper.refuse(f"the guard tripped ({self._guard.reason}); arm it first")
        self._keeper.note_removal()
        self._remover.insist(partial(self._remove, trip))
        self._loop.tell_status()

    def arm(self) -> None:
        """Start anew; rules may be added again."""
        self._guard.arm()
        self._keeper.refuse(None)
        if self._is_deaf:
            self._is_deaf = False
            self._loop.listen_again()
        self._loop.tell_status()

    def set_threshold(self, hops_per_second: object) -> None:
        """Change the guard's threshold, to a whole number that is one."""
        if type(hops_per_second) is int and 0 < hops_per_second <= MAX_THRESHOLD:
            self._guard.threshold = hops_per_second
            self._loop.tell_status()

    def tick(self, now: float) -> None:
        """Stop listening to a flood that does not end; ``now`` is monotonic seconds."""
        lasts = self._guard.tripped and now - self._since > DEAF_AFTER_SECONDS
        if lasts and not self._is_deaf and self._guard.rate(now) > self._guard.threshold:
            self._is_deaf = True
            self._loop.deafen()
            self._loop.tell_status()

    def state(self) -> dict[str, Any]:
        """What the session is told; times are seconds since the epoch."""
        return {
            "threshold": self._guard.threshold,
            "tripped": self._guard.tripped,
            "deaf": self._is_deaf,
            "trips": tuple(self._trips),
        }

    def _remove(self, trip: dict[str, Any]) -> None:
        removed: list[str] = []

        def note(text: str) -> None:
            removed.append(text)
            self._mailbox.post(partial(self._note, trip, removed=tuple(removed)))

        self._keeper.remove_noted(note)
        # Foreign rules are looked for by a worker that may wait: the next trip must not.
        self._worker.submit(partial(self._look_further, trip))
        removed += self._keeper.remove_leftover()
        self._mailbox.post(partial(self._note, trip, removed=tuple(removed)))

    def _look_further(self, trip: dict[str, Any]) -> None:
        foreign = tuple(self._busy_foreign_rules())
        self._mailbox.post(partial(self._note, trip, foreign=foreign))

    def _busy_foreign_rules(self) -> list[Mapping[str, Any]]:
        """The rules of others that trace packets now, the busiest first."""
        before = self._keeper.foreign_matches()
        if not before:
            return []
        time.sleep(FOREIGN_SECONDS)
        busy = [
            (rule.packets - before[key].packets, rule)
            for key, rule in self._keeper.foreign_matches().items()
            if key in before and rule.packets > before[key].packets
        ]
        return [
            {"rate": round(matches / FOREIGN_SECONDS), "rule": rule.to_json()}
            for matches, rule in sorted(busy, key=lambda one: -one[0])
        ]

    def _note(self, trip: dict[str, Any], **found: Any) -> None:
        trip.update(found)
        self._loop.tell_status()
        self._loop.relist()
