"""What stands on the node during a trace and after every way out of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tracetui.collector.reactor.worker import PRIORITY
from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.session.live.live import LiveSession

pytestmark = pytest.mark.kernel

ICMP = TraceRule(chain="OUTPUT", family=4, proto="icmp")
BACKENDS = ("legacy", "nft")
LOGGERS = {2: "nf_log_ipv4", 10: "nf_log_ipv6"}
Wait = Callable[..., None]


def expiring(rule: TraceRule = ICMP, seconds: int = 600) -> TraceRule:
    return rule._replace(expires=int(time.time()) + seconds)


@contextmanager
def live(namespace, **options) -> Iterator[LiveSession]:
    session = LiveSession(netns=namespace.name, **options)
    try:
        wait_for(session, lambda: session.is_ready)
        yield session
    finally:
        session.close()


def wait_for(session: LiveSession, is_true: Callable[[], object], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, f"not true within {seconds} s: {session.take_notices()}"
        session.poll()
        time.sleep(0.01)


def add(session: LiveSession, rule: TraceRule, backend: str, override: bool = False) -> None:
    before = len(session.rules)
    session.add_rules([rule], backend, override)
    wait_for(session, lambda: len(session.rules) > before)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_rule_shows_packets_and_leaves_nothing(namespace, backend):
    with live(namespace) as session:
        add(session, expiring(), backend)
        assert len(namespace.trace_rules()) == 1
        namespace.ping()
        # Request and reply; loopback makes two traversals of each, but nft has no chain at
        # PREROUTING here, so the second ones meet nothing that could be traced.
        packets = {"legacy": 4, "nft": 2}[backend]
        wait_for(session, lambda: len(session.packets) >= packets)
        rule = session.rules[0]
        assert rule.mine
        assert rule.backend == backend
        session.delete_rule(rule.id)
        wait_for(session, lambda: not session.rules)
        assert namespace.trace_rules() == []
        wait_for(session, lambda: namespace.loggers() == LOGGERS)
        seen = sum(len(packet.hops) for packet in session.packets)
        namespace.ping()
        time.sleep(0.3)  # in which hops would have come
        session.poll()
        assert sum(len(packet.hops) for packet in session.packets) == seen
        assert len(session.packets) == packets
    assert namespace.loggers() == LOGGERS


def test_every_safety_layer_is_in_the_rule_and_it_stands_first(namespace):
    namespace.run("iptables-nft", "-t", "raw", "-A", "OUTPUT", "-j", "NOTRACK")
    with live(namespace) as session:
        add(session, expiring(), "nft")
        lines = [
            line
            for line in namespace.run("iptables-nft-save", "-t", "raw").splitlines()
            if line.startswith("-A OUTPUT")
        ]
        assert "-j TRACE" in lines[0]
        assert "--limit 20/sec --limit-burst 20" in lines[0]
        assert "--datestop" in lines[0]
        assert f"tracetui:{session.collector_pid}." in lines[0]
        assert "NOTRACK" in lines[1] or "-j CT --notrack" in lines[1]


def test_legacy_hops_print_nothing_to_the_kernel_log(namespace):
    with Path("/dev/kmsg").open("rb", buffering=0) as log:
        os.set_blocking(log.fileno(), False)
        os.lseek(log.fileno(), 0, os.SEEK_END)
        with live(namespace) as session:
            add(session, expiring(), "legacy")
            assert namespace.loggers() == {2: "nfnetlink_log", 10: "nfnetlink_log"}
            namespace.ping()
            wait_for(session, lambda: len(session.packets) >= 4)
        try:
            printed = log.read(8192)
        except BlockingIOError:
            printed = b""
    assert b"TRACE: " not in (printed or b"")


@pytest.mark.parametrize("backend", BACKENDS)
def test_both_families_of_a_rule_are_installed(namespace, backend):
    with live(namespace) as session:
        session.add_rules([expiring()._replace(family=None)], backend)
        wait_for(session, lambda: len(session.rules) == 2)
        assert sorted(rule.family for rule in session.rules) == [4, 6]
        assert len(namespace.trace_rules()) == 2
        namespace.ping(address="::1")
        wait_for(session, lambda: any(p.header.family == 6 for p in session.packets))
    assert namespace.trace_rules() == []


def test_flush_removes_ours_and_nothing_else(namespace):
    namespace.run("iptables-legacy", "-t", "raw", "-A", "OUTPUT", "-p", "udp", "-j", "TRACE")
    namespace.run("iptables-nft", "-t", "raw", "-A", "PREROUTING", "-j", "NOTRACK")
    with live(namespace) as session:
        add(session, expiring(), "legacy")
        add(session, expiring(), "nft")
        foreign = [rule for rule in session.rules if not rule.is_ours]
        assert [rule.text for rule in foreign] == ["-p udp -j TRACE"]
        session.delete_rule(foreign[0].id)
        session.flush()
        texts: list[str] = []

        def told(words: str) -> bool:
            texts.extend(notice.text for notice in session.take_notices())
            return any(words in text for text in texts)

        wait_for(session, lambda: told("is not ours and is left alone"))
        wait_for(session, lambda: told("flushed 2: "))
        wait_for(session, lambda: len(session.rules) == 1)
    assert namespace.trace_rules() == ["-A OUTPUT -p udp -j TRACE"]
    assert "NOTRACK" in namespace.run("iptables-nft-save", "-t", "raw").replace(
        "CT --notrack", "NOTRACK"
    )
    assert namespace.loggers() == LOGGERS


def start_owner(namespace, backend: str) -> subprocess.Popen[str]:
    """A process that plays the UI: it holds a session with one rule until it is killed."""
    code = f"""
