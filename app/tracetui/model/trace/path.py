"""The path of a packet: trace points, hooks and what packets of a flow share, as one object.

Packets of one flow pass the same trace points in the same states, but for what tells one from the
other: its number, its length, its flags. The common part is one object, so what follows from it (an
explanation, an answer to a filter, a text) is found once, and kept once in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Optional
from weakref import WeakValueDictionary

from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import PacketState
from tracetui.model.trace.path_template import (
    ADDRESSES,
    PathTemplate,
    Traits,
    Value,
    path_template,
)
from tracetui.model.trace.trace_point import TracePoint

Own = tuple[object, ...]
"""The fields of a packet state that are the packet's own; the rest is in the traits."""


class Path:
    """The trace points of a packet's hops, their hooks, and the traits of its states.

    Paths that are equal are one object: they compare, and hash, by identity. An explanation rests
    on nothing else of a packet, but for the node's settings when it came, and neither does a
    filter, but for what is the packet's own.
    """

    __slots__ = (
        "__weakref__", "_template", "hooks", "iif", "nat", "oif", "other_clocks", "points",
        "state_numbers", "traits",
    )  # fmt: skip

    def __init__(
        self,
        points: tuple[TracePoint, ...],
        hooks: tuple[Optional[str], ...],
        state_numbers: tuple[int, ...],
        traits: tuple[Traits, ...],
    ) -> None:
        """Make another one; :func:`path_of` gives the one that there is."""
        self.points = points
        self.hooks = hooks
        self.state_numbers = state_numbers
        """For each hop, the index of its state's traits."""
        self.traits = traits
        """The traits of each state, in the order in which states were seen first."""
        self.iif = next((each.iif for each in traits if each.iif is not None), None)
        """The first in-interface."""
        self.oif = _last_oif(traits, state_numbers)
        """The last out-interface."""
        self.nat = _nat(traits)
        """The rewrite of src, sport, dst and dport over all of it; None if there is none."""
        self.other_clocks = _other_clocks(points, hooks)
        """For each hop, whether another clock stamped it than the first; None where none did."""
        self._template: Optional[tuple[PathTemplate, tuple[Value, ...]]] = None

    @property
    def template(self) -> PathTemplate:
        """The path with addresses and ports left open."""
        return self._templated()[0]

    @property
    def values(self) -> tuple[Value, ...]:
        """The addresses and ports on it, each once, in the template's order."""
        return self._templated()[1]

    def _templated(self) -> tuple[PathTemplate, tuple[Value, ...]]:
        if self._template is None:
            shape = (self.points, self.hooks, self.state_numbers)
            self._template = path_template(shape, self.traits)
        return self._template

    def states(self, own: Sequence[Own]) -> list[PacketState]:
        """The state at each hop of a packet whose states have these fields of their own."""
        states = [_state(*fields) for fields in zip(self.traits, own)]
        return [states[number] for number in self.state_numbers]


_Shape = tuple[tuple[TracePoint, ...], tuple[Optional[str], ...], tuple[int, ...]]
_paths: WeakValueDictionary[tuple[_Shape, tuple[Traits, ...]], Path] = WeakValueDictionary()


def path_of(
    points: Sequence[TracePoint],
    hooks: Sequence[Optional[str]],
    states: Sequence[PacketState],
    state_numbers: Sequence[int],
) -> Path:
    """The path of a packet, given the trace point, hook and state's index of each hop.

    The states stand in the order of the hops; one can stand there more than once.
    """
    known: dict[int, int] = {}
    numbers = [known.setdefault(id(state), len(known)) for state in states]
    different: Iterable[PacketState] = states
    if len(known) < len(states):
        state_numbers = [numbers[index] for index in state_numbers]
        different = {id(state): state for state in states}.values()
    shape = (tuple(points), tuple(hooks), tuple(state_numbers))
    key = (shape, tuple([_traits(state) for state in different]))
    return _paths.get(key) or _paths.setdefault(key, Path(*shape, key[1]))


def _last_oif(traits: Sequence[Traits], state_numbers: Sequence[int]) -> Optional[str]:
    names = (traits[number].oif for number in reversed(state_numbers))
    return next((name for name in names if name), None)


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


def _other_clocks(
    points: tuple[TracePoint, ...], hooks: tuple[Optional[str], ...]
) -> Optional[tuple[bool, ...]]:
    """Legacy's hops of some hooks the kernel stamped; the others, and nft's, whoever got them.

    A log has one clock.
    """
    if all(point.backend == "nft" or point.source is not None for point in points):
        return None
    is_kernels = [
        point.backend == "legacy" and point.source is None and hook in _STAMPED
        for point, hook in zip(points, hooks)
    ]
    others = tuple([clock != is_kernels[0] for clock in is_kernels])
    return others if any(others) else None


def own(state: PacketState) -> Own:
    """The fields of a state that its traits leave out; nothing but numbers, texts and bytes."""
    header = state.header
    if header is None:
        return (state.trace_id,)
    return (state.trace_id, header[6], header[7], *header[9:])


def _traits(state: PacketState) -> Traits:
    iif, oif, mark, mac, header, _, interval = state
    if header is None:
        return Traits(iif, oif, mark, mac, interval)
    return Traits(iif, oif, mark, mac, interval, (*header[:6], header[8]))


def _state(traits: Traits, own: Own) -> PacketState:
    iif, oif, mark, mac, interval, shared = traits
    header: Optional[Header] = None
    if shared is not None:
        # The order of Header's fields: six shared ones, length and id, the TTL, the rest.
        header = Header._make((*shared[:6], own[1], own[2], shared[6], *own[3:]))
    return PacketState._make((iif, oif, mark, mac, header, own[0], interval))
