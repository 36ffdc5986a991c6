"""Who a tag belongs to, and whether that process still lives."""

from __future__ import annotations

import subprocess

from tracetui.collector.owner import Owner, is_dead, unattended
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


def test_a_rule_without_a_process_is_never_dead():
    assert not is_dead(unattended())
    assert not is_dead("something else")
