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


class Base(NamedTuple):
    """One base chain."""

    backend: str
    key: ChainKey
    chain: Chain
    is_sure: bool = True
    """Whether it was there when the packet came; else only a reading before or behind found it."""

    @property
    def name(self) -> str:
        """Table and chain, as users read them."""
        return f"{self.key.table} {self.key.name}"

    @property
    def layer(self) -> str:
        """As :attr:`Place.layer` has it."""
        return self.key.family if self.key.family in ("bridge", "netdev") else "ip"


def base_chains(packet: Packet, histories: Mapping[str, RulesetHistory]) -> Optional[list[Base]]:
    """Every base chain that packets of this family can meet, of both backends; None if not known.

    That is, as the last hop met them.
    """
    last, found = packet.hops[-1], list[Base]()
    family = "ip6" if packet.header is not None and packet.header.family == 6 else "ip"
    families = (family, "inet", "bridge", "netdev")
    for backend, history in histories.items():
        if history.is_empty and all(hop.backend != backend for hop in packet.hops):
            continue
        window = last.readings
        if backend != last.backend and window is not None:
            window = (history.latest, history.latest) if history.latest else None
        bases = history.base_chains(window, families)
        was_seen = any(hop.backend == backend for hop in packet.hops)
        is_unlisted = bool(history.why_unlisted((family, ""), window))
        if (
            bases is None
            or is_unlisted
            or (not bases and was_seen and history.has_no_base_chain(window))
        ):
            return None
        found += [Base(backend, key, chain) for key, chain in bases]
        for key, chain in history.transient_base_chains(window, families):
            one = Base(backend, key, chain)
            # A hop in it proves it.
            found.append(one._replace(is_sure=_is_seen(packet, one)))
    return [one for one in found if one.key.family in families]


def present(packet: Packet, bases: Sequence[Base]) -> Optional[Base]:
    """The base chain in which, or in a chain called from which, the last hop was."""
    last, hook = packet.hops[-1], packet.hook_of(len(packet.hops) - 1)
    by_key = {(one.backend, *one.key): one for one in bases}
    for hop in reversed(packet.hops):
        if hop.backend != last.backend:
            continue
        if hop.point.table_key != last.point.table_key:
            break
        found = by_key.get((hop.backend, *hop.point.chain_key))
        if found is not None:
            return found
    # Its beginning was not seen: any of the table's chains can have led there.
    table = [
        one for one in bases if (one.backend, *one.key[:2]) == (last.backend, *last.point.table_key)
    ]
    of_hook = [one for one in table if hook in (one.chain.hook, None)]
    first = min((one.chain.priority or 0 for one in of_hook), default=0)
    return next((one for one in of_hook if (one.chain.priority or 0) == first), None)


def hook_of_last(
    packet: Packet, hops: Sequence[HopExplanation], base: Optional[Base]
) -> Optional[str]:
    """The hook of the last hop; that of a chain with a name of its own the ruleset tells.

    A netdev chain is egress's if the packet was further on before, or began in this node.
    """
    last = packet.hops[-1]
    if last.point.layer == "netdev":
        is_behind = packet.iif is None or any(hop.point.layer != "netdev" for hop in packet.hops)
        return EGRESS if is_behind else INGRESS
    hook = packet.hook_of(len(packet.hops) - 1)
    if hook is None and base is not None:
        hook = base.chain.hook
    for hop, here in zip(reversed(packet.hops), reversed(hops)):
        if hook is not None or hop.point.table_key != last.point.table_key:
            break
        hook = here.chain.hook if here.chain is not None else None
    return hook


def not_reached(
    packet: Packet, bases: Sequence[Base], base: Optional[Base], hook: Optional[str]
) -> Optional[str]:
    """A chain that the packet would have shown a hop in, had it gone on from its last hop.

    Empty where there is none; None where that is not known.
    """
    if hook is None:
        return None
    last = packet.hops[-1]
    # Only the first packet of a connection passes the others.
    always = [one for one in unseen(packet, bases) if not one.chain.is_nat]
    if base is not None and hook != EGRESS:
        for one in always:
            if (
                one.chain.hook == hook
                and one.layer == last.point.layer
                and _is_later(packet, one, base)
            ):
                return one.name
    return _next_hook(packet, last, always, hook)


def unseen(packet: Packet, bases: Sequence[Base]) -> list[Base]:
    """Those of which the packet has no hop."""
    return [one for one in bases if not _is_seen(packet, one)]


def ahead(packet: Packet, bases: Sequence[Base], hook: Optional[str]) -> list[Base]:
    """Those of them that can come next, at this hook or the next one."""
    hooks = {hook, *_NEXT_HOOKS.get(hook or "", ())}
    return [one for one in unseen(packet, bases) if one.chain.hook in hooks]


def _next_hook(packet: Packet, last: Hop, always: Sequence[Base], hook: str) -> Optional[str]:
    if hook in (INGRESS, EGRESS):
        return "" if hook == EGRESS else None
    if last.point.layer == "bridge" and hook in ("INPUT", "POSTROUTING"):
        return _above_bridge(packet, always, hook)
    layers = {last.point.layer, *(("bridge",) if _is_bridged(packet) else ())}
    hooks = {one.chain.hook for one in always if one.layer in layers}
    after = _NEXT_HOOKS.get(hook, frozenset())
    if not after & hooks:
        return ""
    return " or ".join(sorted(after)) if after <= hooks else None


def _above_bridge(packet: Packet, always: Sequence[Base], hook: str) -> Optional[str]:
    """What IP has behind a bridge's last chains: for this node's own, or with br_netfilter."""
    was_in_ip = any(hop.point.layer == "ip" for hop in packet.hops)
    at = hook if hook == "POSTROUTING" or was_in_ip else "PREROUTING"
    if hook == "POSTROUTING" and not was_in_ip:
        return ""
    above = [one for one in always if one.layer == "ip" and one.chain.hook == at]
    if packet.header is None:
        return None if above else ""
    return above[0].name if above else "" if hook == "POSTROUTING" else None


def _is_bridged(packet: Packet) -> bool:
    """Whether the packet passed a bridge's chain between two of its ports."""
    return any(hop.point.layer == "bridge" and hop.iif and hop.oif for hop in packet.hops)


def _is_seen(packet: Packet, one: Base) -> bool:
    key = (one.backend, tuple(one.key))
    return any((hop.backend, hop.point.chain_key) == key for hop in packet.hops)


def _is_later(packet: Packet, one: Base, base: Base) -> bool:
    """Whether a chain that was not seen comes behind another one of its hook.

    Of two with one priority either can be first; had it been that one, it would have been seen,
    unless the trace began between them.
    """
    mine, other = base.chain.priority, one.chain.priority
    if mine is None or other is None:
        return False
    return other > mine or (other == mine and not _began_in(packet, base))


def _began_in(packet: Packet, base: Base) -> bool:
    first = packet.hops[0]
    return (first.backend, first.point.table_key) == (base.backend, tuple(base.key[:2]))
