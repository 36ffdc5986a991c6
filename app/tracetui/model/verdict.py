"""What became of a packet, and who decided."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Optional

from tracetui.model.explanation import HopExplanation
from tracetui.model.history import CHANGED, PENDING, UNREAD, RulesetHistory
from tracetui.model.hop import NFLOG, Hop
from tracetui.model.packet import Packet
from tracetui.model.ruleset import Chain, ChainKey

_NEXT_HOOKS = {
    "PREROUTING": frozenset(("INPUT", "FORWARD")),
    "FORWARD": frozenset(("POSTROUTING",)),
    "OUTPUT": frozenset(("POSTROUTING",)),
}
_AFTER_ROUTING = "FORWARD or INPUT"


class Verdicts:
    """Judges packets by their rules, the chains they did not reach, and the node's routing."""

    def __init__(self, histories: Mapping[str, RulesetHistory]) -> None:
        self._histories = histories
        self._sysctls: list[tuple[int, Mapping[str, str]]] = []

    def set_sysctls(self, sysctls: Mapping[str, str], first_id: int = 0) -> None:
        """Note the node's routing settings (``kernel.procfs``), from a packet's id on."""
        if not self._sysctls or self._sysctls[-1][1] != sysctls:
            self._sysctls.append((first_id, dict(sysctls)))

    def era_of(self, packet: Packet) -> int:
        """How many settings had been noted when the packet came."""
        return sum(first <= packet.id for first, _ in self._sysctls)

    def of(
        self, packet: Packet, hops: tuple[HopExplanation, ...]
    ) -> tuple[str, Optional[int], str]:
        """The verdict, the hop that decided, and why, as PacketExplanation has them."""
        for index, (hop, here) in enumerate(zip(packet.hops, hops)):
            if hop.backend == "nft" and hop.verdict == "drop":
                is_reject = here.meaning is not None and here.meaning.verdict == "reject"
                return "reject" if is_reject else "drop", index, ""
        last = len(packet.hops) - 1
        if packet.hops[last].at.is_forged:
            return "unknown", None, "made up by a rule that logs; what became of it is not known"
        if hops[last].source == NFLOG:
            return "unknown", None, "its last hop may be made up by a rule that logs"
        decided = hops[last].verdict
        if decided in ("drop", "reject"):
            return decided, last, ""
        later = self._later_chain(packet, hops) if decided == "accept" else None
        if later:
            return "unknown", None, self._why_not_reached(packet, hops, later)
        if packet.verdict != "unknown" or (later == "" and _hook(packet, hops) != "PREROUTING"):
            return "accept", last, ""
        if decided == "accept":
            return "unknown", None, "accepted here; where it went from here is not in the trace"
        return "unknown", None, self._why_unknown(packet, hops)

    def _why_not_reached(self, packet: Packet, hops: tuple[HopExplanation, ...], later: str) -> str:
        if _hook(packet, hops) == "PREROUTING" and later == _AFTER_ROUTING:
            return f"not dropped by a rule: routing. {self._routing(packet)}"
        return (
            f"accepted here, but {later} was not reached: the kernel stopped it, or a hop is lost"
        )

    def _later_chain(self, packet: Packet, hops: tuple[HopExplanation, ...]) -> Optional[str]:
        """A chain that the packet would have shown a hop in, had it gone on from its last hop.

        Empty where there is none; None where that is not known.
        """
        hop, hook = packet.hops[-1], _hook(packet, hops)
        bases = self._base_chains(packet, hop)
        if hook is None or bases is None:
            return None
        # Only the first packet of a connection passes the others.
        always = [(key, chain) for key, chain in bases if not chain.is_nat]
        here = max(
            (
                chain.priority
                for key, chain in bases
                if key[:2] == (hop.family, hop.table)
                and chain.hook == hook
                and chain.priority is not None
                and hop.chain in (key.name, *_user_chain(hop, bases))
            ),
            default=None,
        )
        for key, chain in always:
            is_later = here is not None and chain.priority is not None and chain.priority > here
            if chain.hook == hook and is_later:
                return f"{key.table} {key.name}"
        after, hooks = _NEXT_HOOKS.get(hook, frozenset()), {chain.hook for _, chain in always}
        if not after & hooks:
            return ""
        return " or ".join(sorted(after)) if after <= hooks else None

    def _base_chains(self, packet: Packet, hop: Hop) -> Optional[list[tuple[ChainKey, Chain]]]:
        """The base chains for packets of this family, of both backends; None if not known."""
        found: list[tuple[ChainKey, Chain]] = []
        for backend, history in self._histories.items():
            if history.is_empty and all(one.backend != backend for one in packet.hops):
                continue
            window = hop.readings
            if backend != hop.backend and window is not None:
                window = (history.latest, history.latest) if history.latest else None
            bases = history.base_chains(window)
            if bases is None:
                return None
            family = "ip6" if packet.header is not None and packet.header.family == 6 else "ip"
            found += [one for one in bases if one[0].family in (family, "inet")]
        return found

    def _routing(self, packet: Packet) -> str:
        """What can have stopped a packet between PREROUTING and its next hook."""
        header, causes, sysctls = packet.header, [], self._sysctls_of(packet)
        if header is not None and header.dst is not None and _is_multicast(header.dst):
            return "It is multicast that nothing here has asked for, or that is not forwarded"
        if header is not None and header.ttl == 1:
            causes.append("its TTL is 1, so it can't be forwarded")
        is_v6 = header is not None and header.family == 6
        name = "ipv6.forwarding" if is_v6 else "ipv4.ip_forward"
        if sysctls.get(name) == "0":
            causes.append(f"net.{name.replace('ipv6.', 'ipv6.conf.all.')} is 0 here")
        if not is_v6:
            causes += _reverse_path(packet.iif, sysctls)
        causes.append("no route to the destination")
        if not sysctls:
            causes.append("or ip_forward or rp_filter, which can't be read here")
        return f"Likely causes: {'; '.join(causes)}"

    def _sysctls_of(self, packet: Packet) -> Mapping[str, str]:
        """What was set when the packet came, as far as that is known."""
        era = self.era_of(packet)
        return self._sysctls[era - 1][1] if era else {}

    def _why_unknown(self, packet: Packet, hops: tuple[HopExplanation, ...]) -> str:
        last = hops[-1]
        if last.state == PENDING:
            return "the rules are being read"
        if last.state == UNREAD and last.verdict is None:
            return "stopped here, or the trace did; without the rules it can't be told which"
        if last.state == CHANGED and last.verdict is None:
            return "the ruleset changed, so its last rule can't be told"
        if last.verdict == "queue":
            return "handed to a program (NFQUEUE), which decides"
        return "the trace ends here: its next hop was lost, or a match dropped it without a hop"


