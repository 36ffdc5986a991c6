"""Every command leaves at once on a signal, whatever its output does."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.recorded import RECORDINGS
from tests.stuck import stuck, wait_until_stuck
from tests.terminal import Terminal

SEED = str(RECORDINGS / "seed-eks-forward.log")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
COMMANDS = [
    ["replay", SEED, "--format", "json"],
    ["replay", SEED, "--format", "text"],
    ["modules"],
    ["man"],
    ["doctor"],
    ["completion", "bash"],
    ["record", "--help"],
]
AT_ONCE = 5.0
"""Seconds: a loaded machine is slow, and what waits for a reader waits for ever."""


def start(argv: list[str], out: int, **rest) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "tracetui", *argv],
        stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE, **rest,
    )  # fmt: skip


def ends_at_once(process: subprocess.Popen, number: int) -> None:
    process.send_signal(number)
    sent = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - sent < AT_ONCE
    assert process.returncode == 128 + number
    assert b"Traceback" not in err


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("argv", COMMANDS, ids=" ".join)
def test_a_pipe_whose_reader_stands_still_holds_no_command_up(argv, number, tmp_path):
    with stuck("pipe", tmp_path) as out:
        process = start(argv, out)
        wait_until_stuck(process.pid)
        ends_at_once(process, number)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("kind", ["fifo", "terminal"])
def test_nor_does_a_fifo_or_a_stopped_terminal(kind, number, tmp_path):
    with stuck(kind, tmp_path) as out:
        process = start(["replay", SEED, "--format", "json"], out)
        wait_until_stuck(process.pid)
        ends_at_once(process, number)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_log_that_does_not_come_holds_a_replay_up_no_longer(number, eventually):
    process = subprocess.Popen(
        [sys.executable, "-m", "tracetui", "replay", "-", "--format", "text"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    eventually(lambda: len(list(Path(f"/proc/{process.pid}/task").iterdir())) > 1, 30.0)
    ends_at_once(process, number)


def test_a_hang_up_that_is_ignored_from_the_start_ends_nothing(tmp_path):
    """As nohup(1) asks for."""
    with stuck("pipe", tmp_path) as out:
        ignoring = lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)  # noqa: E731
        process = start(["man"], out, preexec_fn=ignoring)
        wait_until_stuck(process.pid)
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        ends_at_once(process, signal.SIGTERM)


def test_messages_that_nobody_takes_hold_nothing_up(tmp_path):
    """Standard error stands still as well."""
    with stuck("pipe", tmp_path) as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "tracetui", "replay", "/nowhere/at/all"],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out,
        )  # fmt: skip
        wait_until_stuck(process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 128 + signal.SIGTERM


def test_a_screen_is_left_though_a_file_it_saves_takes_nothing(tmp_path):
    with stuck("fifo", tmp_path), Terminal("replay", SEED) as terminal:
        terminal.wait_for("22896")
        terminal.press("\x13")
        terminal.wait_for("Export packets")
        for keys in ("\t", "\t", "\x15", str(tmp_path / "fifo"), "\r"):
            terminal.press(keys)
        terminal.wait_for("takes no data for now")
        terminal.type("q")
        written = terminal.end()
    assert terminal.process.returncode == 0
    assert (
        f"{tmp_path}/fifo: incomplete: the screen was left before it was written".encode()
        in written
    )
