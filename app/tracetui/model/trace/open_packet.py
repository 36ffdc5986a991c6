"""A packet that may still get hops: which of them it accepts, and how far they brought it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Optional

from tracetui.model.trace.batch import HopBatch
from tracetui.model.trace.header import Header, is_alike, is_to_many, lasting
from tracetui.model.trace.hop import Hop, PacketState
from tracetui.model.trace.packet import MOST_HOPS, Packet
from tracetui.model.trace.traversal import (
    IS_LOCAL,
    NO_HEADER,
    OTHER_DESTINATION,
    SAME_DESTINATION,
    BackendCursor,
    Transition,
    Transitions,
    TraversalState,
)

IDLE_SECONDS = 5.0
"""A packet without a hop for so long gets no more: slow consoles stretch one to half a second."""
PAST_SECONDS = 1.0
"""A packet without a hop for so long is no rival of one that goes on: a retransmission comes later,
the hops of one packet come at once."""
NO_FIT, BEST_FIT = 0, 4


class OpenPacket:
    """A packet that may still get hops."""

    __slots__ = (
        "_cursors",
        "_devices",
        "_is_local",
        "_state",
        "alike",
        "header",
        "packet",
        "seen",
        "time",
        "trace_ids",
    )  # fmt: skip

    def __init__(
        self, packet: Packet, header: Optional[Header], alike: OrderedDict[int, OpenPacket]
    ) -> None:
        self.packet = packet
        self.header = header
        """The header it is known by."""
        self.alike = alike
        """Those that can be taken for this packet, and itself, by id; the last one moved last."""
        self.time: Optional[float] = None
        """The time of the hop that came last."""
        self.trace_ids: list[int] = []
        self._state: Optional[PacketState] = None
        self._devices: dict[str, str] = {}
        """The first in-interface seen in each layer."""
        self._is_local: Optional[bool] = None
        """Whether this node sent it; None while no hook tells."""
        self.seen: Optional[Header] = None
        """The header it showed last."""
        self._cursors = {"legacy": BackendCursor(), "nft": BackendCursor()}

    @property
    def is_full(self) -> bool:
        """Whether it has so many hops that more of them are another packet's."""
        return self.packet.length >= MOST_HOPS

    def accepts(self, hop: Hop) -> bool:
        """Whether the hop can be one of this packet's."""
        cursor = self._cursors[hop.point.backend]
        return (
            not self.is_full
            and cursor.accepts(hop)
            and self._in_time(hop)
            and self._is_of_one_sort(hop, cursor)
            and self._came_from(hop)
            and self._goes_to(hop, cursor)
            and not self._is_other_copy(hop)
        )

    def goes_on_with(self, hop: Hop) -> bool:
        """Whether the hop is surely its next one, as most are; for speed.

        They come together, at one hook, where all of a packet's hops have one state; nft tells the
        header once in a base chain, and a number with the others. A packet that can be taken for
        another is examined closely.
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
        cursor = self._cursors[hop[0].backend]
        return cursor.accepts(hop) and self._in_time(hop) and self._is_of_one_sort(hop, cursor)

    def fit(self, hop: Hop) -> int:
        """How well a hop goes with it, if it accepts it: to BEST_FIT from more than NO_FIT.

        Its destination is what tells most: NAT changes it for one hop of many. Then its hook.
        """
        hook = self._cursors[hop.backend].traversal.hook
        return 1 + 2 * self.is_bound_for(hop) + (hook in (hop.hook, None))

    def is_bound_for(self, hop: Hop) -> bool:
        """Whether its destination is the hop's."""
        header = hop.header
        there = self._cursors[hop.backend].destination
        return header is not None and there == (header.dst, header.dport)

    def is_past(self, hop: Hop) -> bool:
        """Whether it has stood still for so long that the hop is rather another's."""
        if hop.time is None or self.time is None:
            return False
        return hop.time - self.time >= PAST_SECONDS

    def add(self, batch: HopBatch, transitions: Transitions) -> int:
        """Take in the hops at the beginning of a batch that surely are the packet's; their number.

        The first one is. Most are whole batches.
        """
        backend = batch.points[0].backend
        cursor = self._cursors[backend]
        if not self._may_take_several(batch):
            batch = batch.head()
        shown, devices = self._shown(batch, cursor.destination)
        transition = transitions.of(cursor.traversal, batch, shown)
        if len(batch.points) > 1 and not self._is_of_one_origin(transition):
            batch = batch.head()
            shown, devices = self._shown(batch, cursor.destination)
            transition = transitions.of(cursor.traversal, batch, shown)
        size = len(transition.points)
        states, numbers, moments = batch.states, transition.state_numbers, batch.times
        if size < len(batch.points):
            states, moments = states[: numbers[-1] + 1], moments[:size]
            devices = self._devices_of(batch, len(states))
        hooks = self._known_hooks(transition.hooks, backend)
        if self.packet.ends_in(backend):
            self.packet.extend(transition, hooks, states, moments)
        else:
            self.packet.add(batch.first, hooks[0])
        self._devices = devices
        if self._is_local is None and len(transition.origins) == 1:
            (self._is_local,) = transition.origins
        header = next((state[4] for state in reversed(states) if state[4] is not None), None)
        self._moved_to(transition.traversal, cursor, header, states[-1], _last_known(moments))
        return size

    def _is_of_one_origin(self, transition: Transition) -> bool:
        """Whether hops and the packet agree on whether this node sent it, whatever backend."""
        known = () if self._is_local is None else (self._is_local,)
        return len(transition.origins.union(known)) < 2

    def _may_take_several(self, batch: HopBatch) -> bool:
        """Whether hops behind the first of a batch need not be looked at one by one.

        nft's ids leave no doubt; without them a packet that looks the same can come between.
        """
        size, state = len(batch.points), batch.states[0]
        return (
            size > 1
            and (state.trace_id is not None or (len(self.alike) == 1 and state.header is not None))
            and self.packet.ends_in(batch.points[0].backend)
            and self.packet.length + size <= MOST_HOPS
            and _are_together(batch.times)
        )

    def _known_hooks(
        self, hooks: tuple[Optional[str], ...], backend: str
    ) -> tuple[Optional[str], ...]:
        """Hooks of hops, each as its place tells it or, of legacy, as nft's last hop does."""
        known = self._cursors["nft"].traversal.hook if backend == "legacy" else None
        if known is None or None not in hooks:
            return hooks
        return tuple([known if hook is None else hook for hook in hooks])

    def _shown(
        self, batch: HopBatch, destination: Optional[tuple[Optional[str], Optional[int]]]
    ) -> tuple[tuple[int, ...], dict[str, str]]:
        """How states show the destination, up to the first that may be another packet's.

        The first one is this packet's. With the in-interfaces by layer, behind all of them.
        """
        shown: list[int] = []
        devices, points, index = self._devices, batch.points, 0
        seen, known = self.seen, self.header
        is_named = batch.states[0].trace_id is not None
        for state, count in zip(batch.states, batch.counts):
            header, device, before = state[4], state[0], None
            if device is not None:
                layer = points[index].layer
                before = devices.get(layer)
                if before is None:
                    devices, before = {**devices, layer: device}, device
            index += count
            if header is None:
                shown.append(NO_HEADER)
                continue
            is_same = header is seen or not shown
            if shown and (device != before or not (is_same or _is_it(known, header, is_named))):
                return tuple(shown), self._devices_of(batch, len(shown))
            there = header[3], header[5]
            is_same = destination is None or there == destination
            shown.append(SAME_DESTINATION if is_same else OTHER_DESTINATION)
            destination, seen = there, header
        return tuple(shown), devices

    def _devices_of(self, batch: HopBatch, states: int) -> dict[str, str]:
        """The in-interfaces by layer, behind the first so many states of a batch."""
        devices, index = dict(self._devices), 0
        for state, count in zip(batch.states[:states], batch.counts):
            if state[0] is not None:
                devices.setdefault(batch.points[index].layer, state[0])
            index += count
        return devices

    def _moved_to(
        self,
        traversal: TraversalState,
        cursor: BackendCursor,
        header: Optional[Header],
        state: PacketState,
        time: Optional[float],
    ) -> None:
        cursor.advance(traversal, header)
        self._state = state
        self.seen = header or self.seen
        self.time = time if time is not None else self.time

    def _is_of_one_sort(self, hop: Hop, cursor: BackendCursor) -> bool:
        """Whether the hop can be of a traversal that began as this one did, whatever backend."""
        if self._is_local is None or hop.point.layer != "ip":
            return True
        hook = cursor.traversal.hook_of(hop.point, hop.state.header is not None)
        return IS_LOCAL.get(hook or "", self._is_local) == self._is_local

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

    def _goes_to(self, hop: Hop, cursor: BackendCursor) -> bool:
        """Whether the destination is one this packet had, or can have got since."""
        header = hop.state.header
        if header is None:
            return True
        other = self._cursors["nft" if hop.point.backend == "legacy" else "legacy"]
        if (header.dst, header.dport) == other.destination:
            return True
        if cursor.traversal.is_empty:
            # The other backend may be ahead of this one, or behind it.
            return True
        return cursor.accepts_destination(hop)


def _is_it(known: Optional[Header], header: Header, is_named: bool) -> bool:
    """Whether a packet known by one header can show another, which a trace id names or none."""
    if known is None:
        return is_named
    return lasting(known) == lasting(header) if is_named else is_alike(known, header)


def _are_together(moments: Sequence[Optional[float]]) -> bool:
    """Whether no two of the times are further apart than the hops of one packet can be.

    Where some are not known, each hop has to be looked at alone.
    """
    if moments.count(moments[0]) == len(moments):
        return True
    known = [moment for moment in moments if moment is not None]
    return len(known) == len(moments) and max(known) - min(known) <= IDLE_SECONDS


def _last_known(moments: Sequence[Optional[float]]) -> Optional[float]:
    return next((moment for moment in reversed(moments) if moment is not None), None)
