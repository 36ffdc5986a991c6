"""A packet's hops by hook and by table, as a user reads them."""

from __future__ import annotations

from typing import NamedTuple, Optional

from tracetui.model.trace.hop import Hop
from tracetui.model.trace.packet import Packet


class TableHops(NamedTuple):
    """Consecutive hops of one table at one hook."""

    backend: str
    family: str
    table: str
    hops: tuple[tuple[int, Hop], ...]
    """Each hop with its index in ``Packet.hops``."""


class HookHops(NamedTuple):
    """The hops of one hook, by table in the order they were passed."""

    hook: Optional[str]
    """One of ``place.HOOKS``; None where it is not known."""
    tables: tuple[TableHops, ...]


def by_hook(packet: Packet) -> tuple[HookHops, ...]:
    """The hops grouped by hook and then by table, in path order."""
    groups: list[tuple[Optional[str], list[TableHops]]] = []
    for index, hop in enumerate(packet.hops):
        hook = packet.hooks[index]
        if not groups or groups[-1][0] != hook:
            groups.append((hook, []))
        tables = groups[-1][1]
        key = (hop.backend, hop.family, hop.table)
        if tables and tables[-1][:3] == key:
            tables[-1] = tables[-1]._replace(hops=(*tables[-1].hops, (index, hop)))
        else:
            tables.append(TableHops(*key, ((index, hop),)))
    return tuple(HookHops(hook, tuple(tables)) for hook, tables in groups)