def _reverse_path(iif: Optional[str], sysctls: Mapping[str, str]) -> list[str]:
    # The larger value of all and the interface holds (ip-sysctl.rst, rp_filter).
    values = {sysctls.get(f"rp_filter.{one}", "0") for one in ("all", iif or "default")}
    if max(values) == "0":
        return []
    is_strict = max(values) == "1"
    way = f"not by {iif}" if is_strict and iif else "by no interface"
    return [f"rp_filter is on for {iif or 'the interface'} and its source is routed {way}"]


def _is_multicast(address: str) -> bool:
    return ipaddress.ip_address(address).is_multicast


def _hook(packet: Packet, hops: tuple[HopExplanation, ...]) -> Optional[str]:
    """The hook of the last hop; that of a chain in a table of nft's own the ruleset tells."""
    hook = packet.hook_of(len(packet.hops) - 1)
    last = packet.hops[-1]
    for hop, here in zip(reversed(packet.hops), reversed(hops)):
        if hook is not None or (hop.family, hop.table) != (last.family, last.table):
            break
        hook = here.chain.hook if here.chain is not None else None
    return hook


def _user_chain(hop: Hop, bases: list[tuple[ChainKey, Chain]]) -> tuple[str, ...]:
    """The hop's chain if it is no base chain: any of its table can have led there."""
    names = {key.name for key, _ in bases if key[:2] == (hop.family, hop.table)}
    return () if hop.chain in names else (hop.chain,)
