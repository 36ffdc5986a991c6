"""What packets have in common that everything said of them rests on: most are like one before.

Packets of one flow pass the same places and look the same there, but for what tells one from the
other: its number, its length, its flags. The common part is one object, so what follows from it
(an explanation, an answer to a filter, a text) is found once, and kept once in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Optional
from weakref import WeakValueDictionary

from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import Hop, PacketState
from tracetui.model.trace.memo import Memo
from tracetui.model.trace.path_template import ADDRESSES, PathTemplate, Traits, Value, path_template
from tracetui.model.trace.times import Times
from tracetui.model.trace.trace_point import TracePoint
from tracetui.model.trace.traversal import Transition

KEPT = 2048
"""Ways remembered that came as runs; batches cut runs, so one way comes as several."""
Own = tuple[object, ...]
"""What is a packet's own of one look; the rest is in the traits."""


class Path:
    """The places of a packet's hops and their hooks, and how it looked there.

    Ways that are the same are one object: they compare, and hash, by that. An explanation rests on
    nothing else of a packet, but for the node's settings when it came, and neither does a filter,
    but for a length.
    """

    __slots__ = (
        "__weakref__", "_pattern", "hooks", "nat", "points", "states", "strange_clocks", "traits",
    )  # fmt: skip

    def __init__(
        self,
        points: tuple[TracePoint, ...],
        hooks: tuple[Optional[str], ...],
        states: tuple[int, ...],
        traits: tuple[Traits, ...],
    ) -> None:
        """Make another one; :func:`taken` gives the one that there is."""
        self.points = points
        self.hooks = hooks
        self.states = states
        """For each hop, which of the traits are its."""
        self.traits = traits
        """Of each look, in the order in which they were seen first."""
        self.nat = _nat(traits)
        """The rewrite of src, sport, dst and dport over all of it; None if there is none."""
        self.strange_clocks = _strange_clocks(points, hooks)
        """Of each hop, whether another clock stamped it than the first; None where none did."""
        self._pattern: Optional[tuple[PathTemplate, tuple[Value, ...]]] = None

    @property
    def pattern(self) -> PathTemplate:
        """What it has in common with ways that differ in addresses and ports alone."""
        return self._drawn()[0]

    @property
    def values(self) -> tuple[Value, ...]:
        """The addresses and ports on it, each once, in the pattern's order."""
        return self._drawn()[1]

    def _drawn(self) -> tuple[PathTemplate, tuple[Value, ...]]:
        if self._pattern is None:
            self._pattern = path_template((self.points, self.hooks, self.states), self.traits)
        return self._pattern

    def hops(self, own: Sequence[Own], times: Sequence[Optional[float]]) -> list[Hop]:
        """The hops of a packet with these looks of its own."""
        states = [_state(*pair) for pair in zip(self.traits, own)]
        return [
            Hop(at, states[which], time) for at, which, time in zip(self.points, self.states, times)
        ]


_Key = tuple[tuple[TracePoint, ...], tuple[Optional[str], ...], tuple[int, ...], tuple[Traits, ...]]
_paths: WeakValueDictionary[_Key, Path] = WeakValueDictionary()
_gone: Memo[object, Path] = Memo(KEPT)
"""By the steps that led there."""


def taken(
    points: tuple[TracePoint, ...], hooks: tuple[Optional[str], ...], states: Sequence[PacketState]
) -> tuple[Path, list[PacketState]]:
    """The way that a packet took, and its looks in the way's order; given those of each hop."""
    different, which = _numbered(states)
    key = (points, hooks, tuple(which), tuple([_traits(state) for state in different]))
    found = _paths.get(key)
    if found is None:
        found = _paths[key] = Path(*key)
    return found, different


def _numbered(states: Iterable[PacketState]) -> tuple[list[PacketState], list[int]]:
    """The looks, each once, and which of them each is."""
    different: list[PacketState] = []
    numbers: dict[int, int] = {}
    which: list[int] = []
    for state in states:
        number = numbers.get(id(state))
        if number is None:
            number = numbers[id(state)] = len(different)
            different.append(state)
        which.append(number)
    return different, which


class PathSegment(NamedTuple):
    """Hops that came as one run (``model.trace.batch``), or its beginning."""

    step: Transition
    states: tuple[PacketState, ...]
    """Those that the step names."""
    times: Times


def gone(segments: Sequence[PathSegment]) -> tuple[Path, list[PacketState]]:
    """The same as :func:`taken` for hops that came as runs."""
    steps = [step for step, _, _ in segments]
    # A step names as many looks as belong to it, so it need not be told where the next one's begin.
    different, which = _numbered([state for _, states, _ in segments for state in states])
    key = (*steps, *which, *[_traits(state) for state in different])
    found = _gone.get(key)
    if found is None:
        found = _gone.learn(key, taken(*each_of(segments))[0])
    return found, different


def each_of(
    segments: Sequence[PathSegment],
) -> tuple[tuple[TracePoint, ...], tuple[Optional[str], ...], list[PacketState]]:
    """Place, hook and look of each hop."""
    points: tuple[TracePoint, ...] = ()
    hooks: tuple[Optional[str], ...] = ()
    each: list[PacketState] = []
    for step, states, _ in segments:
        points, hooks = points + step.points, hooks + step.hooks
        each += [states[which] for which in step.which]
    return points, hooks, each


def _nat(traits: tuple[Traits, ...]) -> Optional[Mapping[str, Value]]:
    found: dict[str, Value] = {}
    seen: dict[str, set[object]] = {name: set() for name in ADDRESSES}
    for header in [one.header for one in traits if one.header is not None]:
        for name, at in ADDRESSES.items():
            value = header[at]
            if value is not None and value not in seen[name]:
                if seen[name]:
                    found[name] = value
                seen[name].add(value)
    return found or None


_STAMPED = ("PREROUTING", "INPUT", "FORWARD")
"""Hooks whose records carry the kernel's own stamp (nfnetlink_log.c, __build_packet_message)."""


def _strange_clocks(
    points: tuple[TracePoint, ...], hooks: tuple[Optional[str], ...]
) -> Optional[tuple[bool, ...]]:
    """Legacy's hops of some hooks the kernel stamped; the others, and nft's, whoever got them.

    A log has one clock.
    """
    if all(at.backend == "nft" or at.source is not None for at in points):
        return None
    clocks = [
        at.backend == "legacy" and at.source is None and hook in _STAMPED
        for at, hook in zip(points, hooks)
    ]
    strange = tuple([clock != clocks[0] for clock in clocks])
    return strange if any(strange) else None


def own(state: PacketState) -> Own:
    """What of a look is not in its traits; nothing but numbers, texts and bytes."""
    header = state.header
    if header is None:
        return (state.trace_id,)
    return (state.trace_id, header[6], header[7], *header[9:])


def _traits(state: PacketState) -> Traits:
    iif, oif, mark, mac, header, _, readings = state
    if header is None:
        return Traits(iif, oif, mark, mac, readings)
    return Traits(iif, oif, mark, mac, readings, (*header[:6], header[8]))


def _state(traits: Traits, own: Own) -> PacketState:
    iif, oif, mark, mac, readings, shared = traits
    header: Optional[Header] = None
    if shared is not None:
        # The order of Header's fields: six shared ones, length and id, the TTL, the rest.
        header = Header._make((*shared[:6], own[1], own[2], shared[6], *own[3:]))
    return PacketState._make((iif, oif, mark, mac, header, own[0], readings))
