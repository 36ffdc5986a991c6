"""Frames that are malformed, huge, slow or endless: bounded, said, and a clean end."""

from __future__ import annotations

import json
import signal
import struct
import time
from pathlib import Path

import pytest
from tests.session import scripted
from tests.session.scripted import UNTIL_TOLD, hello, json_frame, poll_until, session

from tracetui.protocol import frames
from tracetui.session.live import client, frame_queue
from tracetui.session.state import notices

GOOD = {
    frames.STATUS: scripted.STATUS,
    frames.NODE: scripted.NODE,
    frames.RULES: scripted.RULES,
    frames.NOTICE: scripted.NOTICE,
    frames.BYE: scripted.BYE,
    frames.READING: scripted.READING,
    frames.LINKS: {"1": "lo"},
    frames.CHAIN: scripted.CHAIN,
    frames.REPLY: scripted.REPLY,
}
AT_ONCE = 10.0
"""Seconds: a loaded machine is slow."""


def spoilt(value: dict):
    """The object with each of its keys missing, null, or of a type that is not its own."""
    for key in value:
        yield f"{key} missing", {name: one for name, one in value.items() if name != key}
        for wrong in (["x"], {"x": 1}, "x", 1.5, True):
            if not isinstance(value[key], type(wrong)):
                yield f"{key}={wrong!r}", {**value, key: wrong}


MALFORMED = [
    pytest.param(json_frame(kind, bad), id=f"{kind} {what}")
    for kind, good in GOOD.items()
    if kind != frames.LINKS
    for what, bad in spoilt(good)
    if not (kind == frames.BYE and what == "why='x'")
    and not (kind == frames.REPLY and what == "error='x'")
]
BROKEN = [
    pytest.param(frames.encode(frames.STATUS, 1.0, b"\xff\x00no object"), id="no JSON"),
    pytest.param(frames.encode(frames.STATUS, 1.0, b"[1]"), id="no object"),
    pytest.param(frames.encode(frames.STATUS, 1.0, b"[" * 100_000), id="deeper than Python goes"),
    pytest.param(json_frame(frames.LINKS, {"no number": "lo"}), id="no number"),
    pytest.param(json_frame(frames.LINKS, {"1": 2}), id="no name"),
    pytest.param(frames.encode(frames.NFLOG_RECORDS, 1.0, b""), id="no count"),
    pytest.param(
        frames.encode(frames.NFTRACE_RECORDS, 1.0, struct.pack("<I", 1 << 31)), id="huge count"
    ),
    pytest.param(
        frames.encode(frames.KMSG_RECORDS, 1.0, b"\x01\0\0\0" + b"\xff" * 12), id="no time"
    ),
    pytest.param(frames.encode(frames.RULESET, 1.0, b"no head"), id="no head"),
    pytest.param(
        struct.pack("<IBd", (16 << 20) + 1, frames.KMSG_RECORDS, 1.0), id="larger than any"
    ),
    pytest.param(struct.pack("<IBd", 5, frames.KMSG_RECORDS, float("nan")), id="no moment"),
    pytest.param(b"\xff" * 4096, id="no frame at all"),
]


def is_said_and_ended(one) -> list[str]:
    """Wait until a session ended by itself, and close it; what was told."""
    began = time.monotonic()
    poll_until(one, lambda: one.ended)
    one.close()
    assert time.monotonic() - began < AT_ONCE
    return [notice.text for notice in one.take_notices()]


@pytest.mark.parametrize("data", [*MALFORMED, *BROKEN])
def test_a_frame_that_is_none_of_ours_ends_the_trace_and_is_said(data):
    """The collector is told to clean up, which it then does: nothing of ours runs on unseen."""
    one = session(hello(), f"write({data!r})", UNTIL_TOLD)
    told = is_said_and_ended(one)
    assert "collector" in one.status.why_not
    # Where who it is came in the same piece, not even that was heard.
    if one.has_begun:
        assert "start tracetui again" in one.status.why_not
        assert told[-1] == "nothing was left on the node"
    assert one._client._process.returncode == 0


def test_what_a_newer_collector_adds_is_let_through():
    more = {"new": {"key": [1]}}
    node = {**scripted.NODE, **more}
    rules = {**scripted.RULES, "rules": [{**scripted.RULE, **more}], **more}
    source = {**scripted.STATUS["sources"][0], **more}
    status = {**scripted.STATUS, "sources": [source], **more}
    one = session(
        hello(),
        *(
            f"write({json_frame(kind, value)!r})"
            for kind, value in (
                (99, more), (frames.NODE, node), (frames.STATUS, status), (frames.RULES, rules),
            )
        ),
        UNTIL_TOLD,
    )  # fmt: skip
    try:
        poll_until(one, lambda: one.is_ready)
        assert one.status.node.backend == "nft"
        assert one.status.sources[0].name == "nftrace"
        assert not one.ended
    finally:
        one.close()


def test_a_frame_that_comes_byte_by_byte_is_taken_when_it_is_whole():
    data = json_frame(frames.NOTICE, scripted.NOTICE)
    slow = f"for at in range({len(data)}): write({data!r}[at:at + 1]); time.sleep(0.001)"
    one = session(hello(), slow, UNTIL_TOLD)
    try:
        poll_until(one, lambda: one._notices)
        assert [n.text for n in one.take_notices()] == [scripted.NOTICE["text"]]
    finally:
        one.close()


