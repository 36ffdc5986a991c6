"""What is left on the node after each fault, told by the test run itself."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .terminal import Terminal

LOGGERS = {2: "nf_log_ipv4", 10: "nf_log_ipv6"}
RESULTS = pytest.StashKey[dict[str, set[str]]]()
TABLE_TEST = "test_the_readme_tells_what_every_fault_left"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The table comes last."""
    items.sort(key=lambda item: item.name == TABLE_TEST)


class Faults:
    """What one test did to the program, and what it left."""

    def __init__(self, results: dict[str, set[str]], namespace) -> None:
        self._results = results
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
        self._results.setdefault(fault, set()).update(left or {"nothing"})
        assert left == []

    def leaves_no_rules(self, fault: str, seconds: float = 5.0) -> None:
        """The same for a program that goes on: no rule, no binding."""
        self.leaves_nothing(fault, None, seconds=seconds)


@pytest.fixture
def faults(namespace, request) -> Faults:
    """The namespace of this test, and the table of what was left."""
    return Faults(request.config.stash.setdefault(RESULTS, {}), namespace)


@pytest.fixture
def lock(tmp_path, monkeypatch) -> Callable[[], object]:
    """The xtables lock of this test's programs; held while the context lasts."""
    path = tmp_path / "xtables.lock"
    monkeypatch.setenv("XTABLES_LOCKFILE", str(path))

    @contextmanager
    def held(where: Path = path) -> Iterator[None]:
        fd = os.open(where, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    return held
