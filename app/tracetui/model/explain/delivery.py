"""Whether a packet that no chain shows behind PREROUTING was this node's own."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Optional, Union

from tracetui.model.explain.base_chains import BaseChain
from tracetui.model.explain.explanation import HopExplanation
from tracetui.model.trace.packet import Packet

LOCAL_ADDRESSES_SETTING = "local"
"""Of the node's settings (kernel/procfs.py): the addresses it delivers to itself."""
_Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


def delivered(
    packet: Packet,
    hops: Sequence[HopExplanation],
    bases: Sequence[BaseChain],
    settings: Mapping[str, str],
) -> Optional[str]:
    """Why a packet whose last hop is in PREROUTING was delivered here; None if that is not known.

    On a node with chains in FORWARD alone nothing shows a packet that is its own; one that is
    forwarded shows there.
    """
    if any(base.layer == "ip" and base.chain.hook == "INPUT" and not base.chain.is_nat
           for base in bases):  # fmt: skip
        return None
    last = next(
        (index for index in range(len(packet.hops) - 1, -1, -1) if packet.hops[index].header), None
    )
    header = None if last is None else packet.hops[last].header
    if last is None or header is None or header.dst is None:
        return None
    if any(map(_can_rewrite, packet.hops[last:], hops[last:])):
        return None
    if not is_local(header.dst, settings.get(LOCAL_ADDRESSES_SETTING, "")):
        return None
    return f"delivered: {header.dst} is this node's, and no chain in INPUT would show it"


def _can_rewrite(hop: object, explanation: HopExplanation) -> bool:
    """Whether a rule can have sent the packet elsewhere without a hop that shows it."""
    parsed = explanation.parsed
    if parsed is None:
        return explanation.rule is not None or getattr(hop, "type", "") == "rule"
    return "dst" in parsed.changes


@lru_cache(maxsize=4096)
def is_local(address: str, local: str) -> bool:
    """Whether an address is one of these addresses and networks."""
    parsed = ipaddress.ip_address(address)
    return any(
        parsed in network for network in _networks(local) if parsed.version == network.version
    )


@lru_cache(maxsize=16)
def _networks(local: str) -> tuple[_Network, ...]:
    networks: list[_Network] = []
    for word in local.split():
        try:
            networks.append(ipaddress.ip_network(word, strict=False))
        except ValueError:
            continue
    return tuple(networks)
