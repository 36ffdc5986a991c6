"""Signals to a command that waits: for sudo's password, for the collector, for its rules."""

from __future__ import annotations

import os
import signal
import subprocess
import termios
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from .terminal import MARK, PROGRAM, Terminal, command_line, environment, parent, pids
from .users import NAME, as_user

pytestmark = pytest.mark.kernel

RULE = ("--chain", "OUTPUT", "-4", "-p", "icmp", "--backend", "legacy")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AT_ONCE = 5.0
"""Seconds: a loaded machine is slow, and sudo waits for ever."""


@pytest.fixture
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("user")


def asking(program: Terminal) -> int:
    """The process of ours that started sudo."""
    (sudo,) = [pid for pid, name in program.processes().items() if name == "sudo"]
    status = Path(f"/proc/{sudo}/status").read_text()
    return int(status.partition("\nPPid:")[2].split()[0])


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("command", ["screen", "record"])
def test_a_signal_while_sudo_asks_ends_both_at_once(faults, home, command, number):
    name = faults.namespace.name
    words = ("record", *RULE) if command == "record" else RULE
    with Terminal("--netns", name, *words, mark=name, before=as_user(home)) as program:
        program.wait_for(f"Password for {NAME}: ")
        os.kill(asking(program), number)
        sent = time.monotonic()
        program.process.wait(20)
        assert time.monotonic() - sent < AT_ONCE
        program.wait_for(lambda: not program.processes())
        # sudo had turned it off.
        assert termios.tcgetattr(program.slave)[3] & termios.ECHO
        assert "Traceback" not in program.text
        faults.leaves_nothing("a signal while sudo asks for the password", program)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_the_collector_looks_at_the_node_ends_it_at_once(faults, lock, number):
    """Its sweep waits for the xtables lock."""
    name = faults.namespace.name
    with ExitStack() as held:
        held.enter_context(lock())
        with Terminal("--netns", name, *RULE, mark=name) as program:
            program.pid_of("tt-collector")
            os.kill(program.process.pid, number)
            sent = time.monotonic()
            program.process.wait(20)
            assert time.monotonic() - sent < AT_ONCE
            held.close()
            faults.leaves_nothing("a signal while the collector looks at the node", program)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("stage", ["starting", "adding"])
def test_a_signal_to_a_recorder_that_waits(faults, lock, eventually, number, stage):
    name = faults.namespace.name
    wanted = f"{MARK}={name}".encode()
    with lock():
        process = subprocess.Popen(
            [*PROGRAM, "--netns", name, "record", *RULE],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={**os.environ, MARK: name},
        )  # fmt: skip

        def runs(part: str) -> bool:
            # A command of the collector's has nothing of its environment.
            return any(
                part.encode() in command_line(pid)
                for pid in pids()
                if any(wanted in environment(one).split(b"\0") for one in (pid, parent(pid)))
            )

        eventually(lambda: runs("tracetui.collector" if stage == "starting" else "-I\0OUTPUT"), 20)
        process.send_signal(number)
        sent = time.monotonic()
        if stage == "starting":
            _, err = process.communicate(timeout=20)
            assert time.monotonic() - sent < AT_ONCE
            assert process.returncode == 128 + number
    _, err = process.communicate(timeout=30) if stage == "adding" else ("", err)
    assert "Traceback" not in err
    faults.leaves_nothing("a signal to `record` that waits")
    eventually(lambda: not any(wanted in environment(pid).split(b"\0") for pid in pids()), 10)
