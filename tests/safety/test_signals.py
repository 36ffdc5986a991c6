"""Every signal, to the screen and to the collector, at every stage of a trace."""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack, contextmanager

import pytest

from .terminal import Terminal, kill

pytestmark = pytest.mark.kernel

STAGES = ("starting", "adding", "tracing", "flushing", "leaving")
AT = "at each stage: starting, adding, tracing, flushing, leaving"
SIGNALS = {
    "SIGTERM": [signal.SIGTERM],
    "SIGINT": [signal.SIGINT],
    "SIGHUP": [signal.SIGHUP],
    "SIGKILL": [signal.SIGKILL],
    "SIGSTOP, then SIGKILL": [signal.SIGSTOP, signal.SIGKILL],
}
IGNORED = ("SIGINT", "SIGHUP")
"""By the collector: they are meant for the screen."""
STOPPED_SECONDS = 0.5


@contextmanager
def brought_to(faults, stage: str, lock, backend: str):
    """A program at a stage, and what lets it go on where the xtables lock holds it there."""
    rule = ("--chain", "OUTPUT", "-4", "-p", "icmp", "--backend", backend)
    with ExitStack() as stack:
        holding = stack.enter_context(ExitStack())
        if stage == "adding":
            holding.enter_context(lock())
        name = faults.namespace.name
        program = stack.enter_context(Terminal("--netns", name, *rule, mark=name))
        program.pid_of("tt-collector")
        if stage == "adding":
            program.wait_for(lambda: is_running(program, "iptables"))
        elif stage != "starting":
            program.wait_for(faults.namespace.trace_rules)
            program.wait_for("guard ARMED")
            faults.namespace.ping()
            program.wait_for("127.0.0.1")
        if stage in ("flushing", "leaving"):
            holding.enter_context(lock())
            program.type("F" if stage == "flushing" else "q")
            program.wait_for(lambda: is_running(program, "iptables"))
        yield program, holding.close


def is_running(program: Terminal, name: str) -> bool:
    return any(name in running for running in program.processes().values())


def send(pid: int, numbers: list[int]) -> None:
    for number in numbers:
        kill(pid, number)
        if number == signal.SIGSTOP:
            time.sleep(STOPPED_SECONDS)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_to_the_screen(faults, lock, name, stage):
    with brought_to(faults, stage, lock, "legacy") as (program, go_on):
        send(program.process.pid, SIGNALS[name])
        time.sleep(0.2)  # in which whoever got the signal may act before iptables goes on
        go_on()
        program.process.wait(20)
        faults.leaves_nothing(f"{name} to the screen, {AT}", program)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_to_the_collector(faults, lock, name, stage):
    with brought_to(faults, stage, lock, "legacy") as (program, go_on):
        send(program.pid_of("tt-collector"), SIGNALS[name])
        time.sleep(0.2)  # in which whoever got the signal may act before iptables goes on
        go_on()
        if name not in IGNORED and stage not in ("starting", "leaving"):
            program.wait_for(lambda: not faults.namespace.trace_rules(), 5)
            program.wait_for("the collector")
        program.wait_for(lambda: program.process.poll() is not None or "guard" in program.text)
        if program.process.poll() is None:
            program.type("q")
        program.process.wait(20)
        faults.leaves_nothing(f"{name} to the collector, {AT}", program)
