"""The way of a packet through hooks and tables: which hop can follow which.

Order of hooks and tables: include/uapi/linux/netfilter_ipv4.h (enum nf_ip_hook_priorities).
"""

from __future__ import annotations

from typing import Optional

from tracetui.model.header import Header
from tracetui.model.hop import Hop
from tracetui.model.place import TABLES, Place

_FOLLOWS = {
    "PREROUTING": ("INPUT", "FORWARD", "POSTROUTING"),
    "FORWARD": ("POSTROUTING",),
    "OUTPUT": ("POSTROUTING",),
    "INPUT": (),
    "POSTROUTING": (),
}
_PROGRESS = {"PREROUTING": 0, "OUTPUT": 0, "INPUT": 1, "FORWARD": 1, "POSTROUTING": 2}
_TABLES = {table: rank for rank, table in enumerate(TABLES)}
_NAT_OF_SOURCE = 5
_NAT = 2


def table_rank(hook: Optional[str], table: str) -> Optional[int]:
    """The place of a table at a hook; None for a table whose priority its name does not tell."""
    if table == "nat" and hook in ("INPUT", "POSTROUTING"):
        return _NAT_OF_SOURCE
    return _TABLES.get(table)


def position(hook: Optional[str], hop: Hop) -> Optional[tuple[int, int]]:
    """How far along its way a packet is at a hop; None where that is not known."""
    rank = table_rank(hook, hop.table)
    return None if hook is None or rank is None else (_PROGRESS[hook], rank)


class Track:
    """How far the hops of one backend have come on the way of one packet."""

    __slots__ = (
        "_base_rule", "_closed", "_entered", "_header", "_last", "_table", "destination", "hook",
    )  # fmt: skip

    def __init__(self) -> None:
        self.hook: Optional[str] = None
        """The hook of the last hop."""
        self.destination: Optional[tuple[Optional[str], Optional[int]]] = None
        """Destination address and port at the last hop that showed them."""
        self._table: Optional[tuple[str, str]] = None
        self._closed = False
        self._base_rule = 0
        self._last: Optional[Place] = None
        self._header: Optional[Header] = None
        self._entered: set[tuple[str, str, str]] = set()

    @property
    def is_empty(self) -> bool:
        """Whether no hop has come yet."""
        return self._table is None

    def hook_of(self, hop: Hop) -> Optional[str]:
        """The hop's hook: its own, or in a user chain that of the hop before it.

        The chains of nft's own tables have names of their own, which tell no hook.
        """
        at = hop.at
        return at.hook or (None if at.is_native else self.hook)

    def accepts(self, hop: Hop) -> bool:
        """Whether the hop can be the next one of the same packet."""
        if self._table is None:
            return True
        at = hop.at
        if at.backend == "nft" and hop.look.header is not None and at.chain_key in self._entered:
            return False  # headers come with the first event of a base chain only
        hook = self.hook_of(hop)
        if hook is None or self.hook is None:
            return True
        if hook != self.hook:
            return hook in _FOLLOWS[self.hook]
        if at.table_key == self._table:
            return self._goes_on(at)
        family, table = self._table
        now, then = table_rank(hook, table), table_rank(hook, at.table)
        return now is None or then is None or then > now or at.family != family

    def accepts_destination(self, hop: Hop) -> bool:
        """Whether the hop's destination can differ from the one before it.

        It changes at the nat position of PREROUTING and OUTPUT only, with a nat hop for the first
        packet of a connection and without one for all others.
        """
        header = hop.look.header
        if header is None or self.destination is None:
            return True
        if (header.dst, header.dport) == self.destination:
            return True
        hook = self.hook_of(hop)
        if hook is None or self.hook is None:
            return True
        if self.hook not in ("PREROUTING", "OUTPUT"):
            return False
        rank = table_rank(hook, hop.table)
        return hook != self.hook or rank is None or rank >= _NAT

    def advance(self, hop: Hop) -> Optional[str]:
        """Move on to a hop; its hook, as :meth:`hook_of` has it."""
        at, header = hop.at, hop.look.header
        hook = at.hook or (None if at.is_native else self.hook)
        if hook != self.hook or at.table_key != self._table:
            self._closed, self._base_rule = False, 0
            self._table = at.table_key
            self.hook = hook or self.hook
        self._last = at
        if header is not None:
            if header is not self._header:
                self._header, self.destination = header, (header.dst, header.dport)
            self._entered.add(at.chain_key)
        if at.is_in_base_chain:
            self._base_rule = at.rulenum or 0
            self._closed = at.type == "policy"
        return hook

    def _goes_on(self, at: Place) -> bool:
        """Whether a place can follow inside one table: its base chain only runs forward, once.

        A chain of a user's is entered again only by a rule of another one.
        """
        if self._closed:
            return False
        last = self._last
        is_same = last is not None and last.chain == at.chain
        if is_same and last is not None and last.rulenum is not None and at.rulenum is not None:
            return at.rulenum > last.rulenum
        is_base = at.backend == "legacy" and at.is_in_base_chain
        return not is_base or (at.rulenum or 0) > self._base_rule
