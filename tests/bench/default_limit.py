"""What the default limit keeps of a node's speed: ``python tests/bench/default_limit.py [N]``.

Run as root, with the package installed. In a lab with N services, 10,000 if not said, whose
legacy nat table has four rules for each, packets that each open a connection to the last service
are sent for some seconds as fast as they go: with no TRACE rule, with a rule of ours at the limit
it has by default while ``record`` takes what comes, and with one without a limit. In turn, so that
a noisy machine hits all alike; printed are the packets a second and what part of the first that is.
"""

from __future__ import annotations

import statistics
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.bench.peers import ENDED_SECONDS, Bench, flows, sink
from tests.safety.terminal import Terminal

from tracetui.lab.network import CLIENT_SIDE, SERVER, Lab
from tracetui.lab.ruleset import LabRuleset

TIMES = 3
PACKETS, PACKETS_UNLIMITED = 60_000, 3_000
"""Some seconds of each."""
LIMITS = {"no rule": None, "default limit": (), "no limit": ("--limit", "none", "--force")}


def main() -> None:
    services = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with Lab(LabRuleset("legacy", SERVER, services)) as lab, sink(lab):
        bench = Bench(lab, "legacy", services, Namespace())
        flow = flows(services)[1]
        print(f"{bench.rules():,} rules")
        sent: dict[str, list[float]] = {name: [] for name in LIMITS}
        for _ in range(TIMES):
            for name, limit in LIMITS.items():
                with tracing(bench, lab, flow, limit):
                    count = PACKETS_UNLIMITED if name == "no limit" else PACKETS
                    sent[name].append(bench.send(flow, count, 0))
                time.sleep(ENDED_SECONDS)
        whole = statistics.median(sent["no rule"])
        for name, rates in sent.items():
            rate = statistics.median(rates)
            print(f"  {name:14} {rate:8,.0f} packets/s, {rate / whole:6.1%} of no rule's")


@contextmanager
def tracing(bench: Bench, lab: Lab, flow, limit: tuple[str, ...] | None) -> Iterator[None]:
    """A record of ours meanwhile, unless ``limit`` is None."""
    if limit is None:
        yield
        return
    rule = ("-4", "-i", CLIENT_SIDE, "-p", flow.proto, "--dport", str(flow.port), *limit)
    options = ("--netns", lab.node, "--guard", "100000000", "--backend", "legacy")
    with Terminal("record", *options, *rule, "-w", "/dev/null", mark="limit") as program:
        program.wait_for("added")
        yield
        program.type("\x03")
        program.process.wait(60)
    assert not bench.has_rule()


if __name__ == "__main__":
    main()
