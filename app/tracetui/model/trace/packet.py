"""One traversal of one packet: its hops in path order, and what they add up to."""

from __future__ import annotations

import marshal
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, Optional

from tracetui.model.trace import times
from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import END_OF_CALENDAR, SINCE_EPOCH, Hop, PacketState
from tracetui.model.trace.path import Own, Path, own, path_of
from tracetui.model.trace.path_template import Value
from tracetui.model.trace.trace_point import TracePoint
from tracetui.model.trace.traversal import Transition, position, table_rank

MOST_HOPS = 1024
"""Hops of one packet at most: a traversal shows tens, or hundreds where a CNI writes the rules.
More than this is no traversal, but something that comes again and again."""

_HEADER_FIELDS = ("src", "sport", "dst", "dport", "ttl")


class _PacketColumns:
    """The hops of a packet at hand, a list for each field."""

    __slots__ = ("hooks", "points", "state_numbers", "states", "times")

    def __init__(self) -> None:
        self.points: list[TracePoint] = []
        self.hooks: list[Optional[str]] = []
        self.states: list[PacketState] = []
        """Each for some hops, in the order of the hops; one can stand here more than once."""
        self.state_numbers: list[int] = []
        """For each hop, the index of its state."""
        self.times: list[Optional[float]] = []

    @classmethod
    def of(cls, hops: Sequence[Hop], hooks: Iterable[Optional[str]]) -> _PacketColumns:
        """The columns of hops."""
        columns = cls()
        columns.hooks += hooks
        for point, state, time in hops:
            columns.points.append(point)
            columns.times.append(time)
            if not columns.states or state is not columns.states[-1]:
                columns.states.append(state)
            columns.state_numbers.append(len(columns.states) - 1)
        return columns

    def add(
        self,
        transition: Transition,
        hooks: Iterable[Optional[str]],
        states: Sequence[PacketState],
        moments: Iterable[Optional[float]],
    ) -> None:
        """Put the hops of a transition behind all that there are."""
        first = len(self.states)
        numbers = transition.state_numbers
        self.points += transition.points
        self.hooks += hooks
        self.states += states
        self.state_numbers += [first + number for number in numbers] if first else numbers
        self.times += moments

    @property
    def hops(self) -> list[Hop]:
        """The hops."""
        states = map(self.states.__getitem__, self.state_numbers)
        return list(map(Hop, self.points, states, self.times))

    @property
    def path(self) -> Path:
        """The path of the hops."""
        return path_of(self.points, self.hooks, self.states, self.state_numbers)