import sys, time
from tracetui.session.live.live import LiveSession
from tracetui.model.tracing.trace_rule import TraceRule
session = LiveSession(netns={namespace.name!r})
rule = TraceRule(chain="OUTPUT", family=4, proto="icmp", expires=int(time.time()) + {{seconds}})
session.add_rules([rule], {backend!r})
while not session.rules:
    session.poll(); time.sleep(0.01)
print(session.collector_pid, flush=True)
while True:
    session.poll(); time.sleep(0.05)
"""
    return lambda seconds: subprocess.Popen(
        [sys.executable, "-c", code.format(seconds=seconds)],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": "app"},
    )  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP, signal.SIGTERM])
def test_when_the_ui_dies_the_collector_cleans_up(namespace, eventually: Wait, backend, number):
    ui = start_owner(namespace, backend)(600)
    collector = int(ui.stdout.readline())
    assert len(namespace.trace_rules()) == 1
    ui.send_signal(number)
    ui.wait(5)
    eventually(lambda: not namespace.trace_rules(), 2.0)
    eventually(lambda: namespace.loggers() == LOGGERS, 2.0)
    eventually(lambda: not Path(f"/proc/{collector}").exists(), 2.0)
    ui.stdout.close()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_when_the_collector_dies_the_ui_cleans_up(namespace, eventually: Wait, backend, number):
    with live(namespace) as session:
        add(session, expiring(), backend)
        os.kill(session.collector_pid, number)

        def is_clean() -> bool:
            session.poll()
            return not namespace.trace_rules() and namespace.loggers() == LOGGERS

        eventually(is_clean, 2.0)
        wait_for(session, lambda: session.status.why_not, 2.0)
    assert namespace.loggers() == LOGGERS


@pytest.mark.parametrize("backend", BACKENDS)
def test_when_both_die_the_rule_expires_and_the_next_start_sweeps(namespace, eventually, backend):
    """It is not told when the rule has expired, but by packets that match it no more."""
    ui = start_owner(namespace, backend)(3)
    os.kill(int(ui.stdout.readline()), signal.SIGSTOP)
    ui.kill()
    ui.wait(5)
    ui.stdout.close()
    subprocess.run(["pkill", "-KILL", "-f", f"tracetui.collector.*{namespace.name}"], check=True)
    assert len(namespace.trace_rules()) == 1

    def matched() -> str:
        tool = f"iptables-{backend}-save"
        text = namespace.run(tool, "-c", "-t", "raw")
        return next(line for line in text.splitlines() if "-j TRACE" in line).split()[0]

    def has_expired() -> bool:
        time.sleep(0.2)  # so that the rule's limit, 20 a second, lets every packet through
        before = matched()
        namespace.ping()
        return matched() == before

    eventually(has_expired, 30.0)
    with live(namespace) as session:
        assert namespace.trace_rules() == []
        assert namespace.loggers() == LOGGERS
        assert any("left by a dead tracetui" in n.text for n in session.take_notices())


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_flood_trips_the_guard_while_it_still_runs(namespace, backend):
    namespace.run(f"iptables-{backend}", "-t", "raw", "-A", "OUTPUT", "-p", "sctp", "-j", "NOTRACK")
    namespace.run(f"iptables-{backend}", "-t", "raw", "-A", "OUTPUT", "-p", "dccp", "-j", "TRACE")
    with live(namespace, threshold=1000) as session:
        rule = expiring()._replace(proto="udp", limit=None)
        add(session, rule, backend, override=True)
        with flood(namespace, seconds=4):
            wait_for(session, lambda: session.status.guard.tripped, 4)
            wait_for(session, lambda: session.status.guard.trip.removed, 2)
            assert flooding(namespace)
            assert namespace.trace_rules() == ["-A OUTPUT -p dccp -j TRACE"]
        assert ", over 1,000" in session.status.guard.reason
        session.add_rules([rule], backend, override=True)
        wait_for(session, lambda: any("arm it first" in n.text for n in session.take_notices()))
        session.arm()
        wait_for(session, lambda: not session.status.guard.tripped)
        add(session, rule, backend, override=True)
    assert namespace.trace_rules() == ["-A OUTPUT -p dccp -j TRACE"]
    saved = namespace.run(f"iptables-{backend}-save", "-t", "raw")
    assert "-p sctp" in saved
    assert namespace.loggers() == LOGGERS


@contextmanager
def flood(namespace, seconds: float) -> Iterator[None]:
    """Datagrams to loopback, some 20,000 a second at most, for so long."""
    code = f"""
