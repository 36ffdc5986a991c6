"""The record of what nf_log was bound to, the namespace it is about, and who else needs it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest

from tracetui.collector.sources.nf_log_binding import NfLogBinding
from tracetui.collector.sources.nf_log_claims import CLAIM_TURN_SECONDS, turn
from tracetui.errors import Failure
from tracetui.kernel import netns, nf_log, process
from tracetui.kernel.netlink import LogGroup, NfLog

pytestmark = pytest.mark.kernel

DEAD = f"999999.1.{process.pid_namespace()}"
ATTEMPTS = 50
OWN = {2: "nf_log_ipv4", 10: "nf_log_ipv6"}
BOUND = {2: nf_log.NETLINK_LOGGER, 10: nf_log.NETLINK_LOGGER}
WORKERS, ROUNDS = 5, 30

TAKE_AND_DIE = """
import os, sys
from pathlib import Path
from tracetui.collector.sources.nf_log_binding import NfLogBinding
from tracetui.kernel import netns
netns.enter(netns.resolve(sys.argv[1]))
NfLogBinding(sys.argv[3], Path(sys.argv[2])).take()
os.kill(os.getpid(), 9)
"""

COME_AND_GO = """
import random, sys, time
from pathlib import Path
from tracetui.collector.sources.nf_log_binding import NfLogBinding
from tracetui.collector.process.owner import Owner
from tracetui.kernel import netns, nf_log
netns.enter(netns.resolve(sys.argv[1]))
binding = NfLogBinding(str(Owner.this_process()), Path(sys.argv[2]))
for _ in range(int(sys.argv[3])):
    binding.take(receives=False)
    for _ in range(random.randrange(4)):
        found = [nf_log.read(family) for family in nf_log.SYSCTL_FAMILIES]
        assert found == [nf_log.NETLINK_LOGGER] * 2, found
        time.sleep(random.random() / 200)
    binding.give_back()
    time.sleep(random.random() / 100)
