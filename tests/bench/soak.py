"""An hour of tracing: ``python tests/bench/soak.py [SECONDS]``.

Run as root, with the package installed. In a lab with rules in both backends, datagrams are sent at
rates that change between 50 and 400 a second, while rules of the node are added and removed twice a
second and the TRACE rule is extended again and again. A session without a screen and the whole
program in a terminal trace them. Printed every minute, and compared at the end: what was sent and
what was seen, hops lost, memory and open descriptors of every process; and the heap of the session
without a screen by type, at half time and at the end, what grew most first. Fails if a packet is
missing or there twice, if a descriptor leaks, or if memory grows after the stores are full.
"""

from __future__ import annotations

import gc
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from tracetui.lab.network import CLIENT_SIDE, SERVER, Lab
from tracetui.lab.ruleset import DNS, SERVICES, LabRuleset
from tracetui.lab.traffic import Traffic
from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.session.live.live import LiveSession
from tracetui.session.state.store import PacketStore

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.safety.terminal import Terminal

REPORT_SECONDS = 60.0
KEPT_HOPS = 100_000
GROWTH = 1.05
"""Memory at the end to memory when half of the time was over, at most: by then, in an hour, the
million hops that a screen keeps are full, and so is what is remembered of ways."""
MOST_PACKETS = 4_000_000
RATES = (50, 150, 400)
CHURN_SECONDS = 0.5
EXTEND_SECONDS = (1.0, 7.0)
"""In the first half, and in the second. An extended rule is a new one to the kernel, so packets go
a way that none went before; some thousand of these are remembered, and must be before half time."""
STEP_SECONDS = 15.0
TYPES_SHOWN = 25


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3600.0
    with ExitStack() as stack:
        lab = stack.enter_context(Lab(LabRuleset("mixed", SERVER)))
        traffic = stack.enter_context(Traffic(lab))
        session = LiveSession(lab.node, threshold=50_000, packets=PacketStore(KEPT_HOPS))
        stack.callback(session.close)
        wait(session, lambda: session.is_ready)
        rule = TraceRule("PREROUTING", 4, "udp", iif=CLIENT_SIDE, dport=str(DNS), limit=None)
        rule = rule._replace(expires=int(time.time()) + 600)
        session.add_rules([rule], "nft", override=True)
        wait(session, lambda: session.rules)
        options = ("--netns", lab.node, "--guard", "50000", "-i", CLIENT_SIDE, "--expire", "2h")
        screen = stack.enter_context(
            Terminal(*options, mark=lab.node, size=(120, 40), keep=1 << 20)
        )
        screen.wait_for("added")
        soak = Soak(lab, traffic, session, screen)
        soak.run(seconds)
        soak.judge()


