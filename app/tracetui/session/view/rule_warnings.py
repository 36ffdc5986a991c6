"""Warnings of TRACE rules that are valid but can't match, by what the session knows of the node."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from tracetui.model.trace.packet import Packet
from tracetui.model.tracing.trace_rule import TraceRule

PACKETS_ASKED = 1000
"""Packets that are looked through for DNAT, the newest first."""


def dnat_targets(packets: Iterable[Packet]) -> dict[str, str]:
    """The address that each destination was rewritten to; ``packets`` come newest first."""
    targets: dict[str, str] = {}
    for packet in islice(packets, PACKETS_ASKED):
        header, nat = packet.header, packet.nat
        if header is not None and header.dst is not None and nat is not None and "dst" in nat:
            targets.setdefault(header.dst, str(nat["dst"]))
    return targets


def warnings(
    rules: Sequence[TraceRule], interfaces: Collection[str], targets: Mapping[str, str]
) -> Iterator[str]:
    """Sentences about rules: the first is the one asked for, the others trace its replies.

    ``interfaces`` are those that exist now, empty where they are not known; ``targets`` is
    :func:`dnat_targets`.
    """
    rule = rules[0]
    name = rule.iif or rule.oif
    if name and interfaces and not _exists(name, interfaces):
        yield f"there is no interface {name} now"
    target = targets.get((rule.dst or "").partition("/")[0])
    if len(rules) > 1 and target is not None:
        yield f"replies too can't match: {rule.dst} is DNATed, and {target} replies"


def _exists(name: str, interfaces: Collection[str]) -> bool:
    if name.endswith("+"):
        return any(interface.startswith(name[:-1]) for interface in interfaces)
    return name in interfaces
