"""Search for the next packet or hop that passes a test, a bounded piece at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Optional

from tracetui.model.trace.packet import Packet
from tracetui.session.recording import report
from tracetui.session.state.explanations import Explanations

SEARCHED_PER_CLOCK_CHECK = 16
"""Packets searched between two checks of the clock."""


class SeekTarget(NamedTuple):
    """A packet, or one hop of it."""

    packet: Packet
    hop: Optional[int]
    """The index of the hop; None for the packet as a whole."""


PacketTest = Callable[[Packet], Sequence[Optional[int]]]
"""Hits in a packet: None for the packet itself, then indices of hops."""


class Seek:
    """A search from one packet or hop through all packets and round to its start."""

    def __init__(
        self, packets: Sequence[Packet], start: Optional[SeekTarget], step: int, test: PacketTest
    ) -> None:
        """Look in ``packets``, in the order of their ids; ``step`` is 1, or -1 for backwards."""
        self.target: Optional[SeekTarget] = None
        self.checked = 0
        """Packets searched."""
        self._steps = self._targets(list(packets), start, step, test)

    def work(self, until: float) -> bool:
        """Look on until then (monotonic seconds); True when it has ended, found or not."""
        for target in self._steps:
            self.checked += 1
            if target is not None:
                self.target = target
                return True
            if self.checked % SEARCHED_PER_CLOCK_CHECK == 0 and time.monotonic() > until:
                return False
        return True

    @staticmethod
    def _targets(
        packets: list[Packet], start: Optional[SeekTarget], step: int, test: PacketTest
    ) -> Iterator[Optional[SeekTarget]]:
        """The hits in order, and None after each packet."""
        index = _index_of(packets, start.packet.id) if start is not None else None
        first_index = index if index is not None else (0 if step > 0 else len(packets) - 1)
        edge = _order(start.hop) if start is not None and index is not None else None
        for turn in range(len(packets) + (edge is not None)):
            packet = packets[(first_index + turn * step) % len(packets)]
            hops = list(test(packet))[::step]
            if edge is not None and turn == 0:
                hops = [hop for hop in hops if (_order(hop) - edge) * step > 0]
            elif edge is not None and turn == len(packets):
                hops = [hop for hop in hops if (_order(hop) - edge) * step <= 0]
            for hop in hops:
                yield SeekTarget(packet, hop)
            yield None


def dropped(explanations: Explanations) -> PacketTest:
    """Packets that were dropped or rejected."""

    def test(packet: Packet) -> Sequence[Optional[int]]:
        return (None,) if explanations.of(packet).verdict in ("drop", "reject") else ()

    return test


def mentions(text: str, explanations: Explanations) -> PacketTest:
    """Packets and hops whose lines have a text in them, in capitals or not."""
    sought = text.casefold()

    def test(packet: Packet) -> list[Optional[int]]:
        explanation = explanations.of(packet)
        hits: list[Optional[int]] = []
        if sought in report.head_text(packet, explanation).casefold():
            hits.append(None)
        for index, explained in enumerate(explanation.hops):
            if (
                not explained.is_own
                and sought in report.hop_text(packet, explanation, index).casefold()
            ):
                hits.append(index)
        return hits

    return test


def _order(hop: Optional[int]) -> int:
    return -1 if hop is None else hop


def _index_of(packets: Sequence[Packet], packet_id: int) -> Optional[int]:
    low, high = 0, len(packets)
    while low < high:
        middle = (low + high) // 2
        if packets[middle].id < packet_id:
            low = middle + 1
        else:
            high = middle
    return low if low < len(packets) and packets[low].id == packet_id else None
