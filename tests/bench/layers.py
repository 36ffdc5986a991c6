"""What a hop costs in each layer: ``python tests/bench/layers.py [PACKETS]``, 3,000 if not said.

Run as root, with the package installed. In labs with 50 and with 5,000 services the datagrams of so
many packets are kept as the kernel sent them, of 16 flows and of a new connection for each packet;
then they are read, put together into packets, explained by the ruleset and written as a record,
without anything else, in this very process. Printed is the processor time of each layer, the best
of five runs, and what a hop of the large ruleset costs against one of the small.
"""

from __future__ import annotations

import argparse
import gc
import io
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from tracetui.cli import GARBAGE
from tracetui.kernel.netlink import NftTrace
from tracetui.lab.network import SERVER, Lab
from tracetui.lab.ruleset import Ruleset
from tracetui.model.assemble import Assembler
from tracetui.model.run import runs_of
from tracetui.parse.nftrace_datagrams import NftraceDatagrams
from tracetui.session.explanations import Explanations
from tracetui.session.recording import RecordingWriter
from tracetui.session.rulesets import Rulesets
from tracetui.session.store import PacketStore

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.bench.peers import Bench, flows, sink

SERVICES = (50, 5000)
LAYERS = ("read", "put together", "explained and written")
TIMES = 5
AT_ONCE, RATE = 300, 3000
QUIET_SECONDS = 0.3
LINKS = {number: f"eth{number}" for number in range(20)}


def main() -> None:
    packets = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    gc.set_threshold(*GARBAGE)
    costs: dict[tuple[str, int], list[float]] = {}
    for services in SERVICES:
        with Lab(Ruleset("nft", SERVER, services)) as lab, sink(lab):
            bench = Bench(lab, "nft", services, argparse.Namespace())
            for flow in flows(services):
                datagrams, rulesets = captured(lab, bench, flow, packets)
                runs = [cost(datagrams, rulesets) for _ in range(TIMES)]
                best = min(runs, key=sum)
                costs[flow.name, services] = best
                told = ", ".join(f"{name} {us:.1f}" for name, us in zip(LAYERS, best))
                print(
                    f"{services:5,} services, {flow.name:6}: {len(datagrams):,} hops, us each: ",
                    end="",
                )
                print(f"{told}; in all {sum(best):.1f}", flush=True)
    few, many = SERVICES
    for name in ("steady", "new"):
        ratio = sum(costs[name, many]) / sum(costs[name, few])
        print(f"{name}: a hop costs {ratio:.2f} times as much with {many:,} services")


def captured(lab: Lab, bench: Bench, flow, packets: int) -> tuple[list[bytes], Rulesets]:
    """What the kernel says of so many packets, and the ruleset that they met."""
    found: list[bytes] = []
    with ExitStack() as stack:
        source = lab.inside(lab.node, NftTrace)
        stack.callback(source.close)
        stack.enter_context(bench.rule(flow))
        argv = ["ip", "netns", "exec", lab.node, "nft", "-a", "list", "ruleset"]
        listing = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        for _ in range(packets // AT_ONCE):
            bench.send(flow, AT_ONCE, RATE)
            time.sleep(QUIET_SECONDS)
            is_all = False
            while not is_all:
                datagrams, _, is_all = source.receive(10_000)
                found += datagrams
        assert source.lost() == 0
    rulesets = Rulesets()
    assert rulesets.fix(listing)
    return found, rulesets


def cost(datagrams: list[bytes], rulesets: Rulesets) -> list[float]:
    """Microseconds a hop, by layer."""
    decoder, assembler, packets = NftraceDatagrams(), Assembler(), PacketStore()
    explanations, writer = Explanations(rulesets), RecordingWriter(io.StringIO())
    decoder.set_links(LINKS)
    marks = [time.process_time()]
    read = decoder.hops((one, 1.7e9 + at * 2e-6) for at, one in enumerate(datagrams))
    hops = [hop for hop in read if hop is not None]
    marks.append(time.process_time())
    assembler.take(runs_of(hops), packets.took)
    marks.append(time.process_time())
    for packet in packets.take_changed():
        writer.packet(packet, explanations.of(packet))
    marks.append(time.process_time())
    assert len(hops) == len(datagrams)
    return [(after - before) / len(hops) * 1e6 for before, after in zip(marks, marks[1:])]


if __name__ == "__main__":
    main()
