"""The base chains around a packet's last hop: the one it is in, and those that it should meet next.

Order at a hook: by priority (net/netfilter/core.c, nf_hook_entries_grow). Order of hooks: netdev
ingress, inet ingress, bridge, IP, netdev egress (net/core/dev.c; net/bridge/br_netfilter_hooks.c).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Optional

from tracetui.model.explain.explanation import HopExplanation
from tracetui.model.rules.history import RulesetHistory
from tracetui.model.rules.ruleset import Chain, ChainKey
from tracetui.model.trace.hop import Hop
from tracetui.model.trace.packet import Packet

INGRESS, EGRESS = "INGRESS", "EGRESS"
"""Hooks of the netdev family, which no chain of IP's is at."""
AFTER_ROUTING = "FORWARD or INPUT"
_NEXT_HOOKS = {
    "PREROUTING": frozenset(("INPUT", "FORWARD")),
    "FORWARD": frozenset(("POSTROUTING",)),
    "OUTPUT": frozenset(("POSTROUTING",)),
}


class BaseChain(NamedTuple):
    """One base chain."""

    backend: str
    key: ChainKey
    chain: Chain
    was_present: bool = True
    """Whether it was there when the packet came; else only one snapshot around it has it."""

    @property
    def name(self) -> str:
        """Table and chain, as users read them."""
        return f"{self.key.table} {self.key.name}"

    @property
    def layer(self) -> str:
        """As :attr:`TracePoint.layer` has it."""
        return self.key.family if self.key.family in ("bridge", "netdev") else "ip"


def base_chains(
    packet: Packet, histories: Mapping[str, RulesetHistory]
) -> Optional[list[BaseChain]]:
    """Every base chain that packets of this family can meet, of both backends; None if not known.

    That is, as the last hop met them.
    """
    last, bases_found = packet.hops[-1], list[BaseChain]()
    family = "ip6" if packet.header is not None and packet.header.family == 6 else "ip"
    families = (family, "inet", "bridge", "netdev")
    for backend, history in histories.items():
        if history.is_empty and all(hop.backend != backend for hop in packet.hops):
            continue
        interval = last.interval
        if backend != last.backend and interval is not None:
            interval = (history.latest, history.latest) if history.latest else None
        listed_bases = history.base_chains(interval, families)
        was_seen = any(hop.backend == backend for hop in packet.hops)
        is_unlisted = bool(history.why_unlisted((family, ""), interval))
        if (
            listed_bases is None
            or is_unlisted
            or (not listed_bases and was_seen and history.has_no_base_chain(interval))
        ):
            return None
        bases_found += [BaseChain(backend, key, chain) for key, chain in listed_bases]
        for key, chain in history.transient_base_chains(interval, families):
            base = BaseChain(backend, key, chain)
            # A hop in it proves it.
            bases_found.append(base._replace(was_present=_has_hop(packet, base)))
    return [base for base in bases_found if base.key.family in families]


def base_of_last_hop(packet: Packet, bases: Sequence[BaseChain]) -> Optional[BaseChain]:
    """The base chain in which, or in a chain called from which, the last hop was."""
    last, hook = packet.hops[-1], packet.hook_of(len(packet.hops) - 1)
    by_key = {(base.backend, *base.key): base for base in bases}
    for hop in reversed(packet.hops):
        if hop.backend != last.backend:
            continue
        if hop.point.table_key != last.point.table_key:
            break
        base = by_key.get((hop.backend, *hop.point.chain_key))
        if base is not None:
            return base
    # Its beginning was not seen: any of the table's chains can have led there.
    table = [
        base
        for base in bases
        if (base.backend, *base.key[:2]) == (last.backend, *last.point.table_key)
    ]
    of_hook = [base for base in table if hook in (base.chain.hook, None)]
    first = min((base.chain.priority or 0 for base in of_hook), default=0)
    return next((base for base in of_hook if (base.chain.priority or 0) == first), None)


