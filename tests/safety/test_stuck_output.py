"""A recording whose reader stands still: our rules go at once, and so does the command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.stuck import KINDS, fill, stuck, wait_until_stuck

from .terminal import MARK, PROGRAM, environment, pids

pytestmark = pytest.mark.kernel

RULE = ("--chain", "OUTPUT", "-4", "-p", "icmp", "--limit", "none", "--force", "--backend")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STANDS_STILL = "SIGINT, SIGTERM or SIGHUP to `record` whose reader stands still"


@contextmanager
def recording(namespace, *argv: str, out: int | None = None, err=subprocess.PIPE) -> Iterator:
    """A recorder in the namespace; killed should a test fail."""
    process = subprocess.Popen(
        [*PROGRAM, "--netns", namespace.name, "record", *argv],
        stdin=subprocess.DEVNULL, stdout=out, stderr=err, text=True,
        env={**os.environ, MARK: namespace.name},
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait(20)
        if process.stderr:
            process.stderr.close()


def running(namespace) -> list[int]:
    wanted = f"{MARK}={namespace.name}".encode()
    return [pid for pid in pids() if wanted in environment(pid).split(b"\0")]


def leaves_nothing(faults, fault: str, eventually) -> None:
    faults.leaves_nothing(fault)
    eventually(lambda: not running(faults.namespace), 10.0)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_signal_removes_the_rule_at_once_and_ends_it(faults, tmp_path, eventually, kind, number):
    with stuck(kind, tmp_path) as out:
        with recording(faults.namespace, *RULE, "nft", out=out) as process:
            eventually(faults.namespace.trace_rules, 20.0)
            wait_until_stuck(process.pid)
            process.send_signal(number)
            eventually(lambda: not faults.namespace.trace_rules(), 5.0)
            _, err = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert "standard output: writing was blocked" in err
    assert "Traceback" not in err
    leaves_nothing(faults, STANDS_STILL, eventually)


@pytest.mark.parametrize("backend", ["nft", "legacy"])
def test_also_in_the_middle_of_a_recording(faults, tmp_path, eventually, backend):
    with stuck("pipe", tmp_path) as out:
        fill(out, room=4)
        with recording(faults.namespace, *RULE, backend, out=out) as process:
            eventually(faults.namespace.trace_rules, 20.0)
            faults.namespace.ping(count=100)
            wait_until_stuck(process.pid)
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGTERM
    leaves_nothing(faults, STANDS_STILL, eventually)


def test_also_where_its_messages_are_not_taken_either(faults, tmp_path, eventually):
    """Both on one terminal that was sent XOFF, as Ctrl+S does."""
    with stuck("terminal", tmp_path) as out:
        with recording(faults.namespace, *RULE, "nft", out=out, err=out) as process:
            eventually(faults.namespace.trace_rules, 20.0)
            wait_until_stuck(process.pid)
            process.send_signal(signal.SIGINT)
            eventually(lambda: not faults.namespace.trace_rules(), 5.0)
            assert process.wait(20) == 128 + signal.SIGINT
    leaves_nothing(faults, STANDS_STILL, eventually)


def test_the_end_that_was_asked_for_comes_too(faults, tmp_path, eventually):
    """--seconds ends it though nobody sends a signal."""
    with stuck("fifo", tmp_path) as out:
        argv = (*RULE, "nft", "--seconds", "2", "-w", str(tmp_path / "fifo"))
        with recording(faults.namespace, *argv, out=out) as process:
            eventually(faults.namespace.trace_rules, 20.0)
            _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "/fifo: writing was blocked, so the end of the recording is missing" in err
    leaves_nothing(faults, "`record --seconds` whose reader stands still", eventually)


def test_a_reader_that_is_slow_gets_everything(faults, eventually):
    """What waits for the reader when the end is asked for is still handed to it."""
    out, into = os.pipe()
    with recording(faults.namespace, *RULE, "nft", out=into) as process:
        os.close(into)
        eventually(faults.namespace.trace_rules, 20.0)
        faults.namespace.ping(count=300)
        wait_until_stuck(process.pid)
        process.send_signal(signal.SIGINT)
        text = b""
        while piece := os.read(out, 4096):
            text += piece
            time.sleep(0.005)  # the reader is slow
        process.wait(20)
    os.close(out)
    assert process.returncode == 0
    lines = [json.loads(line) for line in text.splitlines()]
    assert lines[-1]["kind"] == "bye"
    assert lines[-1]["packets"] >= 300
    leaves_nothing(faults, "SIGINT to `record` whose reader is slow", eventually)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("words", [["rules"], ["flush"], ["doctor"]], ids=" ".join)
def test_a_listing_whose_reader_stands_still_is_left_at_once(faults, tmp_path, words, number):
    with stuck("pipe", tmp_path) as out:
        process = subprocess.Popen(
            [*PROGRAM, *words, "--netns", faults.namespace.name],
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        wait_until_stuck(process.pid)
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert "Traceback" not in err
    faults.leaves_nothing("a signal to a listing whose reader stands still")
