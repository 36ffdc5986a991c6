"""How fast the guard ends a flood: ``python tests/bench/guard_trip.py [RUNS] [CASE]``.

Run as root, with the package installed. In a namespace of its own, with a rule without a limit in
place, a sender starts; measured is the time from its first datagram until no rule of ours stands in
the kernel, over RUNS runs of each case (20 by default), or of those whose name has CASE in it.
Cases, on both backends: hops at twice the guard's default threshold; as fast as a sender can; the
same while nobody reads the collector's pipe; the same while a ruleset of 20,000 rules is read again
and again; the same with 250,000 rules in the very chain, with an expression that iptables-nft can't
read, with a chain whose name prints as rules of ours, and with no descriptor left to the collector.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.any_name import make_chain

from tracetui.collector.rules.raw_tables import RawTable, RawTables
from tracetui.kernel import netns
from tracetui.kernel.nft_raw_tables import PartlyRead
from tracetui.lab.network import SERVER, Lab
from tracetui.lab.ruleset import LabRuleset
from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.protocol import frames
from tracetui.protocol.commands import AddRules, ReadRulesets, Request
from tracetui.session.live.client import CollectorClient

THRESHOLD = 5_000
PROBES = 10
_SENDER = """
import socket, sys, time
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
rate, seconds, most = float(sys.argv[1]), 4.0, int(sys.argv[2])
print(time.monotonic(), flush=True)
began, sent = time.monotonic(), 0
while (now := time.monotonic()) - began < seconds and sent < most:
    due = int((now - began) * rate) + 1 - sent if rate else 20
    for _ in range(due):
        out.sendto(b"x", ("127.0.0.1", 9))
    sent += due
    if rate:
        time.sleep(0.001)
"""


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    wanted = sys.argv[2] if len(sys.argv) > 2 else ""
    print(f"first datagram to no rule left, ms, {runs} runs each   min median  max")
    for backend in ("nft", "legacy"):
        cases = {
            "twice the threshold": {"rate": True},
            "as fast as it goes": {},
            "the same, pipe stuck": {"stuck": True},
            "the same, 20,000 rules being read": {"services": 5_000},
            "the same, 250,000 rules in the chain": {"prepare": many_rules, "guard": 100},
            "the same, a rule iptables-nft can't read": {"prepare": unreadable_rule},
            "the same, a name that prints as rules": {"prepare": phantom},
            "the same, no descriptor left": {"then": no_descriptor},
        }
        for name, case in cases.items():
            if wanted in name:
                times = [one_run(backend, **case) for _ in range(runs)]
                low, middle, high = min(times), statistics.median(times), max(times)
                print(f"  {backend:6}  {name:42} {low:4.0f} {middle:5.0f} {high:5.0f}", flush=True)


def many_rules(lab: Lab, backend: str) -> None:
    """Rules behind one that lets pass what is sent, and the answers: they would slow it down."""
    rules = "-A OUTPUT -o lo -j ACCEPT\n" + "".join(
        f"-A OUTPUT -s 203.0.113.{n % 256}\n" for n in range(250_000)
    )
    inside_run(
        lab, f"iptables-{backend}-restore", text=f"*raw\n:OUTPUT ACCEPT [0:0]\n{rules}COMMIT\n"
    )


def unreadable_rule(lab: Lab, backend: str) -> None:
    """A native rule in iptables' own table, for which iptables-nft lists nothing of it."""
    inside_run(lab, "iptables-nft", "-t", "raw", "-A", "OUTPUT", "-p", "sctp")
    inside_run(lab, "nft", "add", "rule", "ip", "raw", "OUTPUT", "ct", "state", "new", "counter")


def phantom(lab: Lab, backend: str) -> None:
    """A chain whose name is printed as a rule of ours, of a process that is dead."""
    inside_run(lab, "iptables-nft", "-t", "raw", "-A", "OUTPUT", "-p", "sctp")
    rule = "-A OUTPUT -p 99 -m comment --comment tracetui:1.1.1/ab -c 0 0 -j TRACE"
    make_chain(lab.node, b"raw", f"x\n{rule}\n-N y".encode())


def no_descriptor(pid: int) -> None:
    """Leave a process what it has open, and nothing more."""
    hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))


def inside_run(lab: Lab, *argv: str, text: str = "") -> None:
    command = ["ip", "netns", "exec", lab.node, *argv]
    subprocess.run(command, input=text, text=True, check=True, capture_output=True)


def one_run(
    backend: str,
    rate: bool = False,
    stuck: bool = False,
    services: int = 0,
    prepare: Callable[[Lab, str], None] = lambda lab, backend: None,
    then: Callable[[int], None] = lambda pid: None,
    guard: int = THRESHOLD,
) -> float:
    """Milliseconds from the first datagram until the kernel holds no rule of ours.

    With 250,000 rules in its chain a hop takes a millisecond: no more than some hundred a second
    come, and the guard is told to be content with fewer.
    """
    with ExitStack() as stack:
        lab = stack.enter_context(Lab(LabRuleset(backend, SERVER, services)))
        prepare(lab, backend)
        client = (Deaf if stuck else CollectorClient)(["--netns", lab.node, "--guard", str(guard)])
        stack.callback(client.close, lambda _: None)
        rule = TraceRule("OUTPUT", 4, "udp", limit=None)
        rule = rule._replace(expires=int(time.time()) + 300)
        client.send(Request(1, AddRules((rule,), backend, True)))
        tables = inside(lab, RawTables)
        stack.callback(tables.close)
        inside(lab, lambda: until(lambda: stands(tables, backend), 60))
        pace = 2 * THRESHOLD / hops_each(lab, client) if rate else 0.0
        time.sleep(1.5)
        then(collector_pid(client))
        began = stack.enter_context(flood(lab, pace))

        def gone() -> bool:
            if services:
                client.send(Request(2, ReadRulesets()))
            return not stands(tables, backend)

        inside(lab, lambda: until(gone, 20))
        return (time.monotonic() - began) * 1000


def inside(lab: Lab, function):
    return netns.call_inside(netns.resolve(lab.node), function)


def collector_pid(client: CollectorClient) -> int:
    """The collector's process, whether its frames are read or not."""
    watchdog = client._process.pid
    children = Path(f"/proc/{watchdog}/task/{watchdog}/children").read_text()
    return int(children.split()[0])


class Deaf(CollectorClient):
    """A session that never reads its pipe."""

    def _read(self) -> None:
        return


def hops_each(lab: Lab, client: CollectorClient) -> float:
    """Hops that one datagram brings."""
    with flood(lab, 100.0, PROBES):
        time.sleep(1.5)
    hops = 0
    while (frame := client.take()) is not None:
        if frame.kind == frames.STATUS:
            hops = frame.json()["hops"]
    assert hops, "nothing was traced"
    return hops / PROBES


@contextmanager
def flood(lab: Lab, pace: float, most: int = 10**9):
    """When the first datagram is sent, in monotonic seconds; 0 is as fast as it goes."""
    argv = ["ip", "netns", "exec", lab.node, sys.executable, "-c", _SENDER, str(pace), str(most)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as sender:
        try:
            yield float(sender.stdout.readline())
        finally:
            sender.kill()


def stands(tables: RawTables, backend: str) -> bool:
    """Whether the kernel has a rule of ours: it is the first of its chain."""
    try:
        rules = tables.rules(RawTable(backend, 4), 0.0)
    except PartlyRead as error:
        rules = error.rules
    return any(rule.is_ours for rule in rules)


def until(is_true, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.002)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