def hook_of_last(
    packet: Packet, hops: Sequence[HopExplanation], base: Optional[BaseChain]
) -> Optional[str]:
    """The hook of the last hop; of a chain with a name of its own it is the ruleset's.

    A netdev chain is egress's if the packet was further on before, or began in this node.
    """
    last = packet.hops[-1]
    if last.point.layer == "netdev":
        is_behind = packet.iif is None or any(hop.point.layer != "netdev" for hop in packet.hops)
        return EGRESS if is_behind else INGRESS
    hook = packet.hook_of(len(packet.hops) - 1)
    if hook is None and base is not None:
        hook = base.chain.hook
    for hop, explanation in zip(reversed(packet.hops), reversed(hops)):
        if hook is not None or hop.point.table_key != last.point.table_key:
            break
        hook = explanation.chain.hook if explanation.chain is not None else None
    return hook


def not_reached(
    packet: Packet, bases: Sequence[BaseChain], base: Optional[BaseChain], hook: Optional[str]
) -> Optional[str]:
    """A chain that the packet would have a hop in, had it gone on from its last hop.

    Empty where there is none; None where that is not known.
    """
    if hook is None:
        return None
    last = packet.hops[-1]
    # Only the first packet of a connection passes the others.
    always = [later for later in bases_without_hop(packet, bases) if not later.chain.is_nat]
    if base is not None and hook != EGRESS:
        for later in always:
            if (
                later.chain.hook == hook
                and later.layer == last.point.layer
                and _is_later(packet, later, base)
            ):
                return later.name
    return _next_hook(packet, last, always, hook)


def bases_without_hop(packet: Packet, bases: Sequence[BaseChain]) -> list[BaseChain]:
    """Those of which the packet has no hop."""
    return [base for base in bases if not _has_hop(packet, base)]


def bases_ahead(packet: Packet, bases: Sequence[BaseChain], hook: Optional[str]) -> list[BaseChain]:
    """Those of them that can come next, at this hook or the next one."""
    hooks = {hook, *_NEXT_HOOKS.get(hook or "", ())}
    return [base for base in bases_without_hop(packet, bases) if base.chain.hook in hooks]


def _next_hook(packet: Packet, last: Hop, always: Sequence[BaseChain], hook: str) -> Optional[str]:
    if hook in (INGRESS, EGRESS):
        return "" if hook == EGRESS else None
    if last.point.layer == "bridge" and hook in ("INPUT", "POSTROUTING"):
        return _above_bridge(packet, always, hook)
    layers = {last.point.layer, *(("bridge",) if _is_bridged(packet) else ())}
    hooks = {base.chain.hook for base in always if base.layer in layers}
    after = _NEXT_HOOKS.get(hook, frozenset())
    if not after & hooks:
        return ""
    return " or ".join(sorted(after)) if after <= hooks else None


def _above_bridge(packet: Packet, always: Sequence[BaseChain], hook: str) -> Optional[str]:
    """The chain of IP behind a bridge's last ones: for this node's own, or with br_netfilter."""
    was_in_ip = any(hop.point.layer == "ip" for hop in packet.hops)
    ip_hook = hook if hook == "POSTROUTING" or was_in_ip else "PREROUTING"
    if hook == "POSTROUTING" and not was_in_ip:
        return ""
    above = [base for base in always if base.layer == "ip" and base.chain.hook == ip_hook]
    if packet.header is None:
        return None if above else ""
    return above[0].name if above else "" if hook == "POSTROUTING" else None


def _is_bridged(packet: Packet) -> bool:
    """Whether the packet passed a bridge's chain between two of its ports."""
    return any(hop.point.layer == "bridge" and hop.iif and hop.oif for hop in packet.hops)


def _has_hop(packet: Packet, base: BaseChain) -> bool:
    key = (base.backend, tuple(base.key))
    return any((hop.backend, hop.point.chain_key) == key for hop in packet.hops)


def _is_later(packet: Packet, unseen_base: BaseChain, base: BaseChain) -> bool:
    """Whether a chain that was not seen comes behind another one of its hook.

    Of two with one priority either can be first; had it been that one, it would have been seen,
    unless the trace began between them.
    """
    priority, unseen_priority = base.chain.priority, unseen_base.chain.priority
    if priority is None or unseen_priority is None:
        return False
    return unseen_priority > priority or (
        unseen_priority == priority and not _began_in(packet, base)
    )


def _began_in(packet: Packet, base: BaseChain) -> bool:
    first = packet.hops[0]
    return (first.backend, first.point.table_key) == (base.backend, tuple(base.key[:2]))
