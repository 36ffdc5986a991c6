"""A packet that may still get hops: which of them it accepts, and how far they brought it."""

from __future__ import annotations

from collections import OrderedDict
from typing import Optional

from tracetui.model.trace.batch import HopBatch
from tracetui.model.trace.header import Header, is_alike, is_to_many, lasting
from tracetui.model.trace.hop import Hop, PacketState
from tracetui.model.trace.packet import MOST_HOPS, Packet
from tracetui.model.trace.path import PathSegment
from tracetui.model.trace.times import Times, one_time
from tracetui.model.trace.trace_point import TracePoint
from tracetui.model.trace.traversal import (
    NO_HEADER,
    OTHER_DESTINATION,
    SAME_DESTINATION,
    BackendCursor,
    Transitions,
    TraversalState,
)

IDLE_SECONDS = 5.0
"""A packet without a hop for so long gets no more: slow consoles stretch one to half a second."""
PAST_SECONDS = 1.0
"""A packet without a hop for so long is no rival of one that goes on: a retransmission comes later,
the hops of one packet come at once."""
NO_FIT, BEST_FIT = 0, 4
_IS_LOCAL = {"OUTPUT": True, "PREROUTING": False, "INPUT": False, "FORWARD": False}
"""By hook of IP: whether packets there were sent by this node. One traversal is of one sort, and
loopback's second one begins at PREROUTING (net/ipv4/ip_output.c, net/ipv4/ip_input.c)."""


