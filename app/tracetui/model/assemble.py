"""Hops to packets.

The kernel gives no packet number. A legacy hop shows the whole header each time; an nft event has a
trace id, which later packets of a flow bear again and which can change on the way of one packet,
and shows the header only when a base chain is entered. So packets are known by what no rule changes
on the way, and a hop joins one only where the way of that packet allows it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import islice
from typing import Optional

from tracetui.model.header import Header
from tracetui.model.hop import Hop, Look
from tracetui.model.packet import MOST_HOPS, Packet
from tracetui.model.path import (
    NO_HEADER,
    OTHER_DESTINATION,
    SAME_DESTINATION,
    Standing,
    Steps,
    Track,
)
from tracetui.model.run import Run, identity, is_alike, lasting
from tracetui.model.times import Times, newest, one_time
from tracetui.model.way import Stretch

IDLE_SECONDS = 5.0
"""A packet without a hop for so long gets no more: slow consoles stretch one to half a second."""
OPEN_PACKETS = 8192
"""Packets that may still get hops; beyond, the one idle for longest is closed."""
ALIKE_PACKETS = 64
"""Of them, those that differ in nothing that lasts: answers of a DNS server have no IP ID. Beyond,
the one idle for longest is closed. No more than a node has CPUs are on their way at one moment."""
RIVALS = 8
"""Of packets that look alike, those that moved last and are held against each other."""
NO_FIT, BEST_FIT = 0, 4
PAST_SECONDS = 1.0
"""A packet without a hop for so long is no rival of one that goes on: a retransmission comes later,
the hops of one packet come at once."""
TRACE_IDS = 8
"""A packet is known by the last ones it had: it gets another where the kernel copies it."""


class Assembler:
    """Gives each hop to its packet; it has no clock but the hops' own."""

    def __init__(self, open_packets: int = OPEN_PACKETS) -> None:
        """At most ``open_packets`` may still get hops."""
        self._open_packets = open_packets
        self._last_id = 0
        self._open: OrderedDict[int, _Open] = OrderedDict()
        self._by_identity: dict[Hashable, OrderedDict[int, _Open]] = {}
        self._by_trace_id: dict[int, _Open] = {}
        self._steps = Steps()
        self._moved: Optional[_Open] = None
        """The packet that the last hop was of."""

    def take(self, runs: Iterable[Run], took: Callable[[Packet, int], None]) -> None:
        """Put hops into their packets; ``took`` is called with each packet that got so many.

        It comes to what :meth:`add` comes to with one after the other.
        """
        for run in runs:
            while True:
                first = run.first
                one = self._packet_of(first)
                count = one.add_run(run, self._steps)
                if not count:
                    one.add(first, self._steps)
                    count = 1
                took(one.packet, count)
                if count == len(run.places):
                    break
                run = run.after(count)

    def add(self, hop: Hop) -> Packet:
        """Put a hop into its packet, a new one or one that is open; the packet."""
        one = self._packet_of(hop)
        one.add(hop, self._steps)
        return one.packet

    def _packet_of(self, hop: Hop) -> _Open:
        """The packet that a hop is of, from now on the one that moved last."""
        moved = self._moved
        if moved is not None and moved.goes_on_with(hop):
            return moved
        one = self._find(hop) or self._start(hop)
        if one is not moved:
            self._moved = one
            self._open.move_to_end(one.packet.id)
            one.alike.move_to_end(one.packet.id)
        trace_id = hop.look.trace_id
        if trace_id is not None and self._by_trace_id.get(trace_id) is not one:
            self._name(one, trace_id)
        return one

    @property
    def next_id(self) -> int:
        """The id of the next packet that begins."""
        return self._last_id + 1

    def skip_id(self) -> None:
        """Leave the next id to a packet that came in one piece."""
        self._last_id += 1

    def _find(self, hop: Hop) -> Optional[_Open]:
        current = None
        look = hop.look
        if look.trace_id is not None:
            current = self._by_trace_id.get(look.trace_id)
            if current is not None and self._belongs(current, hop):
                return current
        if look.header is None:
            return None
        alike = self._by_identity.get(identity(look.header))
        if not alike:
            return None
        if len(alike) == 1:
            (one,) = alike.values()
            return one if one is not current and one.accepts(hop) else None
        found, best = None, NO_FIT
        for one in reversed(alike.values()):
            if one is current or not one.accepts(hop):
                continue
            fit = one.fit(hop)
            if fit > best:
                found, best = one, fit
                if fit == BEST_FIT:
                    break
        if found is not None:
            self._note_rivals(found, hop, alike)
        return found

    @staticmethod
    def _note_rivals(chosen: _Open, hop: Hop, alike: OrderedDict[int, _Open]) -> None:
        """Mark packets that the hop can belong to as well as to the chosen one.

        Where they had the same hops so far it makes no difference which of them it is.
        """
        for one in islice(reversed(alike.values()), RIVALS):
            if one is chosen:
                continue
            if one.is_past(hop):
                break
            is_rival = one.accepts(hop) and one.is_bound_for(hop) == chosen.is_bound_for(hop)
            if is_rival and not one.packet.went_as(chosen.packet):
                one.packet.ambiguous = chosen.packet.ambiguous = True

    @staticmethod
    def _belongs(current: _Open, hop: Hop) -> bool:
        """Whether an nft event goes on with the packet its trace id last stood for."""
        if current.is_full:
            return False
        header = hop.look.header
        if header is None:
            return True
        if header is current.seen:
            return current.accepts(hop)
        same = current.header is None or lasting(current.header) == lasting(header)
        return same and current.accepts(hop)

    def _start(self, hop: Hop) -> _Open:
        self._last_id += 1
        alike: OrderedDict[int, _Open] = OrderedDict()
        if hop.header is not None:
            alike = self._by_identity.setdefault(identity(hop.header), alike)
        one = _Open(Packet(self._last_id), hop.header, alike)
        self._open[one.packet.id] = alike[one.packet.id] = one
        if len(alike) > ALIKE_PACKETS:
            self._close(next(iter(alike.values())))
        if len(self._open) > self._open_packets:
            self._close(next(iter(self._open.values())))
        return one

    def _name(self, one: _Open, trace_id: int) -> None:
        """Have a trace id stand for a packet."""
        self._by_trace_id[trace_id] = one
        if trace_id not in one.trace_ids:
            one.trace_ids.append(trace_id)
        if len(one.trace_ids) > TRACE_IDS:
            self._unname(one, one.trace_ids.pop(0))

    def _unname(self, one: _Open, trace_id: int) -> None:
        if self._by_trace_id.get(trace_id) is one:
            del self._by_trace_id[trace_id]

    def _close(self, one: _Open) -> None:
        one.packet.pack()
        if self._moved is one:
            self._moved = None
        del self._open[one.packet.id]
        for trace_id in one.trace_ids:
            self._unname(one, trace_id)
        del one.alike[one.packet.id]
        if one.header is not None and not one.alike:
            del self._by_identity[identity(one.header)]


