"""How fast the screen answers: ``python tests/bench/latency.py [nft|legacy]``.

Run as root, with the package installed. In a lab with 50 services the screen, in a pseudo terminal,
traces flows without a limit at some rates, and meanwhile a key is pressed again and again: Space,
which pauses and goes on. Printed are the times from the key to its word in the title, what of a
core each process took, how much of all cores was left, and hops lost; then what both take with a
rule in and no traffic; and how long it takes from F until no rule of ours is left in the kernel,
under a flood and without.
"""

from __future__ import annotations

import os
import statistics
import sys
import threading
import time
from argparse import Namespace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.bench.peers import TICK, Bench, cpu, flows, shown, sink
from tests.safety.terminal import Terminal

from tracetui.lab.network import CLIENT_SIDE, SERVER, Lab
from tracetui.lab.ruleset import LabRuleset

HOPS_PER_SECOND = (2_000, 20_000, 100_000)
SECONDS = 10.0
PRESSES = 40
IDLE_SECONDS = 10.0


def main() -> None:
    backend = sys.argv[1] if len(sys.argv) > 1 else "nft"
    with Lab(LabRuleset(backend, SERVER, 50)) as lab, sink(lab):
        bench = Bench(lab, backend, 50, Namespace())
        flow = flows(50)[0]
        each = bench.hops_of(flow)
        print(f"{backend}: {each} hops a packet")
        for rate in HOPS_PER_SECOND:
            with screen(lab, backend) as program:
                live(bench, program, flow, rate, each)
        with screen(lab, backend) as program:
            idle(program)
            flush(bench, program, flow, 0)
        with screen(lab, backend) as program:
            flush(bench, program, flow, 20_000)


def screen(lab: Lab, backend: str) -> Terminal:
    source = "nftrace" if backend == "nft" else "nflog"
    options = ("--netns", lab.node, "--guard", "100000000", "--source", source, "--force")
    rule = ("-4", "-i", CLIENT_SIDE, "-p", "udp", "--dport", "53", "--limit", "none")
    argv = (*options, *rule, "--backend", backend)
    program = Terminal(*argv, mark="latency", size=(120, 40))
    program.wait_for("added")
    time.sleep(3.0)
    return program


def live(bench: Bench, program: Terminal, flow, rate: int, each: int) -> None:
    count = int(rate / each * (SECONDS + 4))
    sender = threading.Thread(target=bench.send, args=(flow, count, rate // each))
    sender.start()
    time.sleep(2.0)
    pids = program.processes()
    before, began, idle_before = {pid: cpu(pid) for pid in pids}, time.monotonic(), unused()
    times = []
    for number in range(PRESSES):
        time.sleep(SECONDS / PRESSES * 0.7)
        times.append(pressed(program, " ", "PAUSED" if number % 2 == 0 else "following"))
    took = time.monotonic() - began
    free = (unused() - idle_before) / took
    shares = [(name, (cpu(pid) - before[pid]) / took) for pid, name in pids.items()]
    sender.join()
    time.sleep(3.0)
    slow = sorted(times)[int(0.95 * len(times))]
    print(f"  {rate:7,} hops/s: key to repaint {statistics.median(times) * 1000:.0f} ms,", end="")
    print(f" 95 % within {slow * 1000:.0f} ms; {said(shares)};", end="")
    print(f" {free:.1f} of {os.cpu_count()} cores unused; {shown(program.text)}", flush=True)


def unused() -> float:
    """Seconds that the machine's cores had nothing to do since boot, all together (proc(5))."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return (int(fields[4]) + int(fields[5])) / TICK


def pressed(program: Terminal, key: str, word: str) -> float:
    seen, before = program._seen, time.monotonic()
    at = len(seen)
    program.type(key)
    while seen.find(word.encode(), at) < 0:
        assert time.monotonic() - before < 20, program.text[-2000:]
        time.sleep(0.002)
    return time.monotonic() - before


def idle(program: Terminal) -> None:
    pids = program.processes()
    time.sleep(IDLE_SECONDS)  # until the notices are gone
    before = {pid: cpu(pid) for pid in pids}
    time.sleep(IDLE_SECONDS)
    shares = [(name, (cpu(pid) - before[pid]) / IDLE_SECONDS) for pid, name in pids.items()]
    print(f"  idle: {said(shares)}", flush=True)


def flush(bench: Bench, program: Terminal, flow, rate: int) -> None:
    sender = threading.Thread(target=bench.send, args=(flow, 4 * rate, rate))
    if rate:
        sender.start()
        time.sleep(1.0)
    before = time.monotonic()
    program.type("F")
    while bench.has_rule():
        assert time.monotonic() - before < 20, program.text[-2000:]
    took = time.monotonic() - before
    states = statistics.median(timed(bench.has_rule) for _ in range(5))
    print(f"  F to no rule left, {rate:,} packets/s: {took * 1000:.0f} ms", end="")
    print(f" (a look takes {states * 1000:.0f} ms)", flush=True)
    if rate:
        sender.join()


def timed(state) -> float:
    before = time.monotonic()
    state()
    return time.monotonic() - before


def said(shares: list[tuple[str, float]]) -> str:
    busy = [(name, share) for name, share in shares if share >= 0.0005]
    return "of a core " + ", ".join(f"{name} {share:.1%}" for name, share in busy)


if __name__ == "__main__":
    main()
