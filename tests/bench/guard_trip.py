"""How fast the guard ends a flood: ``python tests/bench/guard_trip.py [RUNS]``.

Run as root, with the package installed. In a namespace of its own, with a rule without a limit in
place, a sender starts; measured is the time from its first datagram until no rule of ours stands in
the kernel, over RUNS runs of each case (20 by default). Cases, on both backends: hops at twice the
guard's default threshold; as fast as a sender can; the same while nobody reads the collector's
pipe; the same while a ruleset of 20,000 rules is read again and again.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress

from tracetui.collector import frames
from tracetui.kernel import netns
from tracetui.lab.network import SERVER, Lab
from tracetui.lab.ruleset import Ruleset
from tracetui.model.rule import TraceRule
from tracetui.session.client import CollectorClient

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
    print(f"first datagram to no rule left, ms, {runs} runs each   min median  max")
    for backend in ("nft", "legacy"):
        cases = {
            "twice the threshold": {"rate": True},
            "as fast as it goes": {},
            "the same, pipe stuck": {"stuck": True},
            "the same, 20,000 rules being read": {"services": 5_000},
        }
        for name, case in cases.items():
            times = [one_run(backend, **case) for _ in range(runs)]
            low, middle, high = min(times), statistics.median(times), max(times)
            print(f"  {backend:6}  {name:42} {low:4.0f} {middle:5.0f} {high:5.0f}", flush=True)


def one_run(backend: str, rate: bool = False, stuck: bool = False, services: int = 0) -> float:
    """Milliseconds from the first datagram until the kernel holds no rule of ours."""
    with ExitStack() as stack:
        lab = stack.enter_context(Lab(Ruleset(backend, SERVER, services)))
        client = (Deaf if stuck else CollectorClient)(["--netns", lab.node])
        stack.callback(client.close, lambda _: None)
        rule = TraceRule("OUTPUT", 4, "udp", limit=None)
        rule = rule._replace(expires=int(time.time()) + 60)
        client.send("add", rule=rule.to_json(), backend=backend, override=True)
        inside(lab, lambda: until(lambda: stands(backend)))
        pace = 2 * THRESHOLD / hops_each(lab, client) if rate else 0.0
        time.sleep(1.5)
        began = stack.enter_context(flood(lab, pace))

        def gone() -> bool:
            if services:
                client.send("read")
            return not stands(backend)

        inside(lab, lambda: until(gone))
        return (time.monotonic() - began) * 1000


class Deaf(CollectorClient):
    """A session that never reads its pipe."""

    def _read(self) -> None:
        return


def inside(lab: Lab, function) -> None:
    netns.call_inside(netns.resolve(lab.node), function)


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


def stands(backend: str) -> bool:
    # Cheap on both: iptables-nft-save reads every table, iptables-legacy -S takes the lock.
    argv = ["iptables-nft", "-t", "raw", "-S"]
    if backend == "legacy":
        argv = ["iptables-legacy-save", "-t", "raw"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return "-j TRACE" in done.stdout


def until(is_true) -> None:
    end = time.monotonic() + 10
    while not is_true():
        assert time.monotonic() < end, "the flood was not ended"
        time.sleep(0.002)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
