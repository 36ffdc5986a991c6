"""The way of a packet through hooks and tables: which hop can follow which.

Order of hooks and tables: include/uapi/linux/netfilter_ipv4.h (enum nf_ip_hook_priorities).
"""

from __future__ import annotations

from typing import Optional

from tracetui.model.hop import Hop

_FOLLOWS = {
    "PREROUTING": ("INPUT", "FORWARD", "POSTROUTING"),
    "FORWARD": ("POSTROUTING",),
    "OUTPUT": ("POSTROUTING",),
    "INPUT": (),
    "POSTROUTING": (),
}
_PROGRESS = {"PREROUTING": 0, "OUTPUT": 0, "INPUT": 1, "FORWARD": 1, "POSTROUTING": 2}
_TABLES = {"raw": 0, "mangle": 1, "nat": 2, "filter": 3, "security": 4}
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

    __slots__ = ("_base_rule", "_closed", "_entered", "_last", "_table", "destination", "hook")

    def __init__(self) -> None:
        self.hook: Optional[str] = None
        """The hook of the last hop."""
        self.destination: Optional[tuple[Optional[str], Optional[int]]] = None
        """Destination address and port at the last hop that showed them."""
        self._table: Optional[tuple[str, str]] = None
        self._closed = False
        self._base_rule = 0
        self._last: tuple[str, Optional[int]] = ("", None)
        self._entered: set[tuple[str, str, str]] = set()

    @property
    def is_empty(self) -> bool:
        """Whether no hop has come yet."""
        return self._table is None

    def hook_of(self, hop: Hop) -> Optional[str]:
        """The hop's hook: its own, or in a user chain that of the hop before it.

        The chains of nft's own tables have names of their own, which tell no hook.
        """
        is_native = hop.backend == "nft" and (
            hop.family not in ("ip", "ip6") or hop.table not in _TABLES
        )
        return hop.hook or (None if is_native else self.hook)

    def accepts(self, hop: Hop) -> bool:
        """Whether the hop can be the next one of the same packet."""
        if self.is_empty:
            return True
        if hop.backend == "nft" and hop.header is not None and _chain(hop) in self._entered:
            return False  # headers come with the first event of a base chain only
        hook = self.hook_of(hop)
        if hook is None or self.hook is None:
            return True
        if hook != self.hook:
            return hook in _FOLLOWS[self.hook]
        if (hop.family, hop.table) == self._table:
            return self._goes_on(hop)
        now = table_rank(hook, self._table[1] if self._table else "")
        then = table_rank(hook, hop.table)
        return now is None or then is None or then > now or hop.family != self._family

    def accepts_destination(self, hop: Hop) -> bool:
        """Whether the hop's destination can differ from the one before it.

        It changes at the nat position of PREROUTING and OUTPUT only, with a nat hop for the first
        packet of a connection and without one for all others.
        """
        if hop.header is None or self.destination is None:
            return True
        if (hop.header.dst, hop.header.dport) == self.destination:
            return True
        hook = self.hook_of(hop)
        if hook is None or self.hook is None:
            return True
        if self.hook not in ("PREROUTING", "OUTPUT"):
            return False
        rank = table_rank(hook, hop.table)
        return hook != self.hook or rank is None or rank >= _NAT

    def advance(self, hop: Hop) -> None:
        """Move on to a hop."""
        hook, table = self.hook_of(hop), (hop.family, hop.table)
        if hook != self.hook or table != self._table:
            self._closed, self._base_rule = False, 0
        self.hook, self._table = hook or self.hook, table
        self._last = (hop.chain, hop.rulenum)
        if hop.header is not None:
            self.destination = (hop.header.dst, hop.header.dport)
            self._entered.add(_chain(hop))
        if hop.is_in_base_chain:
            self._base_rule = hop.rulenum or 0
            self._closed = hop.type == "policy"

    @property
    def _family(self) -> Optional[str]:
        return self._table[0] if self._table else None

    def _goes_on(self, hop: Hop) -> bool:
        """Whether the hop can follow inside one table: its base chain only runs forward, once.

        A chain of a user's is entered again only by a rule of another one.
        """
        if self._closed:
            return False
        chain, number = self._last
        if chain == hop.chain and number is not None and hop.rulenum is not None:
            return hop.rulenum > number
        is_base = hop.backend == "legacy" and hop.is_in_base_chain
        return not is_base or (hop.rulenum or 0) > self._base_rule


def _chain(hop: Hop) -> tuple[str, str, str]:
    return (hop.family, hop.table, hop.chain)
