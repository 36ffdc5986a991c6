"""What a large ruleset costs: ``python tests/bench/large_ruleset.py legacy|nft|mixed SERVICES``.

Run as root, with the package installed. Builds the lab with so many more services (four rules
each), traces one packet in it, and prints how long its explanation took, what memory the two
processes used, and how long the collector's receive loop took to answer a command: while nothing
else goes on, and while the ruleset is read whole again and again. The last two are measured in one
run, so that their ratio means something on a machine that others use too.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import time
from pathlib import Path

from tracetui.lab.network import SERVER, Lab
from tracetui.lab.ruleset import LAB_KINDS, LabRuleset
from tracetui.lab.traffic import Traffic
from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.protocol import frames
from tracetui.protocol.commands import ReadRulesets, Request, SetThreshold
from tracetui.session.live.client import CollectorClient
from tracetui.session.live.live import LiveSession

PROBES = 300
SECONDS = 60.0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=LAB_KINDS)
    parser.add_argument("services", type=int)
    options = parser.parse_args()
    backend = "legacy" if options.kind == "legacy" else "nft"
    with Lab(LabRuleset(options.kind, SERVER, options.services)) as lab, Traffic(lab) as traffic:
        rules = on_node(lab, f"iptables-{backend}-save").count("\n-A")
        print(f"{options.kind}: {rules:,} rules in {backend}")
        explanation(lab, traffic, backend)
        stalls(lab, backend)


def on_node(lab: Lab, *argv: str) -> str:
    argv = ("ip", "netns", "exec", lab.node, *argv)
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def explanation(lab: Lab, traffic: Traffic, backend: str) -> None:
    polls: list[float] = []
    began = time.monotonic()
    session = LiveSession(lab.node, threshold=100_000)

    def wait(is_true) -> float:
        while not is_true():
            assert time.monotonic() - began < SECONDS
            start = time.monotonic()
            session.poll()
            polls.append(time.monotonic() - start)
            time.sleep(0.005)
        return time.monotonic() - began

    history = session.rulesets.histories[backend]
    print(f"  start to the node looked at          {wait(lambda: session.is_ready):6.2f} s")
    print(f"  start to the first reading taken in  {wait(lambda: history.latest):6.2f} s")
    rule = TraceRule("PREROUTING", iif="eth0", proto="tcp", dport="80", family=4)
    asked = time.monotonic()
    session.add_rules([rule._replace(expires=int(time.time()) + 120)], backend, override=True)
    wait(lambda: session.rules)
    print(f"  a rule asked for to in place         {time.monotonic() - asked:6.2f} s")
    sent = time.monotonic()
    traffic.ask("web")

    def shown():
        found = [one for one in session.packets if one.header.flags == "SYN"]
        hops = session.explain(found[0]).hops if found else ()
        return any(here.rule is not None and "--dport 80" in here.rule.text for here in hops)

    wait(shown)
    print(f"  a packet to its first explained hop  {time.monotonic() - sent:6.2f} s")
    print(f"  longest poll of the session          {max(polls) * 1000:6.0f} ms")
    print(f"  collector, memory at its highest     {peak(session.collector_pid):6.0f} MB")
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  session with its rulesets            {own:6.0f} MB")
    print(f"  hops lost                            {session.status.lost:6}")
    session.close()


def peak(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def stalls(lab: Lab, backend: str) -> None:
    client = CollectorClient(["--netns", lab.node])
    value, readings = 10_000, 0

    def probe() -> float:
        nonlocal value, readings
        value += 1
        sent = time.monotonic()
        client.send(Request(value, SetThreshold(value)))
        while True:
            frame = client.take()
            if frame is None:
                time.sleep(0.0002)
                continue
            if frame.kind == frames.READING:
                mark = frame.json()
                readings += mark["at"] == "end" and mark["backend"] == backend
            if frame.kind == frames.STATUS and frame.json()["guard"]["threshold"] == value:
                return (time.monotonic() - sent) * 1000

    while readings < 1:
        probe()
        time.sleep(0.01)
    time.sleep(1.0)
    idle, quiet = measure(probe, lambda: None), readings
    on_node(lab, f"iptables-{backend}", "-t", "raw", "-N", "PROBE")

    def change() -> None:
        # Another generation, and a reading that is wanted at once.
        on_node(lab, f"iptables-{backend}", "-t", "raw", "-A", "PROBE", "-j", "RETURN")
        client.send(Request(1, ReadRulesets()))

    busy = measure(probe, change)
    client.close(lambda _: None)
    for name, times, count in (("idle", idle, 0), ("reading", busy, readings - quiet)):
        middle, worst = statistics.median(times), max(times)
        print(f"  loop answers, {name:8} median {middle:6.1f} ms, worst {worst:6.1f} ms", end="")
        print(f"  ({count} whole readings)" if count else "")
    print(f"  worst while reading to worst idle    {max(busy) / max(idle):6.1f} x")


def measure(probe, between) -> list[float]:
    times = []
    for number in range(PROBES):
        if number % 30 == 0:
            between()
        times.append(probe())
        time.sleep(0.01)
    return times


if __name__ == "__main__":
    main()
