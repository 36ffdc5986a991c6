"""What is received: a flood is never dry, and other things are to be done meanwhile."""

from __future__ import annotations

import os
import selectors

from tracetui.collector.reactor.outbox import Outbox
from tracetui.collector.sources.receiver import SOME_BATCHES, HopReceiver
from tracetui.collector.sources.sources import Source
from tracetui.model.tracing.guard import Guard


class Flood:
    """A source that has more however often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self._fd, self._other = os.pipe()

    def fileno(self) -> int:
        return self._fd

    def receive(self, limit: int) -> tuple[list[bytes], list[float], bool]:
        self.asked += 1
        return [b"x"], [1.0], self.asked > 10 * SOME_BATCHES

    def lost(self) -> int:
        return 0

    def close(self) -> None:
        os.close(self._fd)
        os.close(self._other)


def test_a_source_that_is_never_dry_is_left_after_some_batches():
    flood, nowhere = Flood(), os.open(os.devnull, os.O_WRONLY)
    with selectors.DefaultSelector() as selector:
        reception = HopReceiver(selector, Outbox(nowhere), Guard(10**9), lambda: None)
        reception.add(Source("nftrace", flood))
        assert not reception.drain("nft")
        assert flood.asked == reception.hops == SOME_BATCHES
    flood.close()
    os.close(nowhere)


class Broken(Flood):
    """A source that can't be read any more."""

    def receive(self, limit: int) -> tuple[list[bytes], list[float], bool]:
        raise OSError(9, "Bad file descriptor")


def test_a_source_that_breaks_is_given_up_and_told_to_who_relies_on_it():
    nowhere, told = os.open(os.devnull, os.O_WRONLY), []
    with selectors.DefaultSelector() as selector:
        outbox = Outbox(nowhere)
        reception = HopReceiver(
            selector, outbox, Guard(10**9), lambda: None, lambda *broke: told.append(broke)
        )
        reception.add(Source("nflog", Broken()))
        assert reception.drain("legacy")
        assert told == [("nflog", "Bad file descriptor")]
        assert reception.states() == [
            {"name": "nflog", "state": "failed", "detail": "Bad file descriptor"}
        ]
        reception.add(Source("nflog", Broken()))
        reception.silence("closed")
        assert len(told) == 2
    os.close(nowhere)