class Soak:
    """The traffic, the churn, and what is known of both sides."""

    def __init__(self, lab: Lab, traffic: Traffic, session: LiveSession, screen: Terminal) -> None:
        self._lab, self._traffic, self._session, self._screen = lab, traffic, session, screen
        self._sent = 0
        # By packet id, and of one size from the start: what it takes must not look like growth.
        self._is_seen = bytearray(MOST_PACKETS)
        self._seen = 0
        self._churned = self._extended = 0
        self._stop = threading.Event()
        self._samples: list[dict[str, tuple[float, int]]] = []
        self._heaps: list[dict[str, tuple[int, int]]] = []

    def run(self, seconds: float) -> None:
        jobs = [threading.Thread(target=job) for job in (self._send, self._churn)]
        for job in jobs:
            job.start()
        began = reported = extended = time.monotonic()
        while (now := time.monotonic()) - began < seconds:
            self._look()
            if now - extended > EXTEND_SECONDS[now - began > seconds / 2]:
                extended = now
                self._session.extend_rules()
                self._extended += 1
            if not self._heaps and now - began > seconds / 2:
                self._heaps.append(heap_by_type())
            if now - reported > min(REPORT_SECONDS, seconds / 10):
                reported = now
                self._report(now - began)
        self._stop.set()
        for job in jobs:
            job.join()
        quiet = time.monotonic() + 5
        while time.monotonic() < quiet:
            self._look()

    def judge(self) -> None:
        """Print the totals; fails where something is wrong."""
        self._report(None)
        self._heaps.append(heap_by_type())
        self._print_heaps()
        status = self._session.status
        print(f"sent {self._sent:,}, seen {self._seen:,}, lost {status.lost}", flush=True)
        print(f"rules changed {self._churned:,} times, ours extended {self._extended:,} times")
        first, last = self._samples[len(self._samples) // 2], self._samples[-1]
        for name, (memory, descriptors) in last.items():
            before, open_before = first[name]
            print(f"  {name:24} {before:6.1f} MB, {open_before} descriptors at half time", end="")
            print(f"; {memory:6.1f} MB, {descriptors} at the end")
        assert self._seen == self._sent
        assert status.lost == 0
        assert not status.guard.trips
        for name, (memory, descriptors) in last.items():
            assert memory <= first[name][0] * GROWTH, f"{name} grows"
            assert descriptors <= first[name][1] + 1, f"{name} leaks descriptors"

    def _print_heaps(self) -> None:
        half, end = self._heaps
        grown = {name: size - half.get(name, (0, 0))[1] for name, (_, size) in end.items()}
        print("heap of the session without a screen: objects and MB at half time, and at the end")
        for name in sorted(grown, key=lambda name: -abs(grown[name]))[:TYPES_SHOWN]:
            (few, small), (many, large) = half.get(name, (0, 0)), end[name]
            print(f"  {name:40} {few:9,} {small / 1e6:7.2f}  {many:9,} {large / 1e6:7.2f}")

    def _send(self) -> None:
        rates = random.Random(7)  # noqa: S311
        while not self._stop.is_set():
            self._sent += self._traffic.flood(rates.choice(RATES), STEP_SECONDS)

    def _churn(self) -> None:
        number = 0
        while not self._stop.wait(CHURN_SECONDS):
            number += 1
            tool = ("iptables-legacy", "iptables-nft")[number % 2]
            table = ("filter", "nat")[number % 2]
            rule = ["-p", "sctp", "--dport", str(1 + number // 4 % 60_000), "-j", "RETURN"]
            how = ("-I", "-D")[number // 2 % 2]
            argv = ["ip", "netns", "exec", self._lab.node, tool, "-w", "-t", table]
            done = subprocess.run(
                [*argv, how, "POSTROUTING" if table == "nat" else "FORWARD", *rule]
            )
            self._churned += done.returncode == 0

    def _look(self) -> None:
        self._session.poll()
        for packet in self._session.packets.take_changed():
            header = packet.header
            if header is not None and (header.dst, header.dport) == (SERVICES[4]["dns"], DNS):
                self._seen += not self._is_seen[packet.id]
                self._is_seen[packet.id] = 1
        self._session.take_notices()
        time.sleep(0.02)

    def _report(self, seconds: float | None) -> None:
        pids = {"session (headless)": "self", "its collector": self._session.collector_pid}
        for pid, name in self._screen.processes().items():
            pids[f"{name} {pid}"] = pid
        self._samples.append({name: used(pid) for name, pid in pids.items()})
        if seconds is not None:
            sizes = "  ".join(f"{memory:.1f}/{fds}" for memory, fds in self._samples[-1].values())
            print(f"{seconds:6.0f} s  sent {self._sent:8,}  seen {self._seen:8,}  {sizes}")
            sys.stdout.flush()


def heap_by_type() -> dict[str, tuple[int, int]]:
    """How many objects of each type this process has, and their bytes.

    They are counted in a child, which has a copy of them: counting takes memory itself.
    """
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        os.close(ours)
        with os.fdopen(theirs, "w") as pipe:
            json.dump(_counted(), pipe)
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        counted = json.load(pipe)
    os.waitpid(child, 0)
    return {name: (count, size) for name, (count, size) in counted.items()}


def _counted() -> dict[str, tuple[int, int]]:
    tracked = gc.get_objects()
    known = {id(value): value for value in tracked}
    for value in tracked:
        for other in gc.get_referents(value):
            known.setdefault(id(other), other)
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for value in known.values():
        kind = type(value)
        name = f"{kind.__module__}.{kind.__qualname__}"
        counts[name] += 1
        sizes[name] += sys.getsizeof(value)
    return {name: (count, sizes[name]) for name, count in counts.items()}


def used(pid: object) -> tuple[float, int]:
    """Resident memory in MB, and open descriptors."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    memory = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024
    return memory, len(list(Path(f"/proc/{pid}/fd").iterdir()))


def wait(session: LiveSession, is_true) -> None:
    end = time.monotonic() + 30
    while not is_true():
        session.poll()
        assert time.monotonic() < end, [notice.text for notice in session.take_notices()]
        time.sleep(0.01)


if __name__ == "__main__":
    main()