class _Open:
    """A packet that may still get hops."""

    __slots__ = ("_look", "_tracks", "alike", "header", "packet", "seen", "time", "trace_ids")

    def __init__(
        self, packet: Packet, header: Optional[Header], alike: OrderedDict[int, _Open]
    ) -> None:
        self.packet = packet
        self.header = header
        """The header it is known by."""
        self.alike = alike
        """It and those that can be taken for it, by packet id; the one that moved last is last."""
        self.time: Optional[float] = None
        """Of the hop that came last."""
        self.trace_ids: list[int] = []
        self._look: Optional[Look] = None
        self.seen: Optional[Header] = None
        """The header it showed last."""
        self._tracks = {"legacy": Track(), "nft": Track()}

    @property
    def is_full(self) -> bool:
        """Whether it has so many hops that more of them are another packet's."""
        return self.packet.length >= MOST_HOPS

    def accepts(self, hop: Hop) -> bool:
        """Whether the hop can be one of this packet's."""
        track = self._tracks[hop.at.backend]
        return (
            not self.is_full
            and track.accepts(hop)
            and self._in_time(hop)
            and self._came_from(hop)
            and self._goes_to(hop, track)
        )

    def goes_on_with(self, hop: Hop) -> bool:
        """Whether the hop is surely its next one, as most are; for speed.

        They come together, at one hook, where all of a packet's hops have one look; nft tells the
        header once in a base chain, and a number with the others. A packet that can be taken for
        another is looked at closely.
        """
        look, last = hop[1], self._look
        if look.trace_id is None:
            is_next = look is last and look.header is not None and len(self.alike) == 1
        else:
            # Nothing else can have got the id since: this is the packet that moved last.
            is_same = last is not None and look.trace_id == last.trace_id
            if look.header is None:
                is_next = is_same and look.iif is None
            else:
                is_next = is_same and look.header is self.seen and self._came_from(hop)
        return (
            is_next
            and not self.is_full
            and self._tracks[hop[0].backend].accepts(hop)
            and self._in_time(hop)
        )

    def fit(self, hop: Hop) -> int:
        """How well a hop goes with it, if it accepts it: to BEST_FIT from more than NO_FIT.

        Its destination is what tells most: NAT changes it for one hop of many. Then its hook.
        """
        hook = self._tracks[hop.backend].standing.hook
        return 1 + 2 * self.is_bound_for(hop) + (hook in (hop.hook, None))

    def is_bound_for(self, hop: Hop) -> bool:
        """Whether its destination is the hop's."""
        header = hop.header
        there = self._tracks[hop.backend].destination
        return header is not None and there == (header.dst, header.dport)

    def is_past(self, hop: Hop) -> bool:
        """Whether it has stood still for so long that the hop is rather another's."""
        if hop.time is None or self.time is None:
            return False
        return hop.time - self.time >= PAST_SECONDS

    def add(self, hop: Hop, steps: Steps) -> None:
        """Take the hop in."""
        at, look, time = hop
        backend = at.backend
        track = self._tracks[backend]
        step = steps.after(track.standing, at, look.header is not None)
        (hook,) = step.hooks
        if hook is None and backend == "legacy":
            hook = self._tracks["nft"].standing.hook
        self.packet.add(hop, hook)
        self._moved_to(step.standing, track, look.header, look, time)

    def add_run(self, run: Run, steps: Steps) -> int:
        """Take in the hops at the beginning of a run that surely are its, if the first is its.

        How many those are; none where one of them has to be looked at alone. Most are whole runs.
        nft's ids leave no doubt; without them a packet that looks the same can come between.
        """
        looks = run.looks
        if looks[0].trace_id is None and (len(self.alike) > 1 or looks[0].header is None):
            return 0
        track = self._tracks[run.places[0].backend]
        shown = self._shown(looks, track.destination)
        if len(shown) < len(looks):
            run = run.before(len(shown))
        step = steps.step(track.standing, run, shown)
        size = len(step.places)
        if size < len(run.places):
            looks, times = looks[: step.which[-1] + 1], one_time(run.times[:size])
        else:
            looks, times = run.looks, one_time(run.times)
        if not _are_together(times) or not self.packet.add_stretch(Stretch(step, looks, times)):
            return 0
        header = None
        for look in looks:
            header = look[4] or header
        self._moved_to(step.standing, track, header, looks[-1], newest(times))
        return size

    def _shown(
        self, looks: Sequence[Look], destination: Optional[tuple[Optional[str], Optional[int]]]
    ) -> tuple[int, ...]:
        """What looks show of where it goes (``path.Steps``), up to the first that may not be its.

        The first one is.
        """
        shown: list[int] = []
        iif = None if self._look is None else self.packet.iif
        seen, known = self.seen, self.header
        is_named = looks[0].trace_id is not None
        for look in looks:
            header, device = look[4], look[0]
            if header is None:
                shown.append(NO_HEADER)
                iif = iif or device
                continue
            if shown:
                is_strange = iif is not None and device is not None and device != iif
                if is_strange or (header is not seen and not _is_it(known, header, is_named)):
                    break
            there = header[3], header[5]
            is_same = destination is None or there == destination
            shown.append(SAME_DESTINATION if is_same else OTHER_DESTINATION)
            destination, seen, iif = there, header, iif or device
        return tuple(shown)

    def _moved_to(
        self,
        standing: Standing,
        track: Track,
        header: Optional[Header],
        look: Look,
        time: Optional[float],
    ) -> None:
        track.advance(standing, header)
        self._look = look
        self.seen = header or self.seen
        self.time = time if time is not None else self.time

    def _in_time(self, hop: Hop) -> bool:
        if hop.time is None or self.time is None:
            return True
        return abs(hop.time - self.time) <= IDLE_SECONDS

    def _came_from(self, hop: Hop) -> bool:
        iif = hop.look.iif
        return iif is None or self.packet.iif is None or iif == self.packet.iif

    def _goes_to(self, hop: Hop, track: Track) -> bool:
        """Whether the destination is one this packet had, or can have got since."""
        header = hop.look.header
        if header is None:
            return True
        other = self._tracks["nft" if hop.at.backend == "legacy" else "legacy"]
        if (header.dst, header.dport) == other.destination:
            return True
        if track.standing.is_empty:
            # The other backend may be ahead of this one, or behind it.
            return True
        return track.accepts_destination(hop)


def _is_it(known: Optional[Header], header: Header, is_named: bool) -> bool:
    """Whether a packet known by one header can show another, which a trace id names or none."""
    if known is None:
        return is_named
    return lasting(known) == lasting(header) if is_named else is_alike(known, header)


def _are_together(times: Times) -> bool:
    """Whether no two of the times are further apart than the hops of one packet can be."""
    if not isinstance(times, tuple):
        return True
    known = [time for time in times if time is not None]
    return max(known) - min(known) <= IDLE_SECONDS
