"""Path templates: paths with addresses and ports left open.

A new connection has a source port of its own, so its path is no other's; but its rules, and what
they did, follow from the trace points and states of the packet, but for that port.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Optional, Union
from weakref import WeakValueDictionary

Value = Union[str, int, None]
ADDRESSES = {"src": 2, "sport": 4, "dst": 3, "dport": 5}
"""The fields that a template leaves open, with their index in the header of traits."""


class Traits(NamedTuple):
    """The state of a flow's packets at a hop, but for what tells one packet from another."""

    iif: Optional[str]
    oif: Optional[str]
    mark: Optional[int]
    mac: Optional[str]
    interval: Optional[tuple[int, int]]
    header: Optional[tuple[Value, ...]] = None
    """Family, protocol, addresses, ports and TTL; None where there is none."""


class PathTemplate:
    """One object for all paths of the template; it compares, and hashes, by identity."""

    __slots__ = ("__weakref__",)


_templates: WeakValueDictionary[tuple[object, ...], PathTemplate] = WeakValueDictionary()


def path_template(
    shape: tuple[object, ...], traits: Sequence[Traits]
) -> tuple[PathTemplate, tuple[Value, ...]]:
    """The template of a path, and the addresses and ports that fill it, in its order.

    ``shape`` holds the trace points, the hooks, and the number of each hop's state.
    """
    numbers: dict[Value, int] = {None: -1}
    alike: list[object] = [*shape]
    for each in traits:
        alike.append(each[:5])
        if each.header is not None:
            family, proto, src, dst, sport, dport, ttl = each.header
            alike += [family, proto, ttl]
            for value in (src, dst, sport, dport):
                if value not in numbers:
                    numbers[value] = len(numbers) - 1
                alike.append(numbers[value])
    key = tuple(alike)
    found = _templates.get(key)
    if found is None:
        found = _templates[key] = PathTemplate()
    return found, tuple(numbers)[1:]


def translation(old: Sequence[Value], new: Sequence[Value]) -> Mapping[Value, Value]:
    """The values of one path, each with its counterpart in another path of the template."""
    return dict(zip(old, new))
