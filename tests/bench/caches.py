"""What each cache of the pipeline saves: ``python tests/bench/caches.py [nft|legacy] [PACKETS]``.

Of nft and 2,000 packets if not said.

Run as root, with the package installed. The datagrams of so many packets, of 16 flows and of a new
connection for each, are read, put together, explained and written as ``layers.py`` does it; then
again without one cache after the other, in turn. Printed is what a hop takes of the processor, the
best of five runs, and how many times as much without each cache.
"""

from __future__ import annotations

import argparse
import gc
import io
import sys
import time
from pathlib import Path
from typing import Any, Optional

from tracetui.cli.start.program import GARBAGE_THRESHOLDS
from tracetui.lab.network import SERVER, Lab
from tracetui.lab.ruleset import LabRuleset
from tracetui.model.trace.assembler import Assembler
from tracetui.model.trace.batch import batches_of
from tracetui.model.trace.memo import Memo
from tracetui.session.recording.packet_lines import PacketLines
from tracetui.session.state.explanations import Explanations
from tracetui.session.state.store import PacketStore

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.bench.layers import LINKS, READERS, captured
from tests.bench.peers import Bench, flows, sink

SERVICES = 50
TIMES = 5
READING = {"nft": ("_bare", "_headed"), "legacy": ("_points", "_devices", "_states")}
OTHERS = (
    ("transitions", "_made"), ("explanations", "_by_path"), ("explanations", "_by_template"),
    ("lines", "_known"), ("lines", "_words"),
)  # fmt: skip
Cache = tuple[str, str]
"""The object that has it, and its name there."""


class Nothing(Memo[Any, Any]):
    """A cache that forgets at once."""

    def __init__(self) -> None:
        super().__init__(1)

    def learn(self, key: Any, value: Any) -> Any:
        return value


def main() -> None:
    backend = sys.argv[1] if len(sys.argv) > 1 else "nft"
    packets = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    caches: list[Optional[Cache]] = [None, *(("reader", one) for one in READING[backend]), *OTHERS]
    with Lab(LabRuleset(backend, SERVER, SERVICES)) as lab, sink(lab):
        bench = Bench(lab, backend, SERVICES, argparse.Namespace())
        for flow in flows(SERVICES):
            records, rulesets = captured(lab, bench, backend, flow, packets)
            best: dict[Optional[Cache], float] = {}
            for _ in range(TIMES):
                for cache in caches:
                    took = cost(backend, records, rulesets, cache)
                    best[cache] = min(best.get(cache, took), took)
            print(f"{flow.name}: {best[None]:.1f} us a hop; without each, times as much:")
            for cache in caches[1:]:
                assert cache is not None
                print(f"  {'.'.join(cache):30} {best[cache] / best[None]:5.2f}")


def cost(backend: str, records: Any, rulesets: Any, without: Optional[Cache]) -> float:
    """Microseconds of the processor for a hop."""
    reader, assembler = READERS[backend](), Assembler()
    reader.set_links(LINKS)
    explanations, lines = Explanations(rulesets), PacketLines(is_ascii=False)
    parts = {
        "reader": reader, "transitions": assembler._transitions, "explanations": explanations,
        "lines": lines,
    }  # fmt: skip
    if without is not None:
        name, cache = without
        assert isinstance(getattr(parts[name], cache), Memo)
        setattr(parts[name], cache, Nothing())
    packets, out = PacketStore(), io.StringIO()
    began = time.process_time()
    hops = [hop for hop in reader.hops(records) if hop is not None]
    assembler.take(batches_of(hops), packets.took)
    for packet in packets.take_changed():
        out.write(lines.line(packet, explanations.of(packet)))
    return (time.process_time() - began) / len(hops) * 1e6


if __name__ == "__main__":
    main()
