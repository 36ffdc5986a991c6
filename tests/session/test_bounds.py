"""What a trace remembers for speed has its bounds: rules that are changed for hours fill no memory.

A rule that is changed, or ours when it is extended, gets a new handle, so its hops are at a place
that was not there before.
"""

from __future__ import annotations

import gc
import io

from tracetui.model.trace.assembler import Assembler
from tracetui.model.trace.batch import batches_of
from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import Hop
from tracetui.session.recording.recording import RecordingWriter
from tracetui.session.rulesets.rulesets import Rulesets
from tracetui.session.state.explanations import Explanations
from tracetui.session.state.store import PacketStore

FILLED = 9_000
"""Packets after which everything is as full as it gets; KEPT and the like are at most 8,192."""


class _Nothing(io.StringIO):
    def write(self, text: str) -> int:
        return len(text)


def test_ever_new_handles_fill_no_memory():
    assembler, packets = Assembler(), PacketStore(1000)
    explanations, writer = Explanations(Rulesets()), RecordingWriter(_Nothing())

    def trace(numbers: range) -> int:
        for number in numbers:
            assembler.take(batches_of(packet(number)), packets.took)
            for one in packets.take_changed():
                writer.packet(one, explanations.of(one))
        gc.collect()
        return len(gc.get_objects())

    before = trace(range(1))
    full = trace(range(1, FILLED)) - before
    fuller = trace(range(FILLED, 2 * FILLED)) - before
    # All of a kind is forgotten when it is full, so at one moment there is more than at another.
    assert fuller < 1.25 * full


def packet(number: int) -> list[Hop]:
    """Two hops of a packet, of rules that no other one met."""
    header = Header(4, "udp", "10.0.0.1", "10.0.0.2", 1024, 53, 60, number & 0xFFFF, 64)
    at = {"type": "rule", "verdict": "continue", "hook": "PREROUTING", "trace_id": number}
    time = 1.7e9 + number
    return [
        Hop.of("nft", "ip", "raw", "PREROUTING", handle=number, header=header, time=time, **at),
        Hop.of("nft", "ip", "mangle", "PREROUTING", handle=number, time=time, **at),
    ]
