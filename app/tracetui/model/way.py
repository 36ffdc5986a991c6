"""What packets have in common that everything said of them rests on: most are like one before.

Packets of one flow pass the same places and look the same there, but for what tells one from the
other: its number, its length, its flags. The common part is one object, so what follows from it
(an explanation, an answer to a filter, a text) is found once, and kept once in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Optional
from weakref import WeakValueDictionary

from tracetui.model.header import Header
from tracetui.model.hop import Hop, Look
from tracetui.model.memory import Memory
from tracetui.model.path import Step
from tracetui.model.pattern import ADDRESSES, Pattern, Traits, Value, pattern
from tracetui.model.place import Place
from tracetui.model.times import Times

KEPT = 2048
"""Ways remembered that came as runs; batches cut runs, so one way comes as several."""
Own = tuple[object, ...]
"""What is a packet's own of one look; the rest is in the traits."""


class Way:
    """The places of a packet's hops and their hooks, and how it looked there.

    Ways that are the same are one object: they compare, and hash, by that. An explanation rests on
    nothing else of a packet, but for the node's settings when it came, and neither does a filter,
    but for a length.
    """

    __slots__ = (
        "__weakref__", "_pattern", "hooks", "looks", "nat", "places", "strange_clocks", "traits",
    )  # fmt: skip

    def __init__(
        self,
        places: tuple[Place, ...],
        hooks: tuple[Optional[str], ...],
        looks: tuple[int, ...],
        traits: tuple[Traits, ...],
    ) -> None:
        """Make another one; :func:`taken` gives the one that there is."""
        self.places = places
        self.hooks = hooks
        self.looks = looks
        """For each hop, which of the traits are its."""
        self.traits = traits
        """Of each look, in the order in which they were seen first."""
        self.nat = _nat(traits)
        """The rewrite of src, sport, dst and dport over all of it; None if there is none."""
        self.strange_clocks = _strange_clocks(places, hooks)
        """Of each hop, whether another clock stamped it than the first; None where none did."""
        self._pattern: Optional[tuple[Pattern, tuple[Value, ...]]] = None

    @property
    def pattern(self) -> Pattern:
        """What it has in common with ways that differ in addresses and ports alone."""
        return self._drawn()[0]

    @property
    def values(self) -> tuple[Value, ...]:
        """The addresses and ports on it, each once, in the pattern's order."""
        return self._drawn()[1]

    def _drawn(self) -> tuple[Pattern, tuple[Value, ...]]:
        if self._pattern is None:
            self._pattern = pattern((self.places, self.hooks, self.looks), self.traits)
        return self._pattern

    def hops(self, own: Sequence[Own], times: Sequence[Optional[float]]) -> list[Hop]:
        """The hops of a packet with these looks of its own."""
        looks = [_look(*pair) for pair in zip(self.traits, own)]
        return [
            Hop(at, looks[which], time) for at, which, time in zip(self.places, self.looks, times)
        ]


_Key = tuple[tuple[Place, ...], tuple[Optional[str], ...], tuple[int, ...], tuple[Traits, ...]]
_ways: WeakValueDictionary[_Key, Way] = WeakValueDictionary()
_gone: Memory[object, Way] = Memory(KEPT)
"""By the steps that led there."""


def taken(
    places: tuple[Place, ...], hooks: tuple[Optional[str], ...], looks: Sequence[Look]
) -> tuple[Way, list[Look]]:
    """The way that a packet took, and its looks in the way's order; given those of each hop."""
    different, which = _numbered(looks)
    key = (places, hooks, tuple(which), tuple([_traits(look) for look in different]))
    found = _ways.get(key)
    if found is None:
        found = _ways[key] = Way(*key)
    return found, different


def _numbered(looks: Iterable[Look]) -> tuple[list[Look], list[int]]:
    """The looks, each once, and which of them each is."""
    different: list[Look] = []
    numbers: dict[int, int] = {}
    which: list[int] = []
    for look in looks:
        number = numbers.get(id(look))
        if number is None:
            number = numbers[id(look)] = len(different)
            different.append(look)
        which.append(number)
    return different, which


class Stretch(NamedTuple):
    """Hops that came as one run (``model.run``), or its beginning."""

    step: Step
    looks: tuple[Look, ...]
    """Those that the step names."""
    times: Times


def gone(stretches: Sequence[Stretch]) -> tuple[Way, list[Look]]:
    """The same as :func:`taken` for hops that came as runs."""
    steps = [step for step, _, _ in stretches]
    # A step names as many looks as belong to it, so it need not be told where the next one's begin.
    different, which = _numbered([look for _, looks, _ in stretches for look in looks])
    key = (*steps, *which, *[_traits(look) for look in different])
    found = _gone.get(key)
    if found is None:
        found = _gone.learn(key, taken(*each_of(stretches))[0])
    return found, different


def each_of(
    stretches: Sequence[Stretch],
) -> tuple[tuple[Place, ...], tuple[Optional[str], ...], list[Look]]:
    """Place, hook and look of each hop."""
    places: tuple[Place, ...] = ()
    hooks: tuple[Optional[str], ...] = ()
    each: list[Look] = []
    for step, looks, _ in stretches:
        places, hooks = places + step.places, hooks + step.hooks
        each += [looks[which] for which in step.which]
    return places, hooks, each


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
    places: tuple[Place, ...], hooks: tuple[Optional[str], ...]
) -> Optional[tuple[bool, ...]]:
    """Legacy's hops of some hooks the kernel stamped; the others, and nft's, whoever got them.

    A log has one clock.
    """
    if all(at.backend == "nft" or at.source is not None for at in places):
        return None
    clocks = [
        at.backend == "legacy" and at.source is None and hook in _STAMPED
        for at, hook in zip(places, hooks)
    ]
    strange = tuple([clock != clocks[0] for clock in clocks])
    return strange if any(strange) else None


def own(look: Look) -> Own:
    """What of a look is not in its traits; nothing but numbers, texts and bytes."""
    header = look.header
    if header is None:
        return (look.trace_id,)
    return (look.trace_id, header[6], header[7], *header[9:])


def _traits(look: Look) -> Traits:
    iif, oif, mark, mac, header, _, readings = look
    if header is None:
        return Traits(iif, oif, mark, mac, readings)
    return Traits(iif, oif, mark, mac, readings, (*header[:6], header[8]))


def _look(traits: Traits, own: Own) -> Look:
    iif, oif, mark, mac, readings, shared = traits
    header: Optional[Header] = None
    if shared is not None:
        # The order of Header's fields: six shared ones, length and id, the TTL, the rest.
        header = Header._make((*shared[:6], own[1], own[2], shared[6], *own[3:]))
    return Look._make((iif, oif, mark, mac, header, own[0], readings))
