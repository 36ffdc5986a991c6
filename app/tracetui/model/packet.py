"""One traversal of one packet: its hops in path order, and what they add up to."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional

from tracetui.model.header import Header
from tracetui.model.hop import Hop


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
    """One of ``hop.HOOKS``; None where it is not known."""
    tables: tuple[TableHops, ...]
