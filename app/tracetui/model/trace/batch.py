"""Hops that arrived one after the other and may be one packet's: the only way into the assembler.

The assembler finds out which of them are of one packet; a batch only ends where another packet may
begin. Batches make a hop cheap: what follows from a batch's trace points is looked up once for all
of them (``traversal.Transitions``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Optional

from tracetui.model.trace.header import is_alike
from tracetui.model.trace.hop import Hop, PacketState
from tracetui.model.trace.trace_point import TracePoint

LONGEST_BATCH = 64
"""Hops of a batch: a packet that has more comes as several. A batch is looked up by all its trace
points, and again by those that are left where only its beginning is one packet's."""


class HopBatch(NamedTuple):
    """Hops in the order of their arrival, a tuple for each field.

    They all have one nft trace id, or none and headers that differ in nothing that lasts.
    """

    points: tuple[TracePoint, ...]
    times: tuple[Optional[float], ...]
    states: tuple[PacketState, ...]
    """The packet's states, each for some hops in a row."""
    counts: tuple[int, ...]
    """How many hops each state is for."""

    @classmethod
    def of(cls, hop: Hop) -> HopBatch:
        """A batch of one hop."""
        return cls((hop.point,), (hop.time,), (hop.state,), (1,))

    @property
    def first(self) -> Hop:
        """The first hop."""
        return Hop(self.points[0], self.states[0], self.times[0])

    @property
    def hops(self) -> list[Hop]:
        """All hops."""
        states = [state for state, count in zip(self.states, self.counts) for _ in range(count)]
        return [Hop(*fields) for fields in zip(self.points, states, self.times)]

    def after(self, hops: int) -> HopBatch:
        """The rest behind so many hops."""
        counts, index = list(self.counts), 0
        left = hops
        while left >= counts[index]:
            left -= counts[index]
            index += 1
        counts[index] -= left
        return HopBatch(
            self.points[hops:], self.times[hops:], self.states[index:], tuple(counts[index:])
        )

    def head(self) -> HopBatch:
        """The first hop alone."""
        return self if len(self.points) == 1 else HopBatch.of(self.first)


def batches_of(hops: Iterable[Hop]) -> Iterator[HopBatch]:
    """Batches of hops, in the order of the hops."""
    points: list[TracePoint] = []
    times: list[Optional[float]] = []
    states: list[PacketState] = []
    counts: list[int] = []
    last: Optional[PacketState] = None
    first = before = None
    for point, state, time in hops:
        if state is last and point is not first and before is not None:
            # Most hops: of the hook that the one before is of.
            is_next = (state[4] is None and state[5] is not None) or (
                state[4] is not None
                and point.voice == before.voice
                and (point.table != "raw" or before.table == "raw")
            )
        elif last is None or before is None:
            is_next = True
        else:
            is_next = _go_together(last, state) and _goes_on(first, before, state, point)
        if not is_next or len(points) >= LONGEST_BATCH:
            yield HopBatch(tuple(points), tuple(times), tuple(states), tuple(counts))
            points, times, states, counts, last = [], [], [], [], None
        if state is last:
            counts[-1] += 1
        else:
            if last is None:
                first = point
            states.append(state)
            counts.append(1)
            last = state
        points.append(point)
        times.append(time)
        before = point
    if points:
        yield HopBatch(tuple(points), tuple(times), tuple(states), tuple(counts))


def _go_together(earlier: PacketState, later: PacketState) -> bool:
    """Whether two states can be one packet's."""
    trace_id = later[5]
    if trace_id is not None:
        return trace_id == earlier[5]
    first, second = earlier[4], later[4]
    if first is None or second is None or earlier[5] is not None:
        return False
    return first is second or is_alike(first, second)


def _goes_on(
    first: Optional[TracePoint], before: TracePoint, state: PacketState, point: TracePoint
) -> bool:
    """Whether a trace point does not look like the beginning of a traversal.

    A packet that looks like this one can come behind it: the batch would hold both.
    """
    if state[4] is None:
        # nft shows no header between base chains. No other backend has ids.
        return True
    is_first = point is first or (point.table == "raw" and before.table != "raw")
    return not is_first and point.voice == before.voice
