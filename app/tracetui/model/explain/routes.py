"""What a node's routes say of a destination (``kernel.procfs.routes`` lists them)."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import NamedTuple, Optional, Union

ROUTES = "routes"
"""Of the node's settings: the destinations that it has routes for."""
_Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


class _Routes(NamedTuple):
    are_several_tables: bool
    """Whether rules choose among tables, so that not every route is for every packet."""
    by_length: tuple[tuple[_Network, str], ...]
    """Each with how it refuses, empty for one that does not; the longest prefixes first."""


def refusal(address: str, routes: str) -> Optional[str]:
    """Why routing stops a packet, as a phrase; empty where a route takes it; None if not known.

    A route of another table may be none for this packet, but where no table has one there is none.
    """
    if not routes:
        return None
    known = _read(routes)
    one = ipaddress.ip_address(address)
    covering = [
        how for network, how in known.by_length if network.version == one.version and one in network
    ]
    if not covering:
        return "there is no route to the destination"
    if known.are_several_tables:
        return None
    if covering[0] == "throw":
        # What comes behind the table is not told.
        return None
    if not covering[0]:
        return ""
    how = "one that refuses it" if covering[0] == "refused" else f"a {covering[0]} route"
    return f"the route to the destination is {how} (ip route)"


@lru_cache(maxsize=16)
def _read(text: str) -> _Routes:
    found: list[tuple[_Network, str]] = []
    words = text.split()
    for word in words:
        network, _, how = word.partition("=")
        try:
            found.append((ipaddress.ip_network(network, strict=False), how))
        except ValueError:
            continue
    found.sort(key=lambda route: -route[0].prefixlen)
    return _Routes("+" in words, tuple(found))