"""


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


def inside(name, function):
    return netns.call_inside(netns.resolve(name), function)


def taken_by_one_that_was_killed(name, state, owner=DEAD):
    argv = [sys.executable, "-c", TAKE_AND_DIE, name, str(state), owner]
    assert subprocess.run(argv, check=False).returncode == -9


def test_what_a_dead_owner_left_is_restored(namespace, state):
    before = inside(namespace.name, lambda: nf_log.read(2))
    taken_by_one_that_was_killed(namespace.name, state)
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
        taken_by_one_that_was_killed(old, state)
        subprocess.run(["ip", "netns", "del", old], check=True)
        time.sleep(0.05)  # the kernel gives an inode back a while after
    pytest.fail("no namespace got the inode of one that is gone")


@pytest.mark.parametrize("broken", [2, 10])
def test_each_family_is_restored_though_the_other_one_fails(namespace, state, broken):
    """A logger can be gone when its turn comes: its module was unloaded."""
    taken_by_one_that_was_killed(namespace.name, state)
    (file,) = state.iterdir()
    record = json.loads(file.read_text())
    record["saved"][str(broken)] = "nf_log_gone"
    file.write_text(json.dumps(record))
    with pytest.raises(Failure, match=rf"nf_log\.{broken} = nf_log_gone: .*no such logger"):
        inside(namespace.name, lambda: NfLogBinding("me", state).sweep())
    assert namespace.loggers() == {**OWN, broken: nf_log.NETLINK_LOGGER}
    # What could not be done is known, and done when it can be.
    record["saved"][str(broken)] = OWN[broken]
    file.write_text(json.dumps(record))
    assert inside(namespace.name, lambda: NfLogBinding("me", state).sweep())
    assert namespace.loggers() == OWN


def test_one_that_lost_its_record_is_followed_by_one_that_finds_the_original(namespace, tmp_path):
    """Its binding is not what was there at first, though it is what is found."""
    taken_by_one_that_was_killed(namespace.name, tmp_path / "a")
    assert namespace.loggers() == BOUND

    def come_and_go():
        binding = NfLogBinding("me", tmp_path / "b")
        binding.take()
        binding.give_back()

    inside(namespace.name, come_and_go)
    assert namespace.loggers() == OWN


@pytest.mark.parametrize("original", [OWN[2], nf_log.NO_LOGGER, nf_log.NETLINK_LOGGER])
def test_what_was_bound_first_goes_from_one_to_the_next(namespace, tmp_path, original):
    """Each has a record of its own; the second knows by the claim of the first."""

    def relay():
        nf_log.write(2, original)
        # With nobody to listen, nfnetlink_log would be what somebody left.
        program = LogGroup(5) if original == nf_log.NETLINK_LOGGER else None
        ones = [NfLogBinding(f"me {number}", tmp_path / str(number)) for number in range(3)]
        ones[0].take()
        for before, after in zip(ones, ones[1:]):
            after.take(receives=False)
            before.give_back()
            assert nf_log.read(2) == nf_log.NETLINK_LOGGER
        ones[-1].give_back()
        if program is not None:
            program.close()
        return nf_log.read(2)

    assert inside(namespace.name, relay) == original


def test_what_nobody_listens_to_is_left_behind_and_what_somebody_does_is_not(namespace, state):
    def look():
        binding = NfLogBinding("me", state)
        for family in nf_log.SYSCTL_FAMILIES:
            nf_log.write(family, nf_log.NETLINK_LOGGER)
        program = LogGroup(5)
        try:
            assert binding.left_behind() == []
            assert not binding.flush()
        finally:
            program.close()
        assert binding.left_behind() == [2, 10]
        assert not binding.sweep()
        assert namespace.loggers() == BOUND
        assert binding.flush()
        assert not binding.flush()

    inside(namespace.name, look)
    assert namespace.loggers() == OWN


@pytest.mark.parametrize("fault", ["gone", "emptied", "open to others"])
def test_without_its_record_what_was_taken_is_given_back_all_the_same(namespace, state, fault):
    """Somebody tidied up in /run, or did worse."""

    def come_and_go():
        binding = NfLogBinding("me", state)
        binding.take()
        if fault == "open to others":
            state.chmod(0o777)
            with pytest.raises(Failure, match="open to others"):
                binding.give_back()
        else:
            shutil.rmtree(state)
            if fault == "emptied":
                state.mkdir(0o700)
            binding.give_back()

    inside(namespace.name, come_and_go)
    assert namespace.loggers() == OWN


def test_they_come_and_go_at_any_moment_and_the_last_one_restores(namespace, tmp_path):
    """Each with a /run of its own; while one needs the binding, no other takes it away."""
    argv = [sys.executable, "-c", COME_AND_GO, namespace.name]
    workers = [
        subprocess.Popen([*argv, str(tmp_path / str(number)), str(ROUNDS)])
        for number in range(WORKERS)
    ]
    assert [worker.wait(120) for worker in workers] == [0] * WORKERS
    assert namespace.loggers() == OWN


def test_they_are_killed_at_any_moment_and_whoever_is_left_restores(namespace, tmp_path):
    argv = [sys.executable, "-c", COME_AND_GO, namespace.name]
    doomed = [
        subprocess.Popen([*argv, str(tmp_path / f"doomed {number}"), "100000"])
        for number in range(3)
    ]
    stays = subprocess.Popen([*argv, str(tmp_path / "stays"), "60"])
    for number, worker in enumerate(doomed):
        time.sleep(0.3 + number / 20)  # the moments at which they are killed
        worker.kill()
        worker.wait()
    assert stays.wait(120) == 0
    # One that is killed after the last has left leaves it behind; that is found.
    inside(namespace.name, lambda: NfLogBinding("me", tmp_path / "last").flush())
    assert namespace.loggers() == OWN


def test_a_turn_that_does_not_end_keeps_nobody_for_long(namespace, state):
    """Its process was stopped, or means ill: the node's log is given back all the same."""

    def come_and_go():
        binding = NfLogBinding("me", state)
        with turn():
            start = time.monotonic()
            binding.take()
            assert time.monotonic() - start >= CLAIM_TURN_SECONDS
            assert namespace.loggers() == BOUND
            binding.give_back()
        return namespace.loggers()

    assert inside(namespace.name, come_and_go) == OWN


def test_who_holds_group_0_is_known_wherever_it_runs(namespace, tmp_path):
    def look():
        one, other = (NfLogBinding(name, tmp_path / name) for name in ("one", "other"))
        receiver = NfLog()
        try:
            # A program that took it, ulogd for instance, makes no claim.
            assert not other.is_received_by_another()
            one.take()
            assert other.is_received_by_another()
            assert not one.is_received_by_another()
            other.take(receives=False)
            assert not one.is_received_by_another()
            one.give_back()
            assert not other.is_received_by_another()
            other.give_back()
        finally:
            receiver.close()

    inside(namespace.name, look)
    assert namespace.loggers() == OWN
