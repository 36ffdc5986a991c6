"""The wall clock of the machine, set back and forth under a rule.

The kernel ends a rule by that clock (xt_time), and so does the program that watches it.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager

import pytest

from .terminal import Terminal

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(
        not os.environ.get("CI"), reason="sets this machine's clock for seconds; runs with CI=1"
    ),
]

RULE = ("--chain", "OUTPUT", "-4", "-p", "icmp", "--backend")


@contextmanager
def clock_set_by(seconds: float):
    """The machine's clock shifted for as long as the context lasts."""
    shifted(seconds)
    began = time.monotonic()
    try:
        yield
    finally:
        shifted(-seconds)
        assert time.monotonic() - began < 60, "the clock was shifted for too long"


def shifted(seconds: float) -> None:
    time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME) + seconds)


def traced(faults, *more: str):
    name = faults.namespace.name
    return Terminal("--netns", name, *RULE, "legacy", *more, mark=name, size=(160, 40))


def test_a_clock_set_forward_ends_the_rule_and_that_is_said(faults):
    with traced(faults) as program:
        program.wait_for(faults.namespace.trace_rules)
        program.wait_for("guard ARMED")
        with clock_set_by(3600):
            program.wait_for("the clock was set forward", 10)
            faults.leaves_no_rules("the clock is set forward")
        program.type("q")
        program.process.wait(20)
        faults.leaves_nothing("the clock is set forward", program)


def test_a_clock_set_back_does_not_make_the_rule_last_longer(faults):
    with traced(faults, "--expire", "6s") as program:
        program.wait_for(faults.namespace.trace_rules)
        with clock_set_by(-3600):
            program.wait_for(lambda: not faults.namespace.trace_rules(), 12)
            program.wait_for("expired")
        faults.leaves_no_rules("the clock is set back")
        program.type("q")
        program.process.wait(20)
        faults.leaves_nothing("the clock is set back", program)


def test_a_clock_set_to_and_fro_leaves_the_guard_working(faults):
    with traced(faults, "--limit", "none", "--force") as program:
        program.wait_for(faults.namespace.trace_rules)
        program.wait_for("guard ARMED")
        for seconds in (-86400, 300):
            with clock_set_by(seconds):
                faults.namespace.ping()
        program.wait_for("127.0.0.1")
        assert faults.namespace.trace_rules()
        program.type("q")
        program.process.wait(20)
        faults.leaves_nothing("the clock is set to and fro", program)
