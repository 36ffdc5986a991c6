"""A terminal that goes away, or takes nothing for a while."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from .terminal import Terminal

pytestmark = pytest.mark.kernel

ICMP = ("--chain", "OUTPUT", "-4", "-p", "icmp", "--backend")
FLOODED = ("--chain", "OUTPUT", "-4", "-p", "udp", "--limit", "none", "--force", "--backend")
XOFF_SECONDS = 30.0


@contextmanager
def program_with(faults, *rule: str):
    name = faults.namespace.name
    with Terminal("--netns", name, *rule, mark=name) as program:
        program.wait_for(faults.namespace.trace_rules)
        program.wait_for("guard ARMED")
        yield program


@contextmanager
def flood(namespace, seconds: float):
    """Datagrams to loopback, at most some 20,000 a second, for at most so long."""
    code = (
        "import socket, time\n"
        "out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        f"end = time.monotonic() + {seconds}\n"
        "while time.monotonic() < end:\n"
        "    for _ in range(20): out.sendto(b'x', ('127.0.0.1', 9))\n"
        "    time.sleep(0.001)\n"
    )
    argv = ["ip", "netns", "exec", namespace.name, sys.executable, "-c", code]
    process = subprocess.Popen(argv)
    try:
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("backend", ["legacy", "nft"])
def test_a_line_that_drops_leaves_nothing(faults, backend):
    with program_with(faults, *ICMP, backend) as program:
        faults.namespace.ping()
        program.wait_for("127.0.0.1")
        program.hang_up()
        program.process.wait(20)
        faults.leaves_nothing("the SSH connection drops", program, terminal=False)


@pytest.mark.parametrize("backend", ["legacy", "nft"])
def test_a_stopped_terminal_does_not_stop_the_guard(faults, backend):
    """XOFF for half a minute under flood: the rules go within a second, and it goes on then."""
    with program_with(faults, *FLOODED, backend) as program:
        program.stop_reading()
        stopped = time.monotonic()
        time.sleep(1.0)  # in which the terminal fills
        with flood(faults.namespace, 4.0):
            program.wait_for(lambda: not faults.namespace.trace_rules(), 2.0)
        faults.leaves_no_rules("the terminal is stopped (XOFF) under a flood")
        seconds = XOFF_SECONDS if backend == "nft" else 3.0
        time.sleep(max(0.0, stopped + seconds - time.monotonic()))
        program.go_on_reading()
        program.wait_for("TRIPPED")
        program.type("q")
        program.process.wait(20)
        faults.leaves_nothing("the terminal is stopped (XOFF) under a flood", program)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_ends_a_screen_whose_terminal_is_stopped(faults, name):
    with program_with(faults, *FLOODED, "nft") as program:
        program.stop_reading()
        with flood(faults.namespace, 2.0):
            time.sleep(1.5)  # of a flood
        for _ in range(20):
            program.type("j")
        time.sleep(1.0)  # in which the screen takes the keys: nothing shows that it did
        program.process.send_signal(getattr(signal, name))
        program.process.wait(20)
        program.go_on_reading()
        faults.leaves_nothing(f"{name} while the terminal is stopped", program)