class OpenPacket:
    """A packet that may still get hops."""

    __slots__ = (
        "_devices", "_is_local", "_state", "_tracks", "alike", "header", "packet", "seen", "time",
        "trace_ids",
    )  # fmt: skip

    def __init__(
        self, packet: Packet, header: Optional[Header], alike: OrderedDict[int, OpenPacket]
    ) -> None:
        self.packet = packet
        self.header = header
        """The header it is known by."""
        self.alike = alike
        """It and those that can be taken for it, by packet id; the one that moved last is last."""
        self.time: Optional[float] = None
        """Of the hop that came last."""
        self.trace_ids: list[int] = []
        self._state: Optional[PacketState] = None
        self._devices: dict[str, str] = {}
        """The first in-interface seen in each layer."""
        self._is_local: Optional[bool] = None
        """Whether this node sent it; None while no hook tells."""
        self.seen: Optional[Header] = None
        """The header it showed last."""
        self._tracks = {"legacy": BackendCursor(), "nft": BackendCursor()}

    @property
    def is_full(self) -> bool:
        """Whether it has so many hops that more of them are another packet's."""
        return self.packet.length >= MOST_HOPS

    def accepts(self, hop: Hop) -> bool:
        """Whether the hop can be one of this packet's."""
        track = self._tracks[hop.point.backend]
        return (
            not self.is_full
            and track.accepts(hop)
            and self._in_time(hop)
            and self._is_of_one_sort(hop, track)
            and self._came_from(hop)
            and self._goes_to(hop, track)
            and not self._is_other_copy(hop)
        )

    def goes_on_with(self, hop: Hop) -> bool:
        """Whether the hop is surely its next one, as most are; for speed.

        They come together, at one hook, where all of a packet's hops have one look; nft tells the
        header once in a base chain, and a number with the others. A packet that can be taken for
        another is looked at closely.
        """
        state, last = hop[1], self._state
        if state.trace_id is None:
            is_next = state is last and state.header is not None and len(self.alike) == 1
        else:
            # Nothing else can have got the id since: this is the packet that moved last.
            is_same = last is not None and state.trace_id == last.trace_id
            if state.header is None:
                is_next = is_same and state.iif is None
            else:
                is_next = is_same and state.header is self.seen and self._came_from(hop)
        if not is_next or self.is_full:
            return False
        track = self._tracks[hop[0].backend]
        return track.accepts(hop) and self._in_time(hop) and self._is_of_one_sort(hop, track)

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

    def add(self, hop: Hop, steps: Transitions) -> None:
        """Take the hop in."""
        at, state, time = hop
        backend = at.backend
        track = self._tracks[backend]
        step = steps.after(track.standing, at, state.header is not None)
        (hook,) = step.hooks
        if hook is None and backend == "legacy":
            hook = self._tracks["nft"].standing.hook
        self.packet.add(hop, hook)
        if state.iif is not None:
            self._devices.setdefault(at.layer, state.iif)
        self._note_hook(at, hook)
        self._moved_to(step.standing, track, state.header, state, time)

    def add_run(self, run: HopBatch, steps: Transitions) -> int:
        """Take in the hops at the beginning of a run that surely are its, if the first is its.

        How many those are; none where one of them has to be looked at alone. Most are whole runs.
        nft's ids leave no doubt; without them a packet that looks the same can come between.
        """
        states = run.states
        if states[0].trace_id is None and (len(self.alike) > 1 or states[0].header is None):
            return 0
        track = self._tracks[run.points[0].backend]
        shown, devices = self._shown(run, track.destination)
        if len(shown) < len(states):
            run = run.before(len(shown))
            devices = self._devices_of(run, len(shown))
        step = steps.step(track.standing, run, shown)
        size = len(step.points)
        if size < len(run.points):
            states, times = states[: step.which[-1] + 1], one_time(run.times[:size])
            devices = self._devices_of(run, len(states))
        else:
            states, times = run.states, one_time(run.times)
        segment = PathSegment(step, states, times)
        if not _are_together(times) or not self.packet.add_segment(segment):
            return 0
        header = None
        for state in states:
            header = state[4] or header
        self._devices = devices
        self._note_hook(step.points[0], step.hooks[0])
        last = times[-1] if isinstance(times, tuple) else times
        self._moved_to(step.standing, track, header, states[-1], last)
        return size

    def _shown(
        self, run: HopBatch, destination: Optional[tuple[Optional[str], Optional[int]]]
    ) -> tuple[tuple[int, ...], dict[str, str]]:
        """What looks show of where it goes (``path.Steps``), up to the first that may not be its.

        The first one is. With the in-interfaces by layer, behind all of them.
        """
        shown: list[int] = []
        devices, points, at = self._devices, run.points, 0
        seen, known = self.seen, self.header
        is_named = run.states[0].trace_id is not None
        for state, count in zip(run.states, run.counts):
            header, device, before = state[4], state[0], None
            if device is not None:
                layer = points[at].layer
                before = devices.get(layer)
                if before is None:
                    devices, before = {**devices, layer: device}, device
            at += count
            if header is None:
                shown.append(NO_HEADER)
                continue
            is_same = header is seen or not shown
            if shown and (device != before or not (is_same or _is_it(known, header, is_named))):
                break
            there = header[3], header[5]
            is_same = destination is None or there == destination
            shown.append(SAME_DESTINATION if is_same else OTHER_DESTINATION)
            destination, seen = there, header
        return tuple(shown), devices

    def _devices_of(self, run: HopBatch, pieces: int) -> dict[str, str]:
        """The in-interfaces by layer, behind so many pieces of a run."""
        devices, at = dict(self._devices), 0
        for state, count in zip(run.states[:pieces], run.counts):
            if state[0] is not None:
                devices.setdefault(run.points[at].layer, state[0])
            at += count
        return devices

    def _moved_to(
        self,
        standing: TraversalState,
        track: BackendCursor,
        header: Optional[Header],
        state: PacketState,
        time: Optional[float],
    ) -> None:
        track.advance(standing, header)
        self._state = state
        self.seen = header or self.seen
        self.time = time if time is not None else self.time

    def _note_hook(self, at: TracePoint, hook: Optional[str]) -> None:
        if self._is_local is None and at.layer == "ip":
            self._is_local = _IS_LOCAL.get(hook or "")

    def _is_of_one_sort(self, hop: Hop, track: BackendCursor) -> bool:
        """Whether the hop can be of a traversal that began as this one did, whatever backend."""
        if self._is_local is None or hop.point.layer != "ip":
            return True
        hook = track.standing.hook_of(hop.point, hop.state.header is not None)
        return _IS_LOCAL.get(hook or "", self._is_local) == self._is_local

    def _in_time(self, hop: Hop) -> bool:
        if hop.time is None or self.time is None:
            return True
        return abs(hop.time - self.time) <= IDLE_SECONDS

    def _came_from(self, hop: Hop) -> bool:
        iif = hop.state.iif
        return iif is None or self._devices.get(hop.point.layer, iif) == iif

    def _is_other_copy(self, hop: Hop) -> bool:
        """Whether the hop is of another copy of what this node sends to many.

        The one that loops back passes POSTROUTING first, with an id of its own
        (net/ipv4/ip_output.c, ip_mc_output; net/ipv6/ip6_output.c).
        """
        number, header = hop.state.trace_id, hop.state.header
        is_known = number is None or not self.trace_ids or number in self.trace_ids
        return not is_known and not self._devices and header is not None and is_to_many(header.dst)

    def _goes_to(self, hop: Hop, track: BackendCursor) -> bool:
        """Whether the destination is one this packet had, or can have got since."""
        header = hop.state.header
        if header is None:
            return True
        other = self._tracks["nft" if hop.point.backend == "legacy" else "legacy"]
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
    """Whether no two of the times are further apart than the hops of one packet can be.

    Where some are not known, each has to be looked at alone.
    """
    if not isinstance(times, tuple):
        return True
    known = [time for time in times if time is not None]
    return len(known) == len(times) and max(known) - min(known) <= IDLE_SECONDS
