"""Filters that a packet suggests: only its flow, only its host, anything but it."""

from __future__ import annotations

from typing import Optional

from tracetui.model.filter.terms import PROTOCOL_KEYWORDS
from tracetui.model.trace.packet import Packet


def only_flow(packet: Packet) -> Optional[str]:
    """The packets of a flow, in both directions and on both sides of NAT; None without a header."""
    header = packet.header
    if header is None or header.src is None or header.dst is None:
        return None
    words = [_protocol(header.proto), f"host {header.src}", f"host {header.dst}"]
    if header.sport is not None and header.dport is not None:
        words += [f"port {header.sport}", f"port {header.dport}"]
    return " and ".join(word for word in words if word)


def only_host(packet: Packet) -> Optional[str]:
    """Packets to or from the packet's source; None without a header."""
    header = packet.header
    return None if header is None or header.src is None else f"host {header.src}"


def hidden(packet: Packet, expression: str) -> Optional[str]:
    """An expression without the packet's flow; None without a header."""
    flow = only_flow(packet)
    if flow is None:
        return None
    present = expression.strip()
    if not present:
        return f"not ({flow})"
    # ``and`` and ``or`` bind alike, from left to right: no parentheses are needed around it.
    return f"{present} and not ({flow})"


def _protocol(proto: Optional[str]) -> str:
    if proto is None:
        return ""
    return proto if proto in PROTOCOL_KEYWORDS else f"proto {proto}"
