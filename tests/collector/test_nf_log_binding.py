"""The record of what nf_log was bound to, and the namespace it is about."""

from __future__ import annotations

import subprocess
import time
from contextlib import ExitStack

import pytest

from tracetui.collector.nf_log_binding import NfLogBinding
from tracetui.kernel import netns, nf_log, process

pytestmark = pytest.mark.kernel

DEAD = f"999999.1.{process.pid_namespace()}"
ATTEMPTS = 50


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


def inside(name, function):
    return netns.call_inside(netns.resolve(name), function)


def test_what_a_dead_owner_left_is_restored(namespace, state):
    before = inside(namespace.name, lambda: nf_log.read(2))
    inside(namespace.name, lambda: NfLogBinding(DEAD, state).take())
    assert inside(namespace.name, lambda: nf_log.read(2)) == nf_log.NETLINK_LOGGER
    assert inside(namespace.name, lambda: NfLogBinding("me", state).sweep())
    assert inside(namespace.name, lambda: nf_log.read(2)) == before
    assert list(state.iterdir()) == []


def test_a_record_about_a_namespace_that_is_gone_is_not_taken_for_another(namespace, state):
    """A new namespace gets the inode of one that is gone, and may have a logger of its own."""
    with ExitStack() as stack:
        name = reborn(f"{namespace.name}-x", state, stack)
        inside(name, lambda: nf_log.write(2, nf_log.NETLINK_LOGGER))
        assert not inside(name, lambda: NfLogBinding("me", state).sweep())
        assert inside(name, lambda: nf_log.read(2)) == nf_log.NETLINK_LOGGER


def reborn(prefix, state, stack):
    """A namespace with the inode of one that is gone and left a record."""
    gone = set()
    for attempt in range(ATTEMPTS):
        name = f"{prefix}{attempt}"
        subprocess.run(["ip", "netns", "add", name], check=True)
        stack.callback(subprocess.run, ["ip", "netns", "del", name], check=True)
        if inside(name, netns.inode) in gone:
            return name
        # Others make namespaces too, so more than one inode has to be given back.
        old = f"{name}-old"
        subprocess.run(["ip", "netns", "add", old], check=True)
        gone.add(inside(old, netns.inode))
        inside(old, lambda: NfLogBinding(DEAD, state).take())
        subprocess.run(["ip", "netns", "del", old], check=True)
        time.sleep(0.05)
    pytest.fail("no namespace got the inode of one that is gone")
