"""Routes of a node (``kernel.procfs.routes`` lists them), and whether one takes a destination."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import NamedTuple, Optional, Union

ROUTES_SETTING = "routes"
"""Of the node's settings: the destinations that it has routes for."""
IpNetwork = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


class _Routes(NamedTuple):
    are_several_tables: bool
    """Whether rules choose among tables, so that not every route is for every packet."""
    by_length: tuple[tuple[IpNetwork, str], ...]
    """Each with how it refuses, empty for one that does not; the longest prefixes first."""


def refusal(address: str, routes: str) -> Optional[str]:
    """Why routing stops a packet, as a phrase; empty where a route takes it; None if not known.

    A route of another table may be none for this packet, but where no table has one there is none.
    """
    if not routes:
        return None
    table = _read(routes)
    destination = ipaddress.ip_address(address)
    covering = [
        kind
        for network, kind in table.by_length
        if network.version == destination.version and destination in network
    ]
    if not covering:
        return "there is no route to the destination"
    if table.are_several_tables:
        return None
    if covering[0] == "throw":
        # The routes of the tables that follow are not known.
        return None
    if not covering[0]:
        return ""
    kind = "one that refuses it" if covering[0] == "refused" else f"a {covering[0]} route"
    return f"the route to the destination is {kind} (ip route)"


@lru_cache(maxsize=16)
def _read(text: str) -> _Routes:
    routes: list[tuple[IpNetwork, str]] = []
    words = text.split()
    for word in words:
        network, _, kind = word.partition("=")
        try:
            routes.append((ipaddress.ip_network(network, strict=False), kind))
        except ValueError:
            continue
    routes.sort(key=lambda route: -route[0].prefixlen)
    return _Routes("+" in words, tuple(routes))
