"""Commands to a real collector: each is answered once, whatever else comes down the pipe."""

from __future__ import annotations

import json
import os
import random
import select
import subprocess
import time
from collections import Counter
from contextlib import contextmanager

import pytest

from tracetui.collector import command
from tracetui.collector.reactor.worker import WAITING_JOBS
from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.protocol import commands, frames
from tracetui.protocol.commands import (
    AddRules,
    ArmGuard,
    DeleteRule,
    ExtendRules,
    Flush,
    ListChain,
    LoadModule,
    ReadRulesets,
    Request,
    SetThreshold,
)
from tracetui.protocol.replies import ErrorKind, Reply
from tracetui.session.state.session import ChainRef

from .test_collector_safety import BACKENDS, add, expiring, live, wait_for
from .test_removal import lock_held

pytestmark = pytest.mark.kernel
__all__ = ["lock_held"]

WORD = TraceRule(chain="OUTPUT", family=4, proto="udp")
HARMLESS = [
    ReadRulesets(), ArmGuard(), SetThreshold(5000), SetThreshold(0), DeleteRule("ab12cd"),
    ExtendRules(()), Flush(()), LoadModule("no_module_of_ours"),
    ListChain("nft", "ip", "raw", "OUTPUT"), ListChain("nft", "ip", "raw", "\n"),
    ListChain("neither", "ip", "raw", "OUTPUT"), AddRules((), "nft", False),
    AddRules((WORD._replace(expires=1),), "nft", False), AddRules((WORD,), "neither", False),
]  # fmt: skip


class Pipe:
    """A collector whose pipe is written to byte by byte, and whose frames are kept."""

    def __init__(self, namespace) -> None:
        self.process = subprocess.Popen(
            [*command.words(), "--netns", namespace.name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
        )  # fmt: skip
        self._reader = frames.FrameReader()
        self.frames: list[frames.Frame] = []
        self.read_until(lambda: any(frame.kind == frames.RULES for frame in self.frames))

    def write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(self.process.stdin.fileno(), left[:4096]) :]
            self.read(0.0)

    def read(self, seconds: float) -> None:
        fd = self.process.stdout.fileno()
        if select.select([fd], [], [], seconds)[0]:
            self.frames += self._reader.feed(os.read(fd, 1 << 16))

    def read_until(self, is_true, seconds: float = 30.0) -> None:
        end = time.monotonic() + seconds
        while not is_true():
            assert time.monotonic() < end, self.replies[-5:]
            self.read(0.05)

    def end(self) -> int:
        """Close the pipe and take what still comes; the exit status."""
        self.process.stdin.close()
        while data := os.read(self.process.stdout.fileno(), 1 << 16):
            self.frames += self._reader.feed(data)
        return self.process.wait(30)

    @property
    def replies(self) -> list[Reply]:
        return [Reply.from_frame(frame) for frame in self.frames if frame.kind == frames.REPLY]


@contextmanager
def pipe_to(namespace):
    pipe = Pipe(namespace)
    try:
        yield pipe
    finally:
        if not pipe.process.stdin.closed:
            pipe.end()
        pipe.process.stdout.close()
        assert namespace.trace_rules() == []


def line(**values) -> bytes:
    return json.dumps(values).encode() + b"\n"


def test_every_command_is_answered_once_also_those_that_are_none(namespace):
    with pipe_to(namespace) as pipe:
        for number, each in enumerate(HARMLESS):
            pipe.write(commands.encode(Request(number, each)))
            pipe.read_until(lambda: len(pipe.replies) > number)  # noqa: B023
        pipe.write(line(id=100, do="quit") + line(id=101) + line(id=102, do="flush"))
        # One id for two commands: the collector answers both.
        pipe.write(commands.encode(Request(103, ArmGuard())) * 2)
        pipe.read_until(lambda: len(pipe.replies) >= len(HARMLESS) + 5)
        assert pipe.end() == 0
    kinds = {reply.id: reply.outcome.error for reply in pipe.replies}
    counts = Counter(reply.id for reply in pipe.replies)
    assert counts == {**dict.fromkeys(range(len(HARMLESS)), 1), 100: 1, 101: 1, 102: 1, 103: 2}
    assert [kinds[number] for number in range(len(HARMLESS))] == [
        None, None, None, ErrorKind.INVALID, ErrorKind.NOT_FOUND, None, None, ErrorKind.REFUSED,
        None, ErrorKind.FAILED, ErrorKind.INVALID, ErrorKind.INVALID,
        ErrorKind.INVALID, ErrorKind.INVALID,
    ]  # fmt: skip
    assert kinds[100] is kinds[101] is ErrorKind.UNKNOWN_COMMAND
    assert kinds[102] is ErrorKind.INVALID


