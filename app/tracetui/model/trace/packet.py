"""One traversal of one packet: its hops in path order, and what they add up to."""

from __future__ import annotations

import marshal
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, Optional

from tracetui.model.trace import times
from tracetui.model.trace.growing import GrowingPath
from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import END_OF_CALENDAR, SINCE_EPOCH, Hop, PacketState
from tracetui.model.trace.path import Path, PathSegment, each_of, own, taken
from tracetui.model.trace.path_template import Value
from tracetui.model.trace.traversal import position, table_rank

MOST_HOPS = 1024
"""Of one packet: a traversal shows tens, or hundreds where a CNI writes the rules. More than this
is no traversal, but something that comes again and again."""

_HEADER_FIELDS = ("src", "sport", "dst", "dport", "ttl")


class _Open:
    """A packet's hops at hand."""

    __slots__ = ("header", "hooks", "hops", "iif", "oif")

    def __init__(self, hops: list[Hop], hooks: list[Optional[str]]) -> None:
        self.hops = hops
        self.hooks = hooks
        self.header: Optional[Header] = None
        self.iif: Optional[str] = None
        self.oif: Optional[str] = None
        for hop in hops:
            self.note(hop.state)

    def note(self, state: PacketState) -> None:
        """Take in how it looked at its last hop."""
        if self.header is None:
            self.header = state.header
        if self.iif is None:
            self.iif = state.iif
        self.oif = state.oif or self.oif