import socket, time
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end = time.monotonic() + {seconds}
while time.monotonic() < end:
    for _ in range(20):
        out.sendto(b"x", ("127.0.0.1", 9))
    time.sleep(0.001)
"""
    argv = ["ip", "netns", "exec", namespace.name, sys.executable, "-c", code]
    process = subprocess.Popen(argv)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def flooding(namespace) -> bool:
    """Whether datagrams leave right now."""

    def sent() -> int:
        lines = namespace.run("cat", "/proc/net/snmp").splitlines()
        return int([line for line in lines if line.startswith("Udp:")][1].split()[4])

    before, end = sent(), time.monotonic() + 5.0
    while sent() == before:
        if time.monotonic() > end:
            return False
    return True


def test_an_unlimited_legacy_rule_is_refused_without_an_override(namespace):
    with live(namespace) as session:
        session.add_rules([expiring()._replace(limit=None)], "legacy")
        wait_for(session, lambda: any("override" in n.text for n in session.take_notices()))
        assert namespace.trace_rules() == []


def test_receiving_and_removing_go_before_what_the_node_does_and_nothing_else(namespace):
    """Commands that read rules, or add one, wait for their turn."""
    with live(namespace) as session:
        pid = session.collector_pid
        tasks = [int(path.name) for path in Path(f"/proc/{pid}/task").iterdir()]
        nice = sorted(os.getpriority(os.PRIO_PROCESS, task) for task in tasks)
        assert os.getpriority(os.PRIO_PROCESS, pid) == PRIORITY < 0
        others = [os.getpriority(os.PRIO_PROCESS, 0)] * (len(tasks) - 2)
        assert nice == [PRIORITY, PRIORITY, *others]
        # A nice value counts within a session only, where the kernel groups by sessions.
        assert Path(f"/proc/{pid}/autogroup").read_text().endswith(f" nice {PRIORITY}\n")
        assert others


def test_two_sessions_leave_each_other_alone(namespace):
    with live(namespace) as first, live(namespace) as second:
        add(first, expiring(), "legacy")
        add(second, expiring(ICMP._replace(chain="PREROUTING")), "legacy")
        wait_for(first, lambda: len(first.rules) == 2)
        other = next(rule for rule in first.rules if not rule.mine)
        first.delete_rule(other.id)
        first.flush()
        wait_for(first, lambda: len(first.rules) == 1)
        assert any("another tracetui" in n.text for n in first.take_notices())
        assert len(namespace.trace_rules()) == 1
    assert namespace.trace_rules() == []
    assert namespace.loggers() == LOGGERS


def test_a_rule_that_somebody_else_removes_is_noticed(namespace):
    with live(namespace) as session:
        add(session, expiring(), "legacy")
        namespace.run("iptables-legacy", "-t", "raw", "-F")
        wait_for(session, lambda: not session.rules)
        wait_for(session, lambda: any("somebody else" in n.text for n in session.take_notices()))
        wait_for(session, lambda: namespace.loggers() == LOGGERS)


def test_a_rule_that_expired_is_removed(namespace):
    with live(namespace) as session:
        add(session, expiring(seconds=1), "legacy")
        wait_for(session, lambda: not session.rules, 8)
        assert namespace.trace_rules() == []
        wait_for(session, lambda: namespace.loggers() == LOGGERS)
