"""What lies at the place of the state file, and owners whose pids mean nothing here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from tracetui.collector.process.owner import Owner, is_dead
from tracetui.collector.sources.nf_log_binding import NfLogBinding
from tracetui.kernel import netns, nf_log, process

from .terminal import PROGRAM as TRACETUI

pytestmark = pytest.mark.kernel

SAVED = {"2": "nf_log_ipv4", "10": "nf_log_ipv6"}
RECORDS = {
    "empty": "",
    "cut": '{"saved": {"2": "nf_log_ipv4"',
    "no object": "[]",
    "deep": "[" * 200_000,
    "no text": json.dumps({"saved": {"2": 5, "10": 7}, "owners": []}),
    "owners that are none": json.dumps({"saved": SAVED, "owners": [1, None, {}]}),
    "loggers that are none": json.dumps({"saved": {"2": "\0\n", "10": "\ud800"}, "owners": []}),
    "a pid without end": json.dumps({"saved": SAVED, "owners": ["9" * 5000 + ".1.1"]}),
}


@contextmanager
def owner_in_a_pid_namespace():
    """A process of a pid namespace of its own, as a container has one, and who it is."""
    holder = subprocess.Popen(["unshare", "--pid", "--fork", "sleep", "60"])
    try:
        while not (inside := process.children(holder.pid)):
            pass
        pid_namespace = Path(f"/proc/{inside[0]}/ns/pid").stat().st_ino
        started = process.start_time(inside[0])
        assert started is not None
        yield Owner(1, started, pid_namespace), inside[0]
    finally:
        for pid in process.children(holder.pid):
            os.kill(pid, 9)
        holder.wait()


@pytest.mark.parametrize("text", RECORDS.values(), ids=RECORDS)
def test_a_record_that_makes_no_sense_is_none(faults, tmp_path, text):
    def take_and_give_back() -> None:
        state = tmp_path / "state"
        state.mkdir(0o700)
        file = state / f"nf_log-{netns.name_for_ever()}.json"
        file.write_text(text, errors="surrogatepass")
        binding = NfLogBinding(str(Owner.this_process()), state)
        binding.sweep()
        binding.take()
        assert nf_log.read(2) == nf_log.NETLINK_LOGGER
        binding.give_back()
        assert list(state.iterdir()) == []

    netns.call_inside(netns.resolve(faults.namespace.name), take_and_give_back)
    faults.leaves_nothing("a state file that makes no sense")


def test_a_record_that_a_killed_one_did_not_finish_is_swept(faults, tmp_path):
    def sweep() -> None:
        state = tmp_path / "state"
        state.mkdir(0o700)
        (state / f"nf_log-{netns.name_for_ever()}.new").write_text("{")
        NfLogBinding(str(Owner.this_process()), state).sweep()
        assert list(state.iterdir()) == []

    netns.call_inside(netns.resolve(faults.namespace.name), sweep)


def descendants(pid: int) -> list[int]:
    below = process.children(pid)
    return below + [lower for child in below for lower in descendants(child)]


def stop(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    while Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0] != "T":
        pass


def test_an_owner_in_a_container_is_dead_when_it_is():
    with owner_in_a_pid_namespace() as (owner, pid):
        assert not is_dead(str(owner))
        assert is_dead(str(owner._replace(start=owner.start + 2)))
        assert is_dead(str(owner._replace(pid=2)))
        os.kill(pid, 9)
        while process.start_time(pid) is not None:
            pass
        assert is_dead(str(owner))


def test_what_a_killed_container_left_is_swept(faults):
    """All its processes die at once; nobody else has its pids."""
    name = faults.namespace.name
    argv = ["unshare", "--pid", "--fork", "--mount-proc", *TRACETUI, "--netns", name, "record"]
    rule = ["--chain", "OUTPUT", "-4", "-p", "icmp", "--backend", "legacy", "-w", "/dev/null"]
    container = subprocess.Popen([*argv, *rule], stderr=subprocess.PIPE, text=True)
    assert container.stderr is not None
    assert "added" in container.stderr.readline()
    assert faults.namespace.loggers()[2] == nf_log.NETLINK_LOGGER
    (first,) = process.children(container.pid)
    # What sees the first end could tidy up before its own SIGKILL comes: stopped, it cannot.
    below = descendants(first)
    assert below
    for pid in below:
        stop(pid)
    os.kill(first, 9)
    container.wait(20)
    container.stderr.close()
    assert faults.namespace.trace_rules()
    subprocess.run([*TRACETUI, "flush", "--netns", name], check=True, capture_output=True)
    faults.leaves_nothing("SIGKILL to a container, then `tracetui flush`")
