"""Who a tag belongs to, and whether that process still lives."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tracetui.collector.process.owner import Owner, is_dead, unattended
from tracetui.kernel import process


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
    assert is_dead(str(me._replace(start=me.start - 1)))


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


def test_a_rule_without_a_process_is_never_dead():
    assert not is_dead(unattended())
    assert not is_dead("something else")