def test_notices_without_end_are_counted_and_not_kept():
    many = f"write({json_frame(frames.NOTICE, scripted.NOTICE)!r} * {notices.NOTICES_KEPT + 500})"
    rules = f"write({json_frame(frames.RULES, scripted.RULES)!r})"
    one = session(hello(), many, rules, UNTIL_TOLD)
    try:
        poll_until(one, lambda: one.is_ready)
        told = [n.text for n in one.take_notices()]
        assert len(told) == notices.NOTICES_KEPT + 1
        assert told[0] == "500 earlier notices came too fast to be kept"
    finally:
        one.close()


@pytest.mark.parametrize("kind", [frames.STATUS, frames.KMSG_RECORDS])
def test_frames_without_end_wait_in_bounded_room(kind, monkeypatch):
    """Empty ones too: each costs more than its payload."""
    monkeypatch.setattr(frame_queue, "BACKLOG", 1 << 20)
    monkeypatch.setattr(frame_queue, "URGENT_BACKLOG", 1 << 20)
    endless = f"for _ in range(200): write({frames.encode(kind, 1.0, b'')!r} * 10_000)"
    one = client.CollectorClient([], scripted.launcher(endless, UNTIL_TOLD))
    held = one._queue._held
    try:
        before, end = -1, time.monotonic() + 20
        while (before != sum(held.values()) or not before) and time.monotonic() < end:
            before = sum(held.values())
            time.sleep(0.3)  # in which more would have been taken
        assert 0 < before <= (1 << 20) + frame_queue.FRAME_OVERHEAD_BYTES
    finally:
        one._process.kill()
        one.close(lambda _: None)


def test_frames_that_go_on_after_the_end_was_asked_for_are_not_heard_for_ever(monkeypatch):
    monkeypatch.setattr(client, "LEAVE_SECONDS", 1.0)
    monkeypatch.setattr(client, "SWEEP_SECONDS", 1.0)
    endless = f"while True: write({json_frame(frames.NOTICE, scripted.NOTICE)!r})"
    one = session(hello(), endless)
    poll_until(one, lambda: one.has_begun)
    began = time.monotonic()
    one.close()
    assert time.monotonic() - began < AT_ONCE
    assert "is still removing its rules" in [n.text for n in one.take_notices()][-1]
    one._client._process.kill()
    one._client._close_pipe(10.0)
    one._client._process.wait()


def test_a_ruleset_without_end_is_not_kept(monkeypatch):
    monkeypatch.setattr("tracetui.session.live.live.RULESET_BYTES", 1 << 20)
    part = frames.encode(frames.RULESET, 1.0, b'{"backend":"nft"}\n' + b"x" * 10_000)
    one = session(hello(), f"for _ in range(200): write({part!r})", UNTIL_TOLD)
    assert "a ruleset without end" in is_said_and_ended(one)[0]


def test_a_collector_that_falls_silent_is_told_once(monkeypatch):
    monkeypatch.setattr("tracetui.session.live.live.SILENCE_SECONDS", 0.3)
    one = session(hello(), UNTIL_TOLD)
    told = []
    try:
        poll_until(one, lambda: one.has_begun)
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            one.poll()
            told += [n.text for n in one.take_notices()]
            time.sleep(0.05)  # until a second word would have come
        assert [text for text in told if "has told nothing for" in text] == told != []
        assert len(told) == 1
    finally:
        one.close()


def test_commands_that_nobody_takes_do_not_block(monkeypatch):
    monkeypatch.setattr(client, "SEND_SECONDS", 0.3)
    one = session(hello(), "time.sleep(60)")
    poll_until(one, lambda: one.has_begun)
    for _ in range(200):
        one.flush(["x" * 1000])
        if one._notices:
            break
    assert "takes no commands: it hangs" in one.take_notices()[0].text
    one._client._process.kill()
    one.close()


def test_what_a_dead_collector_left_is_seen_to_once():
    """By the session that it ended under, and not again when that is closed."""
    one = session(hello(), "sys.exit(3)")
    poll_until(one, lambda: one.ended)
    one.close()
    told = [n.text for n in one.take_notices()]
    assert len([text for text in told if "watchdog died too" in text]) == 1, told


def is_ignored(pid: int, number: signal.Signals) -> bool:
    """Whether a process ignores a signal (proc_pid_status(5), SigIgn)."""
    status = Path(f"/proc/{pid}/status").read_text()
    mask = int(status.partition("SigIgn:")[2].split()[0], 16)
    return bool(mask & 1 << number - 1)


def test_one_that_has_not_begun_is_ended_at_once_though_it_ignores_signals():
    one = session("signal.signal(signal.SIGTERM, signal.SIG_IGN)", "time.sleep(600)")
    pid, end = one._client._process.pid, time.monotonic() + 20
    while not is_ignored(pid, signal.SIGTERM):
        assert time.monotonic() < end
        time.sleep(0.01)
    began = time.monotonic()
    one.abandon()
    assert time.monotonic() - began < AT_ONCE
    assert one._client._process.poll() is not None


def test_its_words_are_kept_in_memory_and_read_from_their_end():
    lines = "sys.stderr.write('x' * 200_000 + chr(10) + 'the last word'); sys.stderr.flush()"
    one = client.CollectorClient([], scripted.launcher(lines))
    end = time.monotonic() + 20
    while not one.has_ended and time.monotonic() < end:
        time.sleep(0.01)
    assert one.last_error_line() == "the last word"
    one.close(lambda _: None)
    assert json.dumps(one.received_bye) == "false"
