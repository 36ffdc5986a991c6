"""What a hop costs in each layer: ``python tests/bench/layers.py [nft|legacy] [PACKETS]``.

Of nft and 3,000 packets if not said.

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
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from tracetui.cli.start.program import GARBAGE_THRESHOLDS
from tracetui.kernel.netlink import NfLog, NftTrace
from tracetui.lab.network import SERVER, Lab
from tracetui.lab.ruleset import LabRuleset
from tracetui.model.trace.assembler import Assembler
from tracetui.model.trace.batch import batches_of
from tracetui.parse.netlink.datagrams import Datagrams, Record
from tracetui.parse.netlink.nflog_datagrams import NflogDatagrams
from tracetui.parse.netlink.nftrace_datagrams import NftraceDatagrams
from tracetui.session.recording.recording import RecordingWriter
from tracetui.session.rulesets.rulesets import Rulesets
from tracetui.session.state.explanations import Explanations
from tracetui.session.state.store import PacketStore

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.bench.peers import Bench, flows, sink

SERVICES = (50, 5000)
READERS = {"nft": NftraceDatagrams, "legacy": NflogDatagrams}
LAYERS = ("read", "put together", "explained and written")
TIMES = 5
RATE = 1000
READ_SECONDS, QUIET_SECONDS = 0.002, 0.3
LINKS = {number: f"eth{number}" for number in range(20)}


def main() -> None:
    backend = sys.argv[1] if len(sys.argv) > 1 else "nft"
    packets = int(sys.argv[2]) if len(sys.argv) > 2 else 3000
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    costs: dict[tuple[str, int], list[float]] = {}
    for services in SERVICES:
        with Lab(LabRuleset(backend, SERVER, services)) as lab, sink(lab):
            bench = Bench(lab, backend, services, argparse.Namespace())
            for flow in flows(services):
                records, rulesets = captured(lab, bench, backend, flow, packets)
                runs = [cost(READERS[backend](), records, rulesets) for _ in range(TIMES)]
                best = min(runs, key=sum)
                costs[flow.name, services] = best
                told = ", ".join(f"{name} {us:.1f}" for name, us in zip(LAYERS, best))
                print(
                    f"{services:5,} services, {flow.name:6}: {len(records):,} hops, us each: ",
                    end="",
                )
                print(f"{told}; in all {sum(best):.1f}", flush=True)
    few, many = SERVICES
    for name in ("steady", "new"):
        ratio = sum(costs[name, many]) / sum(costs[name, few])
        print(f"{name}: a hop costs {ratio:.2f} times as much with {many:,} services")


def captured(
    lab: Lab, bench: Bench, backend: str, flow, packets: int
) -> tuple[list[Record], Rulesets]:
    """What the kernel says of so many packets, and the ruleset that they met."""
    found: list[Record] = []
    is_nft = backend == "nft"
    with ExitStack() as stack:
        if not is_nft:
            stack.enter_context(bench.bound())
        source = lab.inside(lab.node, NftTrace if is_nft else NfLog)
        stack.callback(source.close)
        stack.enter_context(bench.rule(flow))
        lists = ["nft", "-a", "list", "ruleset"] if is_nft else ["iptables-legacy-save"]
        argv = ["ip", "netns", "exec", lab.node, *lists]
        listing = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        sent = threading.Event()

        def receive() -> None:
            while True:
                is_last = sent.is_set()
                datagrams, times, is_all = source.receive(10_000)
                found.extend(zip(datagrams, times))
                if is_all and is_last:
                    return
                time.sleep(READ_SECONDS)

        receiver = threading.Thread(target=receive)
        receiver.start()
        bench.send(flow, packets, RATE)
        time.sleep(QUIET_SECONDS)
        sent.set()
        receiver.join()
        assert source.lost() == 0
    rulesets = Rulesets()
    assert rulesets.fix(listing)
    return found, rulesets


def cost(decoder: Datagrams, records: list[Record], rulesets: Rulesets) -> list[float]:
    """Microseconds a hop, by layer."""
    assembler, packets = Assembler(), PacketStore()
    explanations, writer = Explanations(rulesets), RecordingWriter(io.StringIO())
    decoder.set_links(LINKS)
    marks = [time.process_time()]
    hops = [hop for hop in decoder.hops(records) if hop is not None]
    marks.append(time.process_time())
    assembler.take(batches_of(hops), packets.took)
    marks.append(time.process_time())
    for packet in packets.take_changed():
        writer.packet(packet, explanations.of(packet))
    marks.append(time.process_time())
    assert len(hops) == len(records)
    return [(after - before) / len(hops) * 1e6 for before, after in zip(marks, marks[1:])]


if __name__ == "__main__":
    main()
