"""Faults, and what of ours is left on the node after each."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from .terminal import Terminal

LOGGERS = {2: "nf_log_ipv4", 10: "nf_log_ipv6"}


class Faults:
    """What one test did to the program, and what it left."""

    def __init__(self, tell: Callable[[str, object], None], namespace) -> None:
        self._tell = tell
        self.namespace = namespace

    def left(self, program: Terminal | None = None, terminal: bool = True) -> list[str]:
        """What of ours is on the node now: rules, nf_log, state files, processes, the terminal."""
        found = [f"rule {rule}" for rule in self.namespace.trace_rules()]
        if self.namespace.loggers() != LOGGERS:
            found.append(f"nf_log {self.namespace.loggers()}")
        found += [f"state file {name}" for name in self.namespace.state_files()]
        if program is not None:
            found += [f"process {name}" for name in program.processes().values()]
            found += program.modes_left() if terminal else []
        return found

    def leaves_nothing(
        self,
        fault: str,
        program: Terminal | None = None,
        terminal: bool = True,
        seconds: float = 5.0,
    ) -> None:
        """Wait until nothing is left, and write that down; fails if something stays."""
        end = time.monotonic() + seconds
        while (left := self.left(program, terminal)) and time.monotonic() < end:
            time.sleep(0.05)
        for one in left or ["nothing"]:
            self.tell(fault, one)
        assert left == []

    def tell(self, fault: str, left: str) -> None:
        """Have the table say what a fault left."""
        self._tell("left", (fault, left))

    def leaves_no_rules(self, fault: str, seconds: float = 5.0) -> None:
        """The same for a program that goes on: no rule, no binding."""
        self.leaves_nothing(fault, None, seconds=seconds)


@pytest.fixture
def faults(namespace, record_property) -> Faults:
    """The namespace of this test, and the table of what was left (``tests/safety_table.py``)."""
    return Faults(record_property, namespace)


@pytest.fixture
def lock(xtables_lock) -> Callable[[], object]:
    """Holds the xtables lock of this test's programs while the context lasts."""

    @contextmanager
    def held() -> Iterator[None]:
        fd = os.open(xtables_lock, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    return held
