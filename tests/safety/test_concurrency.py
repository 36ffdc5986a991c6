"""Several tracetui on one node."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from itertools import permutations

import pytest

from .conftest import LOGGERS
from .live import Told, add, live, poll_until, quiet, rule, send

pytestmark = pytest.mark.kernel

BOUND = {2: "nfnetlink_log", 10: "nfnetlink_log"}


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_whoever_leaves_last_restores_nf_log(faults, order):
    """And none of them takes another one's rules along."""
    sessions = [ExitStack() for _ in range(3)]
    for stack, dport in zip(sessions, ("11", "12", "13")):
        add(stack.enter_context(live(faults.namespace)), rule(dport=dport), "legacy")
    for left, which in zip((2, 1, 0), order):
        sessions[which].close()
        assert len(faults.namespace.trace_rules()) == left
        assert faults.namespace.loggers() == (BOUND if left else LOGGERS)
    faults.leaves_nothing("two or three tracetui in one namespace, left in any order")


def test_a_killed_one_does_not_take_the_binding_from_the_other(faults):
    with live(faults.namespace) as stays:
        add(stays, rule(dport="11"), "legacy")
        with live(faults.namespace) as dies:
            add(dies, rule(dport="12"), "legacy")
            os.kill(dies.collector_pid, signal.SIGKILL)
            poll_until(dies, lambda: dies.ended)
        assert len(faults.namespace.trace_rules()) == 1
        assert faults.namespace.loggers() == BOUND
    faults.leaves_nothing("one of two tracetui in a namespace is killed")


def test_hops_go_to_the_one_that_stays(faults):
    """Only one can receive legacy hops; the other says so, and takes over when the first ends."""
    first = ExitStack()
    add(first.enter_context(live(faults.namespace)), rule(dport="11"), "legacy")
    with live(faults.namespace) as second:
        told = Told(second)
        add(second, rule(), "legacy")
        assert "another tracetui receives" in told
        first.close()
        poll_until(
            second,
            lambda: any(s.name == "nflog" and s.state == "on" for s in second.status.sources),
        )
        assert faults.namespace.loggers() == BOUND
        send(faults.namespace, 3)
        poll_until(second, lambda: len(second.packets) >= 3)
    faults.leaves_nothing("two or three tracetui in one namespace, left in any order")


def test_in_two_namespaces_they_have_nothing_to_do_with_each_other(faults, other_namespace):
    other = other_namespace
    with live(faults.namespace) as here:
        add(here, rule(), "legacy")
        with live(other) as there:
            add(there, rule(), "legacy")
            there.flush()
            poll_until(there, lambda: not there.rules)
            assert other.loggers() == LOGGERS
            assert len(faults.namespace.trace_rules()) == 1
            assert faults.namespace.loggers() == BOUND
            send(faults.namespace, 3)
            poll_until(here, lambda: len(here.packets) >= 3)
            assert not there.packets.hops
    assert other.trace_rules() == []
    faults.leaves_nothing("two tracetui in two namespaces")


def test_a_flush_leaves_the_other_ones_rules(faults):
    with live(faults.namespace) as here, live(faults.namespace) as there:
        for backend in ("legacy", "nft"):
            add(here, rule(dport="11"), backend)
            add(there, rule(dport="12"), backend)
        there.flush()
        poll_until(there, lambda: len(there.rules) == 2)
        assert ["--dport 11" in text for text in faults.namespace.trace_rules()] == [True, True]
        quiet(here)
        assert sum(one.mine for one in here.rules) == 2
    faults.leaves_nothing("one of two tracetui in a namespace flushes")