class Packet:
    """The hops of one traversal; it grows while they arrive.

    One that :meth:`pack` was called on takes far less memory. Whoever asks for its hops has them at
    hand again, until UNPACKED others were asked for theirs.
    """

    __slots__ = ("_growing", "_open", "_own", "_path", "ambiguous", "id", "is_recorded")

    def __init__(self, packet_id: int) -> None:
        self.id = packet_id
        """Counts from 1 in the order in which packets began."""
        self.ambiguous = False
        """Whether hops of it can be another packet's, one that looks the same and was on its way
        at the same time, or the other way round."""
        self.is_recorded = False
        """Whether it was read from a record, which says what distances are known."""
        self._growing: Optional[GrowingPath] = None
        self._open: Optional[_Open] = None
        """Where it is growing or packed, another form of the same."""
        self._path: Optional[Path] = None
        self._own: Optional[bytes] = None
        """What is not in the way; None where hops came since it was packed."""

    @property
    def hops(self) -> list[Hop]:
        """In path order."""
        return (self._open or self._unpack()).hops

    @property
    def length(self) -> int:
        """How many hops there are, packed or not."""
        if self._growing is not None:
            return self._growing.length
        if self._open is None and self._path is not None:
            return len(self._path.points)
        return len(self.hops)

    @property
    def newest(self) -> Optional[float]:
        """The time of the last hop, as :attr:`Hop.time` has it."""
        if self._growing is not None:
            return self._growing.newest
        return self.hops[-1].time

    @property
    def first(self) -> PacketState:
        """How it looked at its first hop."""
        here = self._growing
        return self.hops[0].state if here is None else here.segments[0].states[0]

    @property
    def times(self) -> list[Optional[float]]:
        """The time of each hop, as :attr:`Hop.time` has it."""
        here = self._growing
        return [hop.time for hop in self.hops] if here is None else here.times

    @property
    def header(self) -> Optional[Header]:
        """Of the first hop that shows one."""
        return (self._growing or self._open or self._unpack()).header

    @property
    def iif(self) -> Optional[str]:
        """The first in-interface seen."""
        return (self._growing or self._open or self._unpack()).iif

    @property
    def oif(self) -> Optional[str]:
        """The last out-interface seen."""
        return (self._growing or self._open or self._unpack()).oif

    @property
    def hooks(self) -> Sequence[Optional[str]]:
        """The hook of each hop, as :meth:`hook_of` has it."""
        return (self._open or self._unpack()).hooks

    @property
    def path(self) -> Path:
        """What it has in common with others."""
        if self._path is not None and self._own is not None:
            return self._path
        return self._growing.gone[0] if self._growing is not None else self._taken()[0]

    def pack(self) -> None:
        """Keep the hops as what is the packet's own and what others share; they stay the same."""
        if self._own is None:
            self._path, states, moments = self._taken()
            value: Any = ([own(state) for state in states], times.packed(moments))
            self._own = marshal.dumps(value)
        self._open = self._growing = None

    def _taken(self) -> tuple[Path, list[PacketState], list[Optional[float]]]:
        """Its way, its looks in the way's order, and the time of each hop."""
        here = self._growing
        if here is not None:
            return (*here.gone, here.times)
        hops = self.hops
        points = tuple([hop.point for hop in hops])
        states = [hop.state for hop in hops]
        return (*taken(points, tuple(self.hooks), states), [hop.time for hop in hops])

    def _unpack(self) -> _Open:
        here = self._growing
        if here is not None:
            points, hooks, states = each_of(here.segments)
            hops = [Hop(*each) for each in zip(points, states, here.times)]
            self._open = _Open(hops, list(hooks))
        elif self._path is not None and self._own is not None:
            states, moments = marshal.loads(self._own)  # noqa: S302 - written by this process
            hops = self._path.hops(states, times.unpacked(moments, len(self._path.points)))
            self._open = _Open(hops, list(self._path.hooks))
            _keep_at_hand(self)
        else:
            self._open = _Open([], [])
        return self._open

    def _at_hand(self) -> _Open:
        """Its hops, to be changed."""
        here = self._open or self._unpack()
        self._growing = self._own = None
        return here

    def add(self, hop: Hop, hook: Optional[str]) -> None:
        """Put a hop at its place: after all of its backend, before later ones of the other.

        The backends are read from two sockets, so the order between them is not that of arrival.
        """
        here = self._at_hand()
        hops = here.hops
        if hops and hops[-1].point.backend != hop.point.backend:
            at = self._place_of(hop, hook)
            hops.insert(at, hop)
            here.hooks.insert(at, hook)
            self._open = _Open(hops, here.hooks)
        else:
            hops.append(hop)
            here.hooks.append(hook)
            here.note(hop.state)

    def add_segment(self, segment: PathSegment) -> bool:
        """Put hops that came as a run at the end; False, and nothing done, where it can't be.

        So it is where any of its hops came alone, or from the other backend.
        """
        here, points = self._growing, segment.step.points
        if here is None:
            if self._open is not None or self._own is not None:
                return False
            here = GrowingPath(points[0].backend)
        if here.backend != points[0].backend or here.length + len(points) > MOST_HOPS:
            return False
        self._growing, self._open = here, None
        here.add(segment)
        return True

    def _place_of(self, hop: Hop, hook: Optional[str]) -> int:
        """Behind how many hops it belongs."""
        at = len(self.hops)
        here = position(hook, hop)
        while here is not None and at and self.hops[at - 1].backend != hop.backend:
            there = position(self.hooks[at - 1], self.hops[at - 1])
            if there is None or there <= here:
                break
            at -= 1
        return at

    def replace(self, other: Packet) -> int:
        """Become what another packet is, all but the id; the number of hops gained."""
        gained = len(other.hops) - len(self.hops)
        self._open = other._open or other._unpack()
        self._growing = self._own = None
        self.ambiguous, self.is_recorded = other.ambiguous, other.is_recorded
        return gained

    def reorder(self, order: Sequence[int]) -> None:
        """Have the hops stand in another order, given as their indices."""
        was_packed = self._own is not None
        here = self._at_hand()
        hops = [here.hops[index] for index in order]
        self._open = _Open(hops, [here.hooks[index] for index in order])
        if was_packed:
            self.pack()

    def place_in(self, placed: Callable[[Hop], Hop]) -> None:
        """Have each hop be what ``placed`` makes of it: at the same place, among other readings."""
        hops = self._at_hand().hops
        hops[:] = [placed(hop) for hop in hops]

    def went_as(self, other: Packet) -> bool:
        """Whether it met the same places as another packet so far."""
        paths = zip(self.hops, other.hops)
        return len(self.hops) == len(other.hops) and all(
            (one.backend, one.family, one.place) == (two.backend, two.family, two.place)
            for one, two in paths
        )

    @property
    def time(self) -> Optional[float]:
        """Seconds since the epoch at the first hop; None if not known."""
        time = self.stamped
        return time if time is not None and SINCE_EPOCH <= time < END_OF_CALENDAR else None

    @property
    def stamped(self) -> Optional[float]:
        """The first hop's time as its source had it (``model.trace.moments``); None for none."""
        here = self._growing
        return self.hops[0].time if here is None else here.oldest

    def hook_of(self, index: int) -> Optional[str]:
        """The hook of a hop, also of one in a user chain; None where it is not known."""
        return self.hooks[index]

    def are_together(self, one: int, other: int) -> bool:
        """Whether two hops are of the same table at the same hook."""
        first, second = self.hops[one], self.hops[other]
        is_same_table = first.table == second.table and first.family == second.family
        is_same_backend = first.backend == second.backend
        return is_same_table and is_same_backend and self.hooks[one] == self.hooks[other]

    def us(self, index: int) -> Optional[int]:
        """Microseconds from the first hop; None where no stamps tell them."""
        return self.stamps()[index]

    def stamps(self) -> list[Optional[int]]:
        """The same for each hop; None where another clock than the first hop's stamped it.

        It never runs backwards. Hops that were all read at once have one time, which tells no
        distance.
        """
        times = self.times
        strange = None if self.is_recorded else self.path.strange_clocks
        if strange is not None:
            times = [None if other else time for time, other in zip(times, strange)]
        start = times[0]
        is_one = len(times) > 1 and times.count(start) == len(times)
        if start is None or is_one:
            return [None] * len(times)
        known = [start if time is None else time for time in times]
        if all(time.is_integer() for time in known):
            return [None] * len(times)
        latest = known if known == sorted(known) else accumulate(known, max)
        stamps: list[Optional[int]] = [round((so_far - start) * 1e6) for so_far in latest]
        if None in times:
            return [None if time is None else us for time, us in zip(times, stamps)]
        return stamps

    def changed(self, index: int) -> dict[str, Value]:
        """The fields first seen with a new value: src sport dst dport ttl mark in out mac."""
        return self.changed_at_each()[index]

    @property
    def mark(self) -> Optional[int]:
        """The mark at the first hop; None for none."""
        return self.first.mark

    @property
    def nat(self) -> Optional[Mapping[str, Value]]:
        """The rewrite of src, sport, dst and dport over the whole path; None if there is none."""
        return self.path.nat

    @property
    def verdict(self) -> str:
        """``accept``, ``drop``, ``reject`` or ``unknown``: only what needs no ruleset to be known.

        nft says it. Legacy says nothing, but from nat there is no way to drop, and after the last
        table of POSTROUTING there is no more to come.
        """
        for hop in self.hops:
            if hop.backend == "nft" and hop.verdict == "drop":
                return "drop"
        last, hook = self.hops[-1], self.hooks[-1]
        if last.point.is_forged or hook not in ("POSTROUTING", "INPUT"):
            return "unknown"
        if last.backend == "nft":
            return "accept" if last.verdict == "accept" else "unknown"
        is_end = last.type == "policy" and (hook == "POSTROUTING" or last.table == "security")
        return "accept" if last.table == "nat" or is_end else "unknown"

    @property
    def is_whole(self) -> bool:
        """Whether the path has its beginning: it starts in raw."""
        hook = self.hooks[0]
        return hook in ("PREROUTING", "OUTPUT") and table_rank(hook, self.hops[0].table) == 0

    @property
    def slowest(self) -> Optional[int]:
        """The hop before which most time passed; None without stamps, or with one hop only."""
        stamps = self.stamps()
        gaps = [
            (after - before, index)
            for index, (before, after) in enumerate(zip(stamps, stamps[1:]), start=1)
            if before is not None and after is not None
        ]
        gap, at = max(gaps, default=(0, 0), key=lambda one: one[0])
        return at if gap > 0 else None

    def changed_at_each(self) -> list[dict[str, Value]]:
        """The changed fields of each hop, as :meth:`changed` has them."""
        seen: dict[str, set[Any]] = {}
        mark = self.hops[0].mark or 0
        result: list[dict[str, Value]] = []
        header: Optional[Header] = None
        around: Optional[tuple[Optional[str], ...]] = None
        for hop in self.hops:
            changes: dict[str, Value] = {}
            devices = (hop.iif, hop.oif, hop.mac)
            if devices != around:
                _note_new(seen, changes, zip(("in", "out", "mac"), devices))
                around = devices
            # All hops of one hook share one header object.
            if hop.header is not header and hop.header is not None:
                header = hop.header
                fields = ((name, getattr(header, name)) for name in _HEADER_FIELDS)
                _note_new(seen, changes, fields)
            if (hop.mark or 0) != mark:
                mark = changes["mark"] = hop.mark or 0
            result.append(changes)
        return result


UNPACKED = 512
"""Packets at hand, beside those that may still get hops: more than a screen shows."""
_unpacked: OrderedDict[Packet, None] = OrderedDict()
"""Each once, the one asked last at the end."""


def _keep_at_hand(packet: Packet) -> None:
    """Have a packet at hand, and the one no longer that was asked for longest ago."""
    _unpacked[packet] = None
    _unpacked.move_to_end(packet)
    while len(_unpacked) > UNPACKED:
        _unpacked.popitem(last=False)[0].pack()


def _note_new(
    seen: dict[str, set[Any]], changes: dict[str, Value], values: Iterable[tuple[str, Value]]
) -> None:
    """Put into ``changes`` what was not seen before, but for what is seen for the first time."""
    for name, value in values:
        if value is None:
            continue
        known = seen.setdefault(name, set())
        if value not in known:
            if known:
                changes[name] = value
            known.add(value)
