"""Packets that are copies of other ones, or go on inside a tunnel's packet."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from tracetui.model.explain.delivery import LOCAL_ADDRESSES_SETTING, is_local
from tracetui.model.trace.packet import Packet

TUNNEL_SETTING_PREFIX = "tunnel."
"""Before a device's name among the node's settings: the kind of its tunnel (``kernel.links``)."""
_COPIES = re.compile(r"-j TEE\b|\bdup to\b")


def remarks(
    packet: Packet, settings: Mapping[str, str], texts: Callable[[], Iterable[str]]
) -> Iterator[str]:
    """Remarks on an accepted packet's beginning and end; ``texts`` gives those of all rules."""
    oif = next((hop.oif for hop in reversed(packet.hops) if hop.oif), None)
    kind = settings.get(f"{TUNNEL_SETTING_PREFIX}{oif}")
    if kind is not None:
        yield f"into a tunnel: {oif} ({kind}) sends it on inside another packet"
    if _is_of_others(packet, settings) and any(map(_COPIES.search, texts())):
        yield "a copy of another packet: this node sent it with a source that is not its own (TEE)"


def _is_of_others(packet: Packet, settings: Mapping[str, str]) -> bool:
    """Whether it began in OUTPUT, and its source is no address of this node."""
    local, header = settings.get(LOCAL_ADDRESSES_SETTING), packet.header
    if packet.hooks[0] != "OUTPUT" or header is None or header.src is None or not local:
        return False
    return not is_local(header.src, local)
