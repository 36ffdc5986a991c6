"""What ways have in common that differ in nothing but addresses and ports.

A new connection has a source port of its own, so its way is no other's; but what its rules are, and
what they did, follows from where the packet went and from what it looked like, but for that port.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Optional, Union
from weakref import WeakValueDictionary

Value = Union[str, int, None]
ADDRESSES = {"src": 2, "sport": 4, "dst": 3, "dport": 5}
"""What ways of one pattern differ in, and where it is in the header of traits."""


class Traits(NamedTuple):
    """How packets of a flow look at a hop, but for what tells them apart."""

    iif: Optional[str]
    oif: Optional[str]
    mark: Optional[int]
    mac: Optional[str]
    readings: Optional[tuple[int, int]]
    header: Optional[tuple[Value, ...]] = None
    """Family, protocol, addresses, ports and TTL; None where there is none."""


class PathTemplate:
    """Ways of one pattern have the same object: it compares, and hashes, by that."""

    __slots__ = ("__weakref__",)


_patterns: WeakValueDictionary[tuple[object, ...], PathTemplate] = WeakValueDictionary()


def path_template(
    path: tuple[object, ...], traits: Sequence[Traits]
) -> tuple[PathTemplate, tuple[Value, ...]]:
    """The pattern of a way, and the addresses and ports that it stands for, in its order.

    ``path`` is what beside the looks ways of one pattern have in common.
    """
    numbers: dict[Value, int] = {None: -1}
    alike: list[object] = [*path]
    for one in traits:
        alike.append(one[:5])
        if one.header is not None:
            family, proto, src, dst, sport, dport, ttl = one.header
            alike += [family, proto, ttl]
            for value in (src, dst, sport, dport):
                if value not in numbers:
                    numbers[value] = len(numbers) - 1
                alike.append(numbers[value])
    key = tuple(alike)
    found = _patterns.get(key)
    if found is None:
        found = _patterns[key] = PathTemplate()
    return found, tuple(numbers)[1:]


def translation(old: Sequence[Value], new: Sequence[Value]) -> Mapping[Value, Value]:
    """What of one way is what of another one, of the same pattern."""
    return dict(zip(old, new))
