"""What others do to the node while it is traced."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from .live import add, live, poll_until, quiet, rule, send
from .terminal import Terminal
from .test_terminal import flood

pytestmark = pytest.mark.kernel

RULE = ("--chain", "OUTPUT", "-4", "-p", "icmp", "--backend")
BACKENDS = ("legacy", "nft")
LOCK_SECONDS = 20.0


def started(faults, *rule: str, **options) -> Terminal:
    name = faults.namespace.name
    return Terminal("--netns", name, *rule, mark=name, **options)


def test_the_lock_held_for_20_seconds_is_waited_for_and_named(faults, lock):
    with started(faults, *RULE, "legacy") as program:
        program.wait_for(faults.namespace.trace_rules)
        program.wait_for("guard ARMED")
        began = time.monotonic()
        with lock():
            program.type("q")
            program.wait_for("still removing", 10)
            program.wait_for("the xtables lock is held by ")
            program.wait_for(f"(pid {os.getpid()})")
            assert faults.namespace.loggers()[2] == "nfnetlink_log"
            time.sleep(max(0.0, began + LOCK_SECONDS - time.monotonic()))
            assert faults.namespace.trace_rules()
        program.process.wait(20)
        faults.leaves_nothing("the xtables lock is held for 20 s", program)


def test_the_guard_keeps_trying_while_the_lock_is_held(faults, lock):
    """And stops listening, for a flood that can't be stopped should cost the node no more."""
    rule = ("--chain", "OUTPUT", "-4", "-p", "udp", "--limit", "none", "--force")
    with started(faults, *rule, "--backend", "legacy", size=(160, 40)) as program:
        program.wait_for(faults.namespace.trace_rules)
        program.wait_for("guard ARMED")
        with ExitStack() as stack:
            stack.enter_context(lock())
            stack.enter_context(flood(faults.namespace, 20))
            program.wait_for("GUARD TRIPPED", 5)
            program.wait_for("removing our rules")
            program.wait_for("still removing", 10)
            assert faults.namespace.trace_rules()
        program.wait_for(lambda: not faults.namespace.trace_rules(), 10)
        program.wait_for("1 rule removed")
        program.type("q")
        program.process.wait(20)
        faults.leaves_nothing("the xtables lock is held while the guard trips", program)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_ruleset_restored_over_ours_is_noticed_and_said(faults, backend):
    restore = f"iptables-{backend}-restore"
    with started(faults, *RULE, backend, size=(160, 40)) as program:
        program.wait_for(faults.namespace.trace_rules)
        program.wait_for("guard ARMED")
        text = "*raw\n-A OUTPUT -p sctp -j NOTRACK\nCOMMIT\n"
        argv = ["ip", "netns", "exec", faults.namespace.name, restore]
        subprocess.run(argv, input=text, text=True, check=True)
        program.wait_for("somebody else removed our rule", 10)
        faults.leaves_no_rules("iptables-restore replaces the ruleset")
        program.type("q")
        program.process.wait(20)
        assert "sctp" in faults.namespace.run(f"iptables-{backend}-save", "-t", "raw")
        faults.leaves_nothing("iptables-restore replaces the ruleset", program)


def test_a_namespace_that_is_deleted_is_not_kept_alive(faults):
    """The collector is in it: as long as it stays, so do the namespace and its devices."""
    name = f"{faults.namespace.name}-x"
    there = f"{name}-peer"[-15:]
    subprocess.run(["ip", "netns", "add", name], check=True)
    subprocess.run(["ip", "netns", "exec", name, "ip", "link", "set", "lo", "up"], check=True)
    peer = ["type", "veth", "peer", "name", "eth0", "netns", name]
    here = ["ip", "-n", faults.namespace.name, "link"]
    subprocess.run([*here, "add", there, *peer], check=True)
    with Terminal("--netns", name, *RULE, "legacy", mark=name, size=(160, 40)) as program:
        program.wait_for("added")
        program.wait_for("guard ARMED")
        subprocess.run(["ip", "netns", "del", name], check=True)
        program.wait_for("is gone", 10)
        program.wait_for(lambda: "tt-collector" not in program.processes().values())

        def devices() -> str:
            return subprocess.run([*here, "show"], capture_output=True, text=True).stdout

        program.wait_for(lambda: there not in devices())
        program.type("q")
        program.process.wait(20)
        faults.leaves_nothing("the namespace is deleted", program)


def test_a_namespace_without_a_name_goes_with_its_process(faults, eventually):
    holder = subprocess.Popen(["unshare", "-n", "sleep", "60"])
    own = Path("/proc/self/ns/net").readlink()
    eventually(lambda: Path(f"/proc/{holder.pid}/ns/net").readlink() != own, 10.0)
    with Terminal(
        "--netns", str(holder.pid), *RULE, "nft", mark=faults.namespace.name, size=(160, 40)
    ) as program:
        program.wait_for("added")
        holder.kill()
        holder.wait()
        program.wait_for("is gone", 10)
        program.wait_for(lambda: "tt-collector" not in program.processes().values())
        program.type("q")
        program.process.wait(20)
        faults.leaves_nothing("the namespace is deleted", program)


PACKETS = {"nflog": 100_000, "nftrace": 50_000, "kmsg": 3_000}
"""More than the kernel has room for while nobody reads."""


@pytest.mark.alone
@pytest.mark.parametrize("source", PACKETS)
def test_an_overrun_is_counted_said_and_trips_the_guard(faults, source):
    """The collector is stopped until the kernel has no room left for what it reports."""
    backend = "nft" if source == "nftrace" else "legacy"
    with kernel_log_of_all_namespaces(source == "kmsg"):
        with live(faults.namespace, source=source, threshold=10**9) as session:
            add(session, rule(), backend)
            send(faults.namespace, 1)
            poll_until(session, lambda: session.status.hops)
            quiet(session)
            each = session.status.hops
            os.kill(session.collector_pid, signal.SIGSTOP)
            send(faults.namespace, PACKETS[source])
            os.kill(session.collector_pid, signal.SIGCONT)
            poll_until(session, lambda: session.status.guard.tripped, 20)
            assert f"records of {source}" in session.status.guard.reason
            poll_until(session, lambda: session.status.guard.trip.removed)
            faults.leaves_no_rules(f"records are lost ({source})")
            quiet(session)
            assert session.status.lost > 0
            if source != "kmsg":
                # Exact: the kernel log also counts what others print.
                sent = each * (PACKETS[source] + 1)
                assert session.status.hops + session.status.lost == sent
    faults.leaves_nothing(f"records are lost ({source})")


@contextmanager
def kernel_log_of_all_namespaces(wanted: bool):
    setting = Path("/proc/sys/net/netfilter/nf_log_all_netns")
    before = setting.read_text()
    if wanted:
        setting.write_text("1")
    try:
        yield
    finally:
        setting.write_text(before)