@pytest.mark.parametrize("seed", range(3))
def test_no_byte_down_the_pipe_ends_it_and_every_command_between_is_answered_once(namespace, seed):
    chance = random.Random(seed)  # noqa: S311
    lines = [line(id=1, do=name) for name in ("flush", "add-rules", "set-threshold")]
    with pipe_to(namespace) as pipe:
        sent: Counter[int] = Counter()
        for number in range(150):
            data = bytearray(chance.choice(lines) if chance.random() < 0.5 else b"")
            if not data:
                data += chance.randbytes(chance.randrange(400))
            for _ in range(chance.randrange(3)):
                data[chance.randrange(len(data) + 1) :] = chance.randbytes(3)
            pipe.write(bytes(data) + b"\n")
            request = Request(1000 + number, chance.choice(HARMLESS))
            # Never more than may wait: those are answered too, but with ``busy``.
            pipe.read_until(lambda: len(pipe.replies) + WAITING_JOBS // 2 > number)  # noqa: B023
            pipe.write(commands.encode(request))
            sent[request.id] += 1
        pipe.read_until(lambda: {reply.id for reply in pipe.replies} >= set(sent))
        assert pipe.end() == 0
    answered = Counter(reply.id for reply in pipe.replies if reply.id >= 1000)
    assert answered == sent
    assert pipe.frames[-1].kind == frames.BYE


def test_what_is_not_done_before_the_end_is_answered_too(namespace, lock_held):
    """And nothing waits for those replies: the rule goes, then the collector."""
    with pipe_to(namespace) as pipe:
        pipe.write(commands.encode(Request(1, AddRules((expiring(),), "nft", False))))
        pipe.read_until(lambda: pipe.replies)
        assert pipe.replies[0].outcome.error is None
        assert len(namespace.trace_rules()) == 1
        with lock_held():
            for number in range(2, 2 + 2 * WAITING_JOBS):
                adding = AddRules((expiring(),), "legacy", True)
                pipe.write(commands.encode(Request(number, adding)))
            pipe.read_until(lambda: len(pipe.replies) > 1)
        assert pipe.end() == 0
    assert Counter(reply.id for reply in pipe.replies) == dict.fromkeys(
        range(1, 2 + 2 * WAITING_JOBS), 1
    )
    kinds = {reply.outcome.error for reply in pipe.replies}
    assert ErrorKind.BUSY in kinds
    assert ErrorKind.GONE in kinds


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_listing_comes_before_the_reply_and_has_what_it_tells_of(namespace, backend):
    with pipe_to(namespace) as pipe:
        rules = (expiring(), expiring()._replace(proto="udp"))
        pipe.write(commands.encode(Request(1, AddRules(rules, backend, True))))
        pipe.read_until(lambda: pipe.replies)
        (added,) = pipe.replies
        assert len(added.outcome.rules) == 2
        assert listed(pipe) == {rule.id for rule in added.outcome.rules}
        pipe.write(commands.encode(Request(2, ExtendRules(()))))
        pipe.read_until(lambda: len(pipe.replies) == 2)
        later = pipe.replies[-1].outcome.rules
        assert min(rule.expires for rule in later) > max(rule.expires for rule in rules)
        pipe.write(commands.encode(Request(3, DeleteRule(min(listed(pipe))))))
        pipe.read_until(lambda: len(pipe.replies) == 3)
        assert len(listed(pipe)) == 1
        pipe.write(commands.encode(Request(4, Flush(()))))
        pipe.read_until(lambda: len(pipe.replies) == 4)
        assert listed(pipe) == set()
        assert len(pipe.replies[-1].outcome.rules) == 1
    assert [reply.outcome.error for reply in pipe.replies] == [None] * 4


def listed(pipe: Pipe) -> set[str]:
    """The ids of the rules in the last listing before the last reply."""
    kinds = [frame.kind for frame in pipe.frames]
    last = len(kinds) - 1 - kinds[::-1].index(frames.REPLY)
    before = [frame for frame in pipe.frames[:last] if frame.kind == frames.RULES]
    return {rule["id"] for rule in before[-1].json()["rules"]}


@pytest.mark.parametrize("backend", BACKENDS)
def test_of_two_rules_both_are_installed_or_none(namespace, backend):
    """The second can't be: the same one stands already."""
    with live(namespace) as session:
        add(session, expiring(), backend)
        (standing,) = session.rules
        twice = expiring()._replace(expires=int(standing.expires))
        other = expiring()._replace(proto="udp")
        sent = session.add_rules([other, twice], backend, True)
        wait_for(session, lambda: sent.outcome)
        assert sent.outcome.error is ErrorKind.FAILED
        assert "there already" in sent.outcome.text
        assert ["udp" in rule.words for rule in sent.outcome.undone] == [True]
        assert len(namespace.trace_rules()) == 1
        assert [rule.id for rule in session.rules] == [standing.id]
        text = session.take_notices()[-1].text
        assert text.startswith("no rule added: this rule is there already")
        assert "removed again: " in text
        both = session.add_rules([other, other.mirrored()[0]], backend, True)
        wait_for(session, lambda: both.outcome)
        assert both.outcome.error is None
        # The listing is there with the reply.
        assert len(session.rules) == len(namespace.trace_rules()) == 3


def test_a_rule_that_costs_too_much_keeps_the_other_from_being_installed(namespace):
    with live(namespace) as session:
        costly = expiring()._replace(limit=None)
        sent = session.add_rules([expiring(), costly], "legacy")
        wait_for(session, lambda: sent.outcome)
        assert sent.outcome.error is ErrorKind.REFUSED
        assert "--force" in sent.outcome.remedy
        assert sent.outcome.undone == ()
        assert namespace.trace_rules() == []


def test_a_chain_that_is_asked_for_is_sent_and_so_is_what_is_wrong_with_it(namespace):
    with live(namespace) as session:
        add(session, expiring(), "nft")
        place = ChainRef("nft", "ip", "raw", "OUTPUT")
        missing = place._replace(chain="MISSING")
        session.ask_chain(place)
        session.ask_chain(missing)
        wait_for(session, lambda: session.chain_listing(place) and session.chain_listing(missing))
        assert "TRACE" in session.chain_listing(place).text
        assert session.chain_listing(missing).error
        assert not [notice for notice in session.take_notices() if notice.severity == "error"]
