"""Hops that came one after the other and look as of one packet, as most do: put together at once.

This is the hot path of a trace in this layer, with ``path.Steps`` and ``OpenPacket.add_run``. Which
of the hops are of one packet is found out there; a run only holds what may be.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Optional

from tracetui.model.trace.header import is_alike
from tracetui.model.trace.hop import Hop, PacketState
from tracetui.model.trace.trace_point import TracePoint

LONGEST = 64
"""Hops of a run: a packet that has more comes as several. A run is looked up by all its places, and
again by those that are left where only its beginning is one packet's."""


class BatchSegment(NamedTuple):
    """Hops that came one after the other and have one look."""

    points: tuple[TracePoint, ...]
    state: PacketState
    times: tuple[Optional[float], ...]

    @property
    def hops(self) -> list[Hop]:
        """They themselves."""
        return [Hop(at, self.state, time) for at, time in zip(self.points, self.times)]

    def parts(self) -> Iterable[BatchSegment]:
        """It in parts that are no longer than a run may be: nearly always itself."""
        size = len(self.points)
        if size <= LONGEST:
            return (self,)
        cuts = [slice(at, at + LONGEST) for at in range(0, size, LONGEST)]
        return [BatchSegment(self.points[cut], self.state, self.times[cut]) for cut in cuts]


class HopBatch(NamedTuple):
    """Pieces that came one after the other and may be of one packet.

    They all have one trace id of nft's, or none and headers that differ in nothing that lasts.
    """

    points: tuple[TracePoint, ...]
    times: tuple[Optional[float], ...]
    states: tuple[PacketState, ...]
    """Of each piece."""
    counts: tuple[int, ...]
    """The hops of each piece."""

    @property
    def first(self) -> Hop:
        """Its first hop."""
        return Hop(self.points[0], self.states[0], self.times[0])

    @property
    def hops(self) -> list[Hop]:
        """All of them."""
        states = [state for state, count in zip(self.states, self.counts) for _ in range(count)]
        return [Hop(*each) for each in zip(self.points, states, self.times)]

    def after(self, hops: int) -> HopBatch:
        """What is left of it behind so many hops."""
        counts, at = list(self.counts), 0
        left = hops
        while left >= counts[at]:
            left -= counts[at]
            at += 1
        counts[at] -= left
        return HopBatch(self.points[hops:], self.times[hops:], self.states[at:], tuple(counts[at:]))

    def before(self, piece: int) -> HopBatch:
        """The first so many pieces of it."""
        hops = sum(self.counts[:piece])
        return HopBatch(
            self.points[:hops], self.times[:hops], self.states[:piece], self.counts[:piece]
        )


class _Growing:
    """A run that grows."""

    __slots__ = ("counts", "points", "states", "times")

    def __init__(self) -> None:
        self.points: list[TracePoint] = []
        self.times: list[Optional[float]] = []
        self.states: list[PacketState] = []
        self.counts: list[int] = []

    def is_to_end(self, state: PacketState, at: TracePoint) -> bool:
        """Whether what comes next is not to be in it."""
        return bool(self.states) and not (
            _go_together(self.states[-1], state) and _goes_on(self.points, state, at)
        )

    @property
    def run(self) -> HopBatch:
        """It as it is."""
        points, times, states, counts = self.points, self.times, self.states, self.counts
        return HopBatch(tuple(points), tuple(times), tuple(states), tuple(counts))


def runs(pieces: Iterable[BatchSegment]) -> Iterator[HopBatch]:
    """The runs that pieces make, in their order."""
    run = _Growing()
    for whole in pieces:
        for points, state, times in whole.parts():
            if run.is_to_end(state, points[0]):
                yield run.run
                run = _Growing()
            run.points += points
            run.times += times
            run.states.append(state)
            run.counts.append(len(points))
    if run.states:
        yield run.run


def batches_of(hops: Iterable[Hop]) -> Iterator[HopBatch]:
    """The runs that hops make, in their order."""
    run = _Growing()
    points, times, states, counts = run.points, run.times, run.states, run.counts
    last: Optional[PacketState] = None
    for at, state, time in hops:
        # Most are nft's without a header. No other backend has ids, so these are of one.
        is_named = last is not None and state[5] == last[5] is not None
        is_next = is_named and state[4] is None and len(points) < LONGEST
        if not is_next and run.is_to_end(state, at):
            yield run.run
            run, last = _Growing(), None
            points, times, states, counts = run.points, run.times, run.states, run.counts
        if state is last:
            counts[-1] += 1
        else:
            states.append(state)
            counts.append(1)
            last = state
        points.append(at)
        times.append(time)
    if states:
        yield run.run


def _go_together(one: PacketState, other: PacketState) -> bool:
    """Whether two looks can be one packet's."""
    trace_id = other[5]
    if trace_id is not None:
        return trace_id == one[5]
    first, second = one[4], other[4]
    if first is None or second is None or one[5] is not None:
        return False
    return first is second or is_alike(first, second)


def _goes_on(points: list[TracePoint], state: PacketState, at: TracePoint) -> bool:
    """Whether a place does not look like the beginning of a path: another packet's, then.

    A packet that looks the same can come behind one: the run would hold them all.
    """
    last = points[-1]
    is_first = at is points[0] or (at.table == "raw" and last.table != "raw")
    is_beginning = is_first and state[4] is not None
    return not is_beginning and at.voice == last.voice and len(points) < LONGEST
