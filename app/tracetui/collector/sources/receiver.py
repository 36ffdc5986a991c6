"""Everything that is received: counted, watched by the guard, and handed on unread."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from tracetui.collector.reactor.outbox import Outbox
from tracetui.collector.sources.sources import Source
from tracetui.errors import Failure
from tracetui.model.tracing.guard import Guard

LOSS_SECONDS = 0.1
"""Seconds between two looks at what the kernel dropped."""
DRAIN_BATCHES = 1000
"""Batches taken from a source that is to be closed; others may still feed it."""
SOME_BATCHES = 16
"""Batches taken from a source that stays open: some hundredths of a second without a command."""
LAST_BATCHES = 10
"""Batches taken from a source that is closed because it floods."""


class HopReceiver:
    """The open sources; used by the receive loop's thread only."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        outbox: Outbox,
        guard: Guard,
        tripped: Callable[[], None],
        broke: Callable[[str, str], None] = lambda name, why: None,
    ) -> None:
        """``broke`` is told the name of a source that can't be read any more, and why."""
        self.guard = guard
        self.hops = 0
        """Hops received in all."""
        self.hops_of = {"legacy": 0, "nft": 0}
        """Hops received by backend."""
        self._selector = selector
        self._outbox = outbox
        self._tripped = tripped
        self._broke = broke
        self._sources: list[Source] = []
        self._failed: dict[str, str] = {}
        self._silent: dict[str, str] = {}
        self._lost_before = 0
        self._next_look = 0.0

    @property
    def lost(self) -> int:
        """Records the kernel dropped in all, closed sources included."""
        return self._lost_before + sum(source.lost for source in self._sources)

    @property
    def is_dry(self) -> bool:
        """Whether the last look at each source found its end."""
        return all(source.is_dry for source in self._sources)

    def open(self, name: str, receiver: Callable[[], Any]) -> str | None:
        """Open a source and listen to it; the reason if that can't be done."""
        try:
            self.add(Source(name, receiver()))
        except Failure as error:
            self._failed[name] = str(error)
            return str(error)
        return None

    def add(self, source: Source) -> None:
        """Listen to an open source."""
        self._failed.pop(source.name, None)
        self._sources.append(source)
        self._selector.register(source, selectors.EVENT_READ, partial(self._receive, source))

    def drop(self, source: Source) -> None:
        """Take what a source still holds and close it."""
        if source in self._sources:
            self._close(source, DRAIN_BATCHES)

    def silence(self, why: str) -> None:
        """Close every source, and have that said of it, until it is opened again."""
        for source in list(self._sources):
            self._close(source, LAST_BATCHES)
            self._silent[source.name] = why

    def end_silence(self) -> None:
        """Forget which sources were closed by :meth:`silence`."""
        self._silent.clear()

    def drain(self, backend: str) -> bool:
        """Take what a backend's sources hold; False if they are fed faster than that."""
        fed = [source for source in self._sources if source.backend == backend]
        dry = [self._drain(source, SOME_BATCHES) for source in fed]
        return all(dry)

    def states(self) -> list[Mapping[str, str]]:
        """Name, state and detail of each source that is open or could not be opened."""
        states = [{"name": source.name, "state": "on", "detail": ""} for source in self._sources]
        return [
            *states,
            *({"name": n, "state": "failed", "detail": why} for n, why in self._failed.items()),
            *({"name": n, "state": "off", "detail": why} for n, why in self._silent.items()),
        ]

    def tick(self, now: float) -> None:
        """Look for losses when it is time to; ``now`` is monotonic seconds."""
        if now >= self._next_look:
            self._next_look = now + LOSS_SECONDS
            self.look_for_losses()

    def look_for_losses(self) -> None:
        """Ask every source what the kernel dropped; any loss trips the guard."""
        for source in self._sources:
            if self.guard.lose(source.name, source.newly_lost()):
                self._tripped()

    def _receive(self, source: Source) -> None:
        try:
            self._count(source, *source.take())
        except OSError as error:
            self._give_up(source, error)

    def _give_up(self, source: Source, error: OSError) -> None:
        why = error.strerror or "broken"
        self._failed[source.name] = why
        self._forget(source)
        self._broke(source.name, why)

    def _close(self, source: Source, batches: int) -> None:
        self._drain(source, batches)
        if source in self._sources:
            self.look_for_losses()
            self._forget(source)

    def _drain(self, source: Source, batches: int) -> bool:
        """Take so many batches at most; False if more came. One that breaks is given up."""
        for _ in range(batches):
            try:
                self._count(source, *source.take())
            except OSError as error:
                self._give_up(source, error)
                return True
            if source.is_dry:
                return True
            # A flood fills up what waits otherwise: nothing else is done meanwhile.
            self._outbox.write()
        return False

    def _count(self, source: Source, records: list[bytes], times: list[float]) -> None:
        if not records:
            return
        hops = len(records)
        self.hops += hops
        self.hops_of[source.backend] += hops
        self._outbox.put_hops(source.kind, records, times)
        if self.guard.count(time.monotonic(), hops):
            self._tripped()

    def _forget(self, source: Source) -> None:
        self._selector.unregister(source)
        self._sources.remove(source)
        self._lost_before += source.lost
        source.close()
