"""Readings of rulesets as the session sees them: marked in the stream of hops."""

from __future__ import annotations

import os
import selectors
import time

import pytest

from tracetui.collector.reactor import outbox
from tracetui.collector.reactor.mailbox import Mailbox
from tracetui.collector.reactor.outbox import Outbox
from tracetui.collector.snapshots.ruleset_reader import ReadOutcome
from tracetui.collector.snapshots.snapshots import Snapshots
from tracetui.collector.sources.receiver import HopReceiver
from tracetui.collector.sources.sources import Source
from tracetui.errors import Failure
from tracetui.kernel.xtables import Xtables
from tracetui.model.tracing.guard import Guard
from tracetui.protocol import frames

PART = ({"what": "save", "backend": "nft", "family": 4}, "*filter\nCOMMIT\n")


class Hops:
    """A source whose hops the test hands out."""

    def __init__(self) -> None:
        self.waiting: list[bytes] = []
        self._read, self._write = os.pipe()

    def fileno(self) -> int:
        return self._read

    def receive(self, limit: int) -> tuple[list[bytes], list[float], bool]:
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return taken, [1.0] * len(taken), not self.waiting

    def lost(self) -> int:
        return 0

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)


class Script:
    """A reader that does what the test says, one thing after the other."""

    def __init__(self) -> None:
        self.next: list = []
        self.forgotten = 0
        self.before_end = lambda: None

    def read(self, whole: bool):
        found = self.next.pop(0)
        self.before_end()
        if isinstance(found, Exception):
            raise found
        return found

    def forget(self) -> None:
        self.forgotten += 1


class Bench:
    """The collector's parts around the readings."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.hops, self.script = Hops(), Script()
        self.mailbox = Mailbox()
        self._out, write = os.pipe()
        self.outbox = Outbox(write)
        self._reception = reception = HopReceiver(
            selectors.DefaultSelector(), self.outbox, Guard(10_000), lambda: None
        )
        self.source = Source("nftrace", self.hops)
        reception.add(self.source)
        self.snapshots = Snapshots(
            self, self.mailbox, self.outbox, self._reception, {"nft": self.script}, Xtables()
        )

    def say(self, severity: str, text: str) -> None:
        self.said.append(text)

    def run(self, *outcomes) -> None:
        """Let one reading after the other come to its end."""
        for outcome in outcomes:
            self.script.next.append(outcome)
            self.snapshots.want()
            self.snapshots.tick(time.monotonic())
            end = time.monotonic() + 5
            while self.script.next or self.snapshots._states["nft"].busy:
                self.mailbox.run()
                assert time.monotonic() < end

    def sent(self) -> list:
        """What reached the other end: marks by their kind and number, anything else by its kind."""
        self.outbox.write()
        os.set_blocking(self._out, False)
        found = []
        for frame in frames.FrameReader().feed(os.read(self._out, 1 << 20)):
            if frame.kind == frames.READING:
                mark = frame.json()
                found.append((mark["at"], mark["reading"]))
            else:
                found.append(frame.kind)
        return found

    def close(self) -> None:
        self.snapshots.stop(1.0)
        self.source.close()
        os.close(self._out)
        os.close(self.outbox.fd)


@pytest.fixture
def bench():
    made = Bench()
    yield made
    made.close()


def found(same: bool = False) -> ReadOutcome:
    return ReadOutcome(same, True, () if same else (PART,))


def test_hops_of_before_the_end_of_a_reading_come_before_its_end(bench):
    bench.script.before_end = lambda: bench.hops.waiting.append(b"hop")
    bench.run(found())
    assert bench.sent() == [("begin", 1), frames.NFTRACE_RECORDS, frames.RULESET, ("end", 1)]


def test_what_is_as_before_is_not_sent_again(bench):
    bench.run(found(), found(same=True))
    assert bench.sent()[-2:] == [("begin", 2), ("end", 2)]


@pytest.mark.parametrize("nothing", [None, Failure("no"), KeyError("bug")])
def test_a_reading_that_came_to_nothing_is_taken_back(bench, nothing):
    bench.run(nothing, found())
    assert bench.sent() == [
        *(("begin", 1), ("cancel", 1)),
        *(("begin", 1), frames.RULESET, ("end", 1)),
    ]
    assert len(bench.said) == (0 if nothing is None else 1)


def test_the_same_refusal_is_said_once(bench):
    bench.run(Failure("no"), Failure("no"), Failure("no"))
    assert bench.said == ["rules can't be read: no"]


def test_a_ruleset_that_finds_no_room_is_read_again(bench, monkeypatch):
    bench.run(found())
    bench.sent()
    # Room for the mark and the text, and none for the end.
    monkeypatch.setattr(outbox, "FRAMES_BOUND", 100)
    bench.run(found())
    assert bench.script.forgotten == 1
    monkeypatch.undo()
    assert ("end", 2) not in bench.sent()
    bench.run(found())
    assert bench.sent() == [("begin", 2), frames.RULESET, ("end", 2)]


def test_without_room_to_mark_its_begin_no_reading_begins(bench, monkeypatch):
    monkeypatch.setattr(outbox, "FRAMES_BOUND", -1)
    bench.snapshots.want()
    bench.snapshots.tick(time.monotonic())
    assert not bench.snapshots._states["nft"].busy
    monkeypatch.undo()
    bench.run(found())
    assert bench.sent() == [("begin", 1), frames.RULESET, ("end", 1)]
