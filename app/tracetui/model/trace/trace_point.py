"""Trace points: the rules, policies and chain ends of a node that packets meet."""

from __future__ import annotations

from typing import Any, Optional
from weakref import WeakValueDictionary

HOOKS = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
"""The hooks in the kernel's numbering (``enum nf_inet_hooks``, include/uapi/linux/netfilter.h)."""

FORGED = "forged"
"""The source of a hop that TRACE can't have sent: a rule that logs to nflog did."""

TABLES = ("raw", "mangle", "nat", "filter", "security")
"""The tables of iptables, in the order of their priorities."""
_HOOKS_OF = {
    "raw": ("PREROUTING", "OUTPUT"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "security": ("INPUT", "FORWARD", "OUTPUT"),
}
"""The hooks of iptables' tables that are not at every hook (iptables(8), TABLES)."""


def built_in_hook(table: str, chain: str) -> Optional[str]:
    """The hook of a chain that iptables made; None for a user chain.

    A user chain can bear a hook's name in a table that is not at that hook.
    """
    return chain if chain in _HOOKS_OF.get(table, HOOKS) else None


def nft_hook(family: str, table: str, chain: str) -> Optional[str]:
    """The hook of a chain that iptables-nft makes; another chain's name proves nothing."""
    is_built_in = family in ("ip", "ip6") and table in TABLES
    return built_in_hook(table, chain) if is_built_in else None


_LINK_FAMILIES = ("bridge", "netdev")


class TracePoint:
    """Where a hop was, as the kernel says it; the same object for all hops there.

    A node's rules are few beside its packets, so what follows from one is found once. Two that
    say the same are one object: they compare, and hash, by that.
    """

    __slots__ = (
        "__weakref__", "backend", "chain", "chain_key", "family", "handle", "hook",
        "is_forged", "is_in_base_chain", "is_native", "layer", "rule", "rulenum", "source",
        "table", "table_key", "type", "verdict", "voice",
    )  # fmt: skip

    def __init__(
        self,
        backend: str,
        family: str,
        table: str,
        chain: str,
        type: str,  # noqa: A002 - as the record format has it
        rulenum: Optional[int],
        handle: Optional[int],
        verdict: Optional[str],
        hook: Optional[str],
        rule: Optional[str],
        source: Optional[str],
    ) -> None:
        """Make another one; :func:`trace_point` gives the one that there is."""
        self.backend = backend
        """``legacy`` (x_tables) or ``nft`` (nf_tables)."""
        self.family = family
        """The table's family in nft's words: ip, ip6, inet, bridge, netdev or arp."""
        self.table = table
        self.chain = chain
        self.type = type
        """``rule``, ``return`` (end of a user chain) or ``policy`` (end of a base chain)."""
        self.rulenum = rulenum
        """The kernel's 1-based rule number (legacy)."""
        self.handle = handle
        """The nft rule handle."""
        self.verdict = verdict
        """The verdict that the kernel gave, in nft's words: ``accept``, ``jump
        KUBE-SERVICES``. Legacy gives none: None, or the verdict proven when it was recorded."""
        self.hook = hook
        """One of HOOKS where the source says it (nflog) or the chain is a built-in one."""
        self.rule = rule
        """The text of its rule, where the hop was recorded with it."""
        self.source = source
        """One of FORGEABLE; None where it came from the kernel itself, over netlink."""
        self.is_forged = source == FORGED
        """Whether TRACE can't have said it."""
        self.voice = FORGED if self.is_forged else backend
        """The backend, or FORGED: hops of another voice are no part of one traversal."""
        self.table_key = (family, table)
        self.chain_key = (family, table, chain)
        self.is_in_base_chain = built_in_hook(table, chain) is not None
        """Whether its chain is one that iptables made, and not a user chain."""
        self.is_native = backend == "nft" and (family not in ("ip", "ip6") or table not in TABLES)
        """Whether its table is one of nft's own, whose chains have names of their own."""
        self.layer = family if family in _LINK_FAMILIES else "ip"
        """The layer of the stack: a bridge's port is not the device that IP sees above it."""

    @property
    def text(self) -> str:
        """``table:chain:type:number`` as the kernel prints it, for grep; the handle on nft."""
        if self.backend == "legacy":
            return f"{self.table}:{self.chain}:{self.type}:{self.rulenum}"
        number = "" if self.handle is None else f":{self.handle}"
        return f"{self.table}:{self.chain}:{self.type}{number}"

    def with_(self, **changes: Any) -> TracePoint:
        """The trace point that is the same but for these fields."""
        return trace_point(**{**self.fields, **changes})

    @property
    def fields(self) -> dict[str, Any]:
        """All that the kernel said, by name."""
        return {name: getattr(self, name) for name in _FIELDS}


_FIELDS = (
    "backend", "family", "table", "chain", "type", "rulenum", "handle", "verdict", "hook", "rule",
    "source",
)  # fmt: skip
_places: WeakValueDictionary[tuple[object, ...], TracePoint] = WeakValueDictionary()


def trace_point(
    backend: str,
    family: str,
    table: str,
    chain: str,
    type: str,  # noqa: A002 - as above
    rulenum: Optional[int] = None,
    handle: Optional[int] = None,
    verdict: Optional[str] = None,
    hook: Optional[str] = None,
    rule: Optional[str] = None,
    source: Optional[str] = None,
) -> TracePoint:
    """The one :class:`TracePoint` of these fields."""
    key = (backend, family, table, chain, type, rulenum, handle, verdict, hook, rule, source)
    found = _places.get(key)
    if found is None:
        found = _places[key] = TracePoint(*key)
    return found
