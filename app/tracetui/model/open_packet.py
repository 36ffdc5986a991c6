"""A packet that may still get hops: which of them it accepts, and how far they brought it."""

from __future__ import annotations

from collections import OrderedDict
from typing import Optional

from tracetui.model.header import Header, is_alike, is_to_many, lasting
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
from tracetui.model.place import Place
from tracetui.model.run import Run
from tracetui.model.times import Times, one_time
from tracetui.model.way import Stretch

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
        "_devices", "_is_local", "_look", "_tracks", "alike", "header", "packet", "seen", "time",
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
        self._look: Optional[Look] = None
        self._devices: dict[str, str] = {}
        """The first in-interface seen in each layer."""
        self._is_local: Optional[bool] = None
        """Whether this node sent it; None while no hook tells."""
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
        if look.iif is not None:
            self._devices.setdefault(at.layer, look.iif)
        self._note_hook(at, hook)
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
        shown, devices = self._shown(run, track.destination)
        if len(shown) < len(looks):
            run = run.before(len(shown))
            devices = self._devices_of(run, len(shown))
        step = steps.step(track.standing, run, shown)
        size = len(step.places)
        if size < len(run.places):
            looks, times = looks[: step.which[-1] + 1], one_time(run.times[:size])
            devices = self._devices_of(run, len(looks))
        else:
            looks, times = run.looks, one_time(run.times)
        if not _are_together(times) or not self.packet.add_stretch(Stretch(step, looks, times)):
            return 0
        header = None
        for look in looks:
            header = look[4] or header
        self._devices = devices
        self._note_hook(step.places[0], step.hooks[0])
        last = times[-1] if isinstance(times, tuple) else times
        self._moved_to(step.standing, track, header, looks[-1], last)
        return size

    def _shown(
        self, run: Run, destination: Optional[tuple[Optional[str], Optional[int]]]
    ) -> tuple[tuple[int, ...], dict[str, str]]:
        """What looks show of where it goes (``path.Steps``), up to the first that may not be its.

        The first one is. With the in-interfaces by layer, behind all of them.
        """
        shown: list[int] = []
        devices, places, at = self._devices, run.places, 0
        seen, known = self.seen, self.header
        is_named = run.looks[0].trace_id is not None
        for look, count in zip(run.looks, run.counts):
            header, device, before = look[4], look[0], None
            if device is not None:
                layer = places[at].layer
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

    def _devices_of(self, run: Run, pieces: int) -> dict[str, str]:
        """The in-interfaces by layer, behind so many pieces of a run."""
        devices, at = dict(self._devices), 0
        for look, count in zip(run.looks[:pieces], run.counts):
            if look[0] is not None:
                devices.setdefault(run.places[at].layer, look[0])
            at += count
        return devices

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

    def _note_hook(self, at: Place, hook: Optional[str]) -> None:
        if self._is_local is None and at.layer == "ip":
            self._is_local = _IS_LOCAL.get(hook or "")

    def _is_of_one_sort(self, hop: Hop, track: Track) -> bool:
        """Whether the hop can be of a traversal that began as this one did, whatever backend."""
        if self._is_local is None or hop.at.layer != "ip":
            return True
        hook = track.standing.hook_of(hop.at, hop.look.header is not None)
        return _IS_LOCAL.get(hook or "", self._is_local) == self._is_local

    def _in_time(self, hop: Hop) -> bool:
        if hop.time is None or self.time is None:
            return True
        return abs(hop.time - self.time) <= IDLE_SECONDS

    def _came_from(self, hop: Hop) -> bool:
        iif = hop.look.iif
        return iif is None or self._devices.get(hop.at.layer, iif) == iif

    def _is_other_copy(self, hop: Hop) -> bool:
        """Whether the hop is of another copy of what this node sends to many.

        The one that loops back passes POSTROUTING first, with an id of its own
        (net/ipv4/ip_output.c, ip_mc_output; net/ipv6/ip6_output.c).
        """
        number, header = hop.look.trace_id, hop.look.header
        is_known = number is None or not self.trace_ids or number in self.trace_ids
        return not is_known and not self._devices and header is not None and is_to_many(header.dst)

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
    """Whether no two of the times are further apart than the hops of one packet can be.

    Where some are not known, each has to be looked at alone.
    """
    if not isinstance(times, tuple):
        return True
    known = [time for time in times if time is not None]
    return len(known) == len(times) and max(known) - min(known) <= IDLE_SECONDS
