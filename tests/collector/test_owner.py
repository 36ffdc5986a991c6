"""Who a tag belongs to, and whether that process still lives."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tracetui.collector.process.owner import Owner, is_dead, unattended
from tracetui.kernel import process

IN_TIME_NAMESPACE = """
import ctypes, os, sys
CLONE_NEWTIME = 0x80
assert ctypes.CDLL(None).unshare(CLONE_NEWTIME) == 0
with open("/proc/self/timens_offsets", "w") as offsets:
    offsets.write("boottime " + sys.argv[1])
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Runs a program in a time namespace whose boot was so many seconds and nanoseconds earlier."""


def test_this_process_lives():
    me = Owner.this_process()
    assert Owner.parse(str(me)) == me
    assert not is_dead(str(me))


def test_a_process_that_ended_is_dead():
    with subprocess.Popen(["true"]) as ended:
        pass
    assert is_dead(str(Owner.this_process()._replace(pid=ended.pid)))


def test_a_pid_that_was_given_again_is_another_process():
    me = Owner.this_process()
    assert is_dead(str(me._replace(start=me.start - 2)))


def test_a_container_can_not_judge_a_process_of_another_pid_namespace(monkeypatch):
    monkeypatch.setattr(process, "sees_every_process", lambda: False)
    assert not is_dead(str(Owner.this_process()._replace(pid=1 << 22, pid_namespace=1)))


@pytest.mark.parametrize("is_elsewhere", [False, True])
def test_a_process_that_can_not_be_looked_up_is_not_dead(is_elsewhere):
    """What it owns must stay; here no descriptor is left to look it up by."""
    owner = Owner.this_process()._replace(pid=os.getppid(), start=1)
    assert is_dead(str(owner))
    code = (
        "import contextlib, os, resource, sys\n"
        "from tracetui.collector.process.owner import is_dead\n"
        "from tracetui.kernel import process\nprocess.sees_every_process = lambda: True\n"
        f"if {is_elsewhere}: process.pid_namespace = lambda: 1\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))\n"
        "with contextlib.suppress(OSError):\n    while True: os.open('/dev/null', 0)\n"
        f"sys.exit(is_dead({str(owner)!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.kernel
@pytest.mark.parametrize("offset", ["100000 0", "-50 0", "7 123456789"])
def test_a_time_namespace_moves_no_process(offset):
    """Starts read there are moved by its offset (fs/proc/array.c): live owners looked dead."""
    code = (
        "import sys\nfrom tracetui.collector.process.owner import Owner, is_dead\n"
        f"print(is_dead({str(Owner.this_process())!r}), Owner.this_process(), flush=True)\n"
        "sys.stdin.read()"
    )
    argv = [sys.executable, "-c", IN_TIME_NAMESPACE, offset, sys.executable, "-c", code]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as there:
        looks_dead, owner = there.stdout.readline().split()
        assert looks_dead == "False"
        assert not is_dead(owner)
        there.stdin.close()
    assert is_dead(owner)


def test_a_rule_without_a_process_is_never_dead():
    assert not is_dead(unattended())
    assert not is_dead("something else")
