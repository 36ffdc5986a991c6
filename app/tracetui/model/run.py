"""Hops that came one after the other and look as of one packet, as most do: put together at once.

This is the hot path of a trace in this layer, with ``path.Steps`` and ``OpenPacket.add_run``. Which
of the hops are of one packet is found out there; a run only holds what may be.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Optional

from tracetui.model.header import is_alike
from tracetui.model.hop import Hop, Look
from tracetui.model.place import Place

LONGEST = 64
"""Hops of a run: a packet that has more comes as several. A run is looked up by all its places, and
again by those that are left where only its beginning is one packet's."""


class Piece(NamedTuple):
    """Hops that came one after the other and have one look."""

    places: tuple[Place, ...]
    look: Look
    times: tuple[Optional[float], ...]

    @property
    def hops(self) -> list[Hop]:
        """They themselves."""
        return [Hop(at, self.look, time) for at, time in zip(self.places, self.times)]

    def parts(self) -> Iterable[Piece]:
        """It in parts that are no longer than a run may be: nearly always itself."""
        size = len(self.places)
        if size <= LONGEST:
            return (self,)
        cuts = [slice(at, at + LONGEST) for at in range(0, size, LONGEST)]
        return [Piece(self.places[cut], self.look, self.times[cut]) for cut in cuts]


class Run(NamedTuple):
    """Pieces that came one after the other and may be of one packet.

    They all have one trace id of nft's, or none and headers that differ in nothing that lasts.
    """

    places: tuple[Place, ...]
    times: tuple[Optional[float], ...]
    looks: tuple[Look, ...]
    """Of each piece."""
    counts: tuple[int, ...]
    """The hops of each piece."""

    @property
    def first(self) -> Hop:
        """Its first hop."""
        return Hop(self.places[0], self.looks[0], self.times[0])

    @property
    def hops(self) -> list[Hop]:
        """All of them."""
        looks = [look for look, count in zip(self.looks, self.counts) for _ in range(count)]
        return [Hop(*each) for each in zip(self.places, looks, self.times)]

    def after(self, hops: int) -> Run:
        """What is left of it behind so many hops."""
        counts, at = list(self.counts), 0
        left = hops
        while left >= counts[at]:
            left -= counts[at]
            at += 1
        counts[at] -= left
        return Run(self.places[hops:], self.times[hops:], self.looks[at:], tuple(counts[at:]))

    def before(self, piece: int) -> Run:
        """The first so many pieces of it."""
        hops = sum(self.counts[:piece])
        return Run(self.places[:hops], self.times[:hops], self.looks[:piece], self.counts[:piece])


class _Growing:
    """A run that grows."""

    __slots__ = ("counts", "looks", "places", "times")

    def __init__(self) -> None:
        self.places: list[Place] = []
        self.times: list[Optional[float]] = []
        self.looks: list[Look] = []
        self.counts: list[int] = []

    def is_to_end(self, look: Look, at: Place) -> bool:
        """Whether what comes next is not to be in it."""
        return bool(self.looks) and not (
            _go_together(self.looks[-1], look) and _goes_on(self.places, look, at)
        )

    @property
    def run(self) -> Run:
        """It as it is."""
        places, times, looks, counts = self.places, self.times, self.looks, self.counts
        return Run(tuple(places), tuple(times), tuple(looks), tuple(counts))


def runs(pieces: Iterable[Piece]) -> Iterator[Run]:
    """The runs that pieces make, in their order."""
    run = _Growing()
    for whole in pieces:
        for places, look, times in whole.parts():
            if run.is_to_end(look, places[0]):
                yield run.run
                run = _Growing()
            run.places += places
            run.times += times
            run.looks.append(look)
            run.counts.append(len(places))
    if run.looks:
        yield run.run


def runs_of(hops: Iterable[Hop]) -> Iterator[Run]:
    """The runs that hops make, in their order."""
    run = _Growing()
    places, times, looks, counts = run.places, run.times, run.looks, run.counts
    last: Optional[Look] = None
    for at, look, time in hops:
        # Most are nft's without a header. No other backend has ids, so these are of one.
        is_named = last is not None and look[5] == last[5] is not None
        is_next = is_named and look[4] is None and len(places) < LONGEST
        if not is_next and run.is_to_end(look, at):
            yield run.run
            run, last = _Growing(), None
            places, times, looks, counts = run.places, run.times, run.looks, run.counts
        if look is last:
            counts[-1] += 1
        else:
            looks.append(look)
            counts.append(1)
            last = look
        places.append(at)
        times.append(time)
    if looks:
        yield run.run


def _go_together(one: Look, other: Look) -> bool:
    """Whether two looks can be one packet's."""
    trace_id = other[5]
    if trace_id is not None:
        return trace_id == one[5]
    first, second = one[4], other[4]
    if first is None or second is None or one[5] is not None:
        return False
    return first is second or is_alike(first, second)


def _goes_on(places: list[Place], look: Look, at: Place) -> bool:
    """Whether a place does not look like the beginning of a path: another packet's, then.

    A packet that looks the same can come behind one: the run would hold them all.
    """
    last = places[-1]
    is_first = at is places[0] or (at.table == "raw" and last.table != "raw")
    is_beginning = is_first and look[4] is not None
    return not is_beginning and at.voice == last.voice and len(places) < LONGEST
