"""A ruleset as its tools list it: chains of rules, each with its text."""

from __future__ import annotations

from typing import NamedTuple, Optional

from tracetui.model.trace.trace_point import HOOKS

_PRIORITIES = {"raw": -300, "mangle": -150, "nat": -100, "filter": 0, "security": 50}
"""Of iptables' tables (include/uapi/linux/netfilter_ipv4.h, enum nf_ip_hook_priorities)."""
_SOURCE_NAT = 100


class ListedRule(NamedTuple):
    """One rule of a listing."""

    text: Optional[str]
    """As its tool prints it: ``-A CHAIN …`` (iptables-save), or nft syntax; None if unknown."""
    handle: Optional[int] = None
    """The nft rule handle."""
    packets: Optional[int] = None
    """Packets that it matched, where the listing has a counter."""
    is_native: bool = False
    """Whether iptables can't have made it; what iptables-save prints of it is not all of it."""
    block: tuple[str, ...] = ()
    """The rules of a chain without a name that it leads to (``jump { … }``), where listed."""


class Chain(NamedTuple):
    """One chain, base or user."""

    name: str
    rules: tuple[ListedRule, ...]
    policy: Optional[str] = None
    """``accept`` or ``drop`` of a base chain."""
    hook: Optional[str] = None
    """One of ``trace_point.HOOKS`` for a base chain at it; else None."""
    priority: Optional[int] = None
    """Of a base chain: the lower ones of a hook come first."""
    is_nat: bool = False
    """Whether only the first packet of a connection passes it."""

    @property
    def is_base(self) -> bool:
        """Whether packets enter it from a hook."""
        return self.policy is not None

    def completes(self, other: Chain) -> bool:
        """Whether it is the same nft chain, and some of its rules got their text since."""
        if self[2:] != other[2:] or len(self.rules) != len(other.rules):
            return False
        pairs = list(zip(self.rules, other.rules))
        return any(older.text is None for _, older in pairs) and all(
            newer.handle is not None
            and newer.handle == older.handle
            and older.text in (None, newer.text)
            for newer, older in pairs
        )


class ChainKey(NamedTuple):
    """Where a chain is, within one backend."""

    family: str
    """The table's family in nft's words."""
    table: str
    name: str


TableKey = tuple[str, str]
"""Family and table, within one backend."""


class Ruleset:
    """Chains of one backend at one moment."""

    __slots__ = ("chains", "instances", "is_settled", "unread")

    def __init__(
        self,
        chains: Optional[dict[ChainKey, Chain]] = None,
        instances: Optional[dict[TableKey, int]] = None,
    ) -> None:
        """Begin with these chains and table handles, or with none."""
        self.chains = {} if chains is None else chains
        self.instances = {} if instances is None else instances
        """Table handles of nf_tables, where known: a table made anew has another one."""
        self.unread: dict[TableKey, str] = {}
        """Why nothing could list the rules of a table; an empty name stands for all of a family."""
        self.is_settled = True
        """Whether nothing changed while it was read; else the chains that did are left out."""

    def add(self, other: Ruleset) -> None:
        """Take in another part of the same ruleset; what both have is joined rule by rule.

        A listing with handles and one with iptables' text complete each other where they agree
        about the number of rules.
        """
        self.instances.update(other.instances)
        self.unread.update(other.unread)
        for key, chain in other.chains.items():
            present = self.chains.get(key)
            self.chains[key] = chain if present is None else _joined(present, chain)


def _joined(chain: Chain, other: Chain) -> Chain:
    with_text, with_handle = (chain, other) if _has_iptables_text(chain) else (other, chain)
    if len(with_text.rules) == len(with_handle.rules):
        rules = tuple(
            ListedRule(
                by_handle.text if by_handle.is_native else worded.text or by_handle.text,
                by_handle.handle if worded.handle is None else worded.handle,
                worded.packets if worded.packets is not None else by_handle.packets,
                by_handle.is_native or worded.is_native,
                by_handle.block or worded.block,
            )
            for worded, by_handle in zip(with_text.rules, with_handle.rules)
        )
    else:
        rules = (
            with_handle.rules if any(rule.handle for rule in with_handle.rules) else with_text.rules
        )
    return Chain(
        chain.name,
        rules,
        chain.policy or other.policy,
        chain.hook or other.hook,
        chain.priority if chain.priority is not None else other.priority,
        chain.is_nat or other.is_nat,
    )


def _has_iptables_text(chain: Chain) -> bool:
    return any(rule.text is not None and rule.text.startswith("-A ") for rule in chain.rules)


def built_in_chain(table: str, name: str, policy: str, rules: tuple[ListedRule, ...]) -> Chain:
    """A base chain as iptables makes it: it bears the name of its hook."""
    hook = name if name in HOOKS else None
    priority = _PRIORITIES.get(table)
    if table == "nat" and hook in ("INPUT", "POSTROUTING"):
        priority = _SOURCE_NAT
    return Chain(name, rules, policy, hook, priority, table == "nat")