class Packet:
    """The hops of one traversal; it grows while they arrive.

    While it grows there is a list for each field; :meth:`pack` keeps it as its path and the
    packet's own values, which takes far less memory. The lists, and hops, are made of those when
    they are asked for, and kept for the COLUMNS_KEPT packets that were asked last.
    """

    __slots__ = ("_columns", "_hops", "_own", "_path", "ambiguous", "id", "is_recorded")

    def __init__(self, packet_id: int) -> None:
        self.id = packet_id
        """Counts from 1 in the order in which packets began."""
        self.ambiguous = False
        """Whether hops of it can be another packet's, one that looked the same and traversed at
        the same time, or the reverse."""
        self.is_recorded = False
        """Whether it was read from a record, which says what distances are known."""
        self._columns: Optional[_PacketColumns] = _PacketColumns()
        self._hops: Optional[list[Hop]] = None
        self._path: Optional[Path] = None
        """None where hops came since it was found."""
        self._own: Optional[bytes] = None
        """The packet's own values, which are not in the path; None where hops came since."""

    @property
    def hops(self) -> list[Hop]:
        """The hops in path order; not to be changed."""
        if self._hops is None:
            self._hops = self._at_hand().hops
        return self._hops

    @property
    def length(self) -> int:
        """The number of hops."""
        return len(self.path.points if self._columns is None else self._columns.points)

    @property
    def newest(self) -> Optional[float]:
        """The time of the last hop, as :attr:`Hop.time` has it."""
        return self.times[-1]

    @property
    def first(self) -> PacketState:
        """The packet's state at the first hop."""
        return self._at_hand().states[0]

    @property
    def times(self) -> Sequence[Optional[float]]:
        """The time of each hop, as :attr:`Hop.time` has it."""
        return self._at_hand().times

    @property
    def hooks(self) -> Sequence[Optional[str]]:
        """The hook of each hop, as :meth:`hook_of` has it."""
        return self._at_hand().hooks

    @property
    def header(self) -> Optional[Header]:
        """The header of the first hop that shows one."""
        for state in self._at_hand().states:
            if state[4] is not None:
                return state[4]
        return None

    @property
    def iif(self) -> Optional[str]:
        """The first in-interface."""
        return self.path.iif

    @property
    def oif(self) -> Optional[str]:
        """The last out-interface."""
        return self.path.oif

    @property
    def path(self) -> Path:
        """The part that packets of its flow share."""
        if self._path is None:
            self._path = self._at_hand().path
        return self._path

    def pack(self) -> None:
        """Keep the hops as the path and the packet's own values; they stay the same."""
        if self._own is None:
            columns = self._at_hand()
            states = _own_of_each(self.path, columns)
            value: Any = (states, times.packed(columns.times))
            self._own = marshal.dumps(value)
        self._columns = self._hops = None

    def _at_hand(self) -> _PacketColumns:
        if self._columns is None:
            path, packed = self.path, self._own or b""
            states, moments = marshal.loads(packed)  # noqa: S302 - written by this process
            each = times.unpacked(moments, len(path.points))
            hops = map(Hop, path.points, path.states(states), each)
            self._columns = _PacketColumns.of(list(hops), path.hooks)
            _keep_at_hand(self)
        return self._columns

    def _to_change(self) -> _PacketColumns:
        columns = self._at_hand()
        self._hops = self._path = self._own = None
        return columns

    def ends_in(self, backend: str) -> bool:
        """Whether a hop of this backend belongs behind all that there are."""
        points = self._at_hand().points
        return not points or points[-1].backend == backend

    def extend(
        self,
        transition: Transition,
        hooks: Iterable[Optional[str]],
        states: Sequence[PacketState],
        moments: Iterable[Optional[float]],
    ) -> None:
        """Put the hops of a transition behind all that there are; see :meth:`ends_in`.

        ``hooks`` and ``moments`` are of each hop, ``states`` those that the transition numbers.
        """
        self._to_change().add(transition, hooks, states, moments)

    def add(self, hop: Hop, hook: Optional[str]) -> None:
        """Put a hop at its place: after all of its backend, before later ones of the other.

        The backends are read from two sockets, so the order between them is not that of arrival.
        """
        index = self._index_for(hop, hook)
        hops, hooks = [*self.hops], [*self.hooks]
        hops.insert(index, hop)
        hooks.insert(index, hook)
        self._set(hops, hooks)

    def _index_for(self, hop: Hop, hook: Optional[str]) -> int:
        """The number of hops that a hop belongs behind."""
        hops, index = self.hops, self.length
        own = position(hook, hop)
        while own is not None and index and hops[index - 1].backend != hop.backend:
            other = position(self.hooks[index - 1], hops[index - 1])
            if other is None or other <= own:
                break
            index -= 1
        return index

    def replace(self, other: Packet) -> int:
        """Become what another packet is, all but the id; the number of hops gained."""
        gained = other.length - self.length
        self._set(other.hops, other.hooks)
        self.ambiguous, self.is_recorded = other.ambiguous, other.is_recorded
        return gained

    def reorder(self, order: Sequence[int]) -> None:
        """Have the hops stand in another order, given as their indices."""
        was_packed = self._own is not None
        hops, hooks = self.hops, self.hooks
        self._set([hops[index] for index in order], [hooks[index] for index in order])
        if was_packed:
            self.pack()

    def place_in(self, placed: Callable[[Hop], Hop]) -> None:
        """Have each hop be ``placed(hop)``: at the same trace point, in another interval."""
        self._set([placed(hop) for hop in self.hops], self.hooks)

    def _set(self, hops: Sequence[Hop], hooks: Iterable[Optional[str]]) -> None:
        self._columns = _PacketColumns.of(hops, hooks)
        self._hops = self._path = self._own = None

    def went_as(self, other: Packet) -> bool:
        """Whether it met the same trace points as another packet so far."""
        pairs = zip(self.hops, other.hops)
        return self.length == other.length and all(
            (hop.backend, hop.family, hop.place) == (twin.backend, twin.family, twin.place)
            for hop, twin in pairs
        )

    @property
    def time(self) -> Optional[float]:
        """Seconds since the epoch at the first hop; None if not known."""
        time = self.stamped
        return time if time is not None and SINCE_EPOCH <= time < END_OF_CALENDAR else None

    @property
    def stamped(self) -> Optional[float]:
        """The first hop's time as its source had it (``model.trace.moments``); None for none."""
        return self.times[0]

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
        """Microseconds from the first hop to each; None where another clock stamped it.

        They never run backwards. Hops that were all read at once have one time, which tells no
        distance.
        """
        times = list(self.times)
        others = None if self.is_recorded else self.path.other_clocks
        if others is not None:
            times = [None if is_other else time for time, is_other in zip(times, others)]
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


def _own_of_each(path: Path, columns: _PacketColumns) -> list[Own]:
    """The own fields of each of a path's states."""
    fields: list[Own] = []
    for number, index in zip(path.state_numbers, columns.state_numbers):
        if number == len(fields):
            fields.append(own(columns.states[index]))
    return fields


COLUMNS_KEPT = 512
"""Packed packets whose hops are at hand: more than a screen shows."""
_kept_at_hand: OrderedDict[Packet, None] = OrderedDict()
"""Each once, the one asked last at the end."""


def _keep_at_hand(packet: Packet) -> None:
    """Have a packet's hops at hand, and those of the one no more that was asked longest ago."""
    _kept_at_hand[packet] = None
    _kept_at_hand.move_to_end(packet)
    while len(_kept_at_hand) > COLUMNS_KEPT:
        _kept_at_hand.popitem(last=False)[0].pack()


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
