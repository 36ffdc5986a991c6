"""Several tracetui of one network namespace that have nothing else in common.

A container has mounts, a /run and pids of its own; what it shares with the node, or with another
container of its pod, is the network namespace.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from tracetui.kernel import netns, nf_log, process
from tracetui.kernel.netlink import LogGroup, NfLog

from .conftest import LOGGERS
from .live import send
from .terminal import PROGRAM as TRACETUI

pytestmark = pytest.mark.kernel

RULE = ("--chain", "OUTPUT", "-4", "-p", "udp", "--backend", "legacy", "--limit", "none", "--force")
OWN_RUN = 'mount -t tmpfs none /run && exec "$0" "$@"'
BOUND = {2: "nfnetlink_log", 10: "nfnetlink_log"}
WHERE = ("container", "node")


class Recorder:
    """A ``tracetui record`` of the namespace, on the node or in a container."""

    def __init__(self, namespace, where: str, file: Path) -> None:
        self.file = file
        self._is_inside = where == "container"
        argv = [*TRACETUI, "record", *RULE, "-w", str(file)]
        if self._is_inside:
            new = ["unshare", "--mount", "--pid", "--fork", "--mount-proc"]
            argv = [*new, "sh", "-c", OWN_RUN, *argv]
        argv = ["ip", "netns", "exec", namespace.name, *argv]
        self._process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
        self.told: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def has_told(self, words: str) -> bool:
        return any(words in line for line in self.told)

    def has_rule(self) -> bool:
        assert self._process.poll() is None, self.told
        return self.has_told("added")

    def has_hops(self) -> bool:
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        return any(json.loads(line)["kind"] == "packet" for line in lines)

    def leave(self) -> None:
        os.kill(self._first(), signal.SIGINT)
        self._end()

    def kill(self) -> None:
        """SIGKILL to all of it at once: a pid namespace ends with its first process."""
        first = self._first()
        assert self._is_inside
        # What sees the first end could tidy up before its own SIGKILL comes: stopped, it cannot.
        for pid in _descendants(first):
            os.kill(pid, signal.SIGSTOP)
        os.kill(first, signal.SIGKILL)
        self._end()

    def end(self) -> None:
        if self._process.poll() is None:
            self.leave()

    def _end(self) -> None:
        self._process.wait(30)
        self._reader.join(30)
        assert self._process.stderr is not None
        self._process.stderr.close()

    def _first(self) -> int:
        if not self._is_inside:
            return self._process.pid
        (first,) = process.children(self._process.pid)
        return first

    def _read(self) -> None:
        assert self._process.stderr is not None
        self.told += self._process.stderr


def _descendants(pid: int) -> list[int]:
    below = process.children(pid)
    return below + [lower for child in below for lower in _descendants(child)]


@pytest.fixture
def recorded(namespace, tmp_path, eventually):
    """Starts a recorder and waits for its rule; whatever happens, none outlives the test."""
    started: list[Recorder] = []

    def start(where: str) -> Recorder:
        one = Recorder(namespace, where, tmp_path / f"{len(started)}.ndjson")
        started.append(one)
        eventually(one.has_rule, 20)
        return one

    yield start
    for one in started:
        one.end()


def hops_come(namespace, one, eventually) -> None:
    def have_come() -> bool:
        send(namespace, 1)
        return one.has_hops()

    eventually(have_come, 20)


@pytest.mark.parametrize(
    "places", [(a, b) for a in WHERE for b in WHERE if (a, b) != ("node",) * 2]
)
@pytest.mark.parametrize("leaves_first", [0, 1])
def test_whoever_leaves_last_restores_nf_log_wherever_it_runs(
    faults, recorded, places, leaves_first
):
    both = [recorded(where) for where in places]
    both[leaves_first].leave()
    assert faults.namespace.loggers() == BOUND
    both[1 - leaves_first].leave()
    faults.leaves_nothing("two or three tracetui in one namespace, left in any order")


@pytest.mark.parametrize("places", [("container", "container"), ("node", "container")])
def test_the_second_is_told_who_receives_and_takes_over(faults, recorded, eventually, places):
    first, second = (recorded(where) for where in places)
    assert second.has_told("another tracetui receives this namespace's legacy hops")
    assert not second.has_told("ulogd")
    hops_come(faults.namespace, first, eventually)
    assert not second.has_hops()
    first.leave()
    hops_come(faults.namespace, second, eventually)
    assert faults.namespace.loggers() == BOUND
    second.leave()
    assert not any("kernel log" in line for line in second.told)
    faults.leaves_nothing("two or three tracetui in one namespace, left in any order")


@pytest.mark.parametrize("stays", WHERE)
def test_a_killed_container_leaves_all_to_the_one_that_stays(faults, recorded, eventually, stays):
    """From another container nobody can tell that its owner is dead: its rule stands."""
    dies = recorded("container")
    other = recorded(stays)
    dies.kill()
    hops_come(faults.namespace, other, eventually)
    other.leave()
    assert faults.namespace.loggers() == LOGGERS
    flush(faults.namespace)
    faults.leaves_nothing("SIGKILL to a container, then `tracetui flush`")


def test_what_a_killed_container_left_bound_is_known_and_flushed(faults, recorded):
    """Its state file went with its /run."""
    recorded("container").kill()
    assert faults.namespace.loggers() == BOUND
    assert faults.namespace.state_files() == []
    found = doctor(faults.namespace)
    assert found["state"] == "bad"
    assert "no program listens" in found["detail"]
    assert found["remedy"] == "tracetui flush"
    assert "restored nf_log" in flush(faults.namespace)
    assert doctor(faults.namespace)["state"] == "ok"
    faults.leaves_nothing("SIGKILL to a container, then `tracetui flush`")


def test_who_comes_after_a_killed_container_restores_what_was_there_before_it(faults, recorded):
    recorded("container").kill()
    recorded("node").leave()
    assert faults.namespace.loggers() == LOGGERS
    flush(faults.namespace)
    faults.leaves_nothing("SIGKILL to a container, then `tracetui flush`")


def test_a_flush_from_another_container_takes_nothing_from_the_one_that_runs(
    faults, recorded, eventually
):
    one = recorded("container")
    inside = ["unshare", "--mount", "sh", "-c", OWN_RUN, *TRACETUI]
    found = json.loads(faults.namespace.run(*inside, "doctor", "--json", check=False))
    told = {check["name"]: check for check in found["checks"]}
    assert told["nf_log"]["state"] == "ok"
    assert "a tracetui that is running needs it" in told["nf_log"]["detail"]
    assert "another tracetui receives" in told["nflog"]["detail"]
    assert "restored" not in faults.namespace.run(*inside, "flush")
    eventually(lambda: one.has_told("somebody else removed our rule"), 20)
    one.leave()
    faults.leaves_nothing("one of two tracetui in a namespace flushes")


def test_what_a_program_bound_for_itself_is_left_alone(faults, recorded, eventually):
    """As ulogd does: it listens, to group 0 or to another."""
    namespace = faults.namespace
    bind(namespace, nf_log.NETLINK_LOGGER)
    program = inside(namespace, lambda: LogGroup(5))
    try:
        assert doctor(namespace)["state"] == "note"
        assert "restored" not in flush(namespace)
        recorded("container").leave()
        assert namespace.loggers() == BOUND
    finally:
        program.close()
    program = inside(namespace, NfLog)
    try:
        assert doctor(namespace)["state"] == "ok"
        assert "restored" not in flush(namespace)
        one = recorded("container")
        assert one.has_told("taken by another program (ulogd?)")
        one.leave()
        assert namespace.loggers() == BOUND
    finally:
        program.close()
        for family, logger in LOGGERS.items():
            inside(namespace, lambda family=family, logger=logger: nf_log.write(family, logger))
    assert faults.left() == []


def inside(namespace, function):
    return netns.call_inside(netns.resolve(namespace.name), function)


def bind(namespace, logger: str) -> None:
    for family in nf_log.SYSCTL_FAMILIES:
        inside(namespace, lambda family=family: nf_log.write(family, logger))


def doctor(namespace) -> dict[str, str]:
    """The node's answer about nf_log."""
    argv = [*TRACETUI, "doctor", "--json", "--netns", namespace.name]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return next(one for one in json.loads(done.stdout)["checks"] if one["name"] == "nf_log")


def flush(namespace) -> str:
    """What the node's ``tracetui flush`` says."""
    argv = [*TRACETUI, "flush", "--netns", namespace.name]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr
