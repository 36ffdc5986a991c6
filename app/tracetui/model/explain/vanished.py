"""Causes in words, known or likely, of a packet leaving no further hop."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Optional

from tracetui.model.explain.base_chains import BaseChain
from tracetui.model.explain.explanation import HopExplanation
from tracetui.model.explain.routes import ROUTES_SETTING, refusal
from tracetui.model.rules.ruleset import ListedRule
from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import Hop
from tracetui.model.trace.packet import Packet

_FORWARDED_TO = re.compile(r"\bfwd (?:ip6? )?to (\S+)")
_FIXED_PORT = re.compile(
    r"(?:(?:--to-source |\bsnat (?:ip6? )?to )(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|\[\S{2,45}\]):"
    r"|-j MASQUERADE --to-ports |\bmasquerade to :)[0-9]{1,5}(?![0-9-])"
)
"""In the text of a rule of source NAT; a range of ports leaves a choice."""
LARGEST_SAFE_BYTES = 577
"""Bytes: what is smaller fits nearly every link (RFC 791, section 3.2, has 576 for a host)."""
_DF = 0x40
"""In the seventh byte of an IPv4 header: don't fragment."""
UNREADABLE = (
    "the packet or its trace ended here: legacy tables are in use (/proc/net/ip_tables_names), but "
    "their rules can't be read; is iptables-legacy installed?"
)
_MULTICAST = "is multicast that nothing here has asked for, or that is not forwarded"
SNAT_CLASH = (
    "unless another connection has that port already: SNAT to a fixed port then fails behind the "
    "last rule (insert_failed in /proc/net/stat/nf_conntrack)"
)


def taker(explanation: HopExplanation) -> Optional[str]:
    """The taker of a packet that its last rule gave away; None where it gave it to none."""
    text = explanation.rule.text or "" if explanation.rule is not None else ""
    target = explanation.parsed.target if explanation.parsed is not None else None
    if target == "SYNPROXY" or (explanation.verdict == "stolen" and "synproxy" in text):
        return "taken over by SYNPROXY, which answers for the server"
    if explanation.verdict == "stolen":
        device = _FORWARDED_TO.search(text)
        if device is not None:
            return f"taken over: sent out of {device[1]} by fwd, past all other chains"
        return f"taken over by {target or 'its last rule'} (stolen)"
    if explanation.verdict == "queue":
        return (
            "handed to a program (NFQUEUE), which decides; one that listens to no such queue drops "
            "it (/proc/net/netfilter/nfnetlink_queue)"
        )
    return None


def tproxy_cause(explanation: HopExplanation) -> Optional[str]:
    """Why a packet is not seen behind TPROXY; None behind another rule.

    It drops what no socket takes; what one takes can't be forwarded (net/netfilter/xt_TPROXY.c,
    nft_tproxy.c; net/ipv4/ip_forward.c).
    """
    parsed = explanation.parsed
    text = explanation.rule.text or "" if explanation.rule is not None else ""
    if parsed is None or (parsed.target != "TPROXY" and "tproxy to" not in text):
        return None
    needs = "the route of its mark must be a local one (ip rule fwmark, ip route add local)"
    if explanation.verdict == "accept":
        return f"TPROXY gave it to a socket here, but routing did not: {needs}"
    return f"TPROXY: it drops what no socket here takes; and {needs}"


def trace_switched_off(
    hop: Hop, explanation: HopExplanation, unseen: Sequence[BaseChain]
) -> Optional[str]:
    """The rule that may have switched the trace off; None without one.

    The kernel reports no hop of that rule, nor of anything behind it (nf_tables_trace.c).
    """
    rules = explanation.chain.rules if explanation.chain is not None and hop.type == "rule" else ()
    if _switches_off(rules[explanation.number or 0 :]):
        return f"the trace may have been switched off: a rule of {hop.chain} sets nftrace to 0"
    base = next(
        (base_ahead for base_ahead in unseen if _switches_off(base_ahead.chain.rules)), None
    )
    if base is None:
        return None
    return f"the trace may have been switched off: a rule of {base.name} sets nftrace to 0"


def _switches_off(rules: Sequence[ListedRule]) -> bool:
    return any("meta nftrace set 0" in (rule.text or "") for rule in rules)


def snat_clash(hops: Sequence[HopExplanation]) -> str:
    """Why an accepted packet can still be dropped by its source NAT; mostly empty."""
    rules = [explanation.rule.text or "" for explanation in hops if explanation.rule is not None]
    return SNAT_CLASH if any(_FIXED_PORT.search(text) for text in rules) else ""


def routing_causes(packet: Packet, sysctls: Mapping[str, str]) -> str:
    """Likely causes that stop a packet between PREROUTING and its next hook."""
    causes = _shown_causes(packet, sysctls)
    if causes == [_MULTICAST]:
        return f"It {_MULTICAST}"
    header = _last_header(packet)
    causes += [*_of_routes(header, sysctls), *_too_large(header)]
    if not sysctls:
        causes.append("or ip_forward or rp_filter, which can't be read here")
    return f"Likely causes: {'; '.join(causes)}"


def likely_routing(packet: Packet, hook: Optional[str], sysctls: Mapping[str, str]) -> str:
    """Signs of routing where a packet left PREROUTING, or ended there, without its rules.

    Empty without any.
    """
    if packet.hops[-1].type != "policy" or hook != "PREROUTING":
        return ""
    causes = _shown_causes(packet, sysctls)
    return f". Likely causes, if no policy dropped it: {'; '.join(causes)}" if causes else ""


def _shown_causes(packet: Packet, sysctls: Mapping[str, str]) -> list[str]:
    """Signs of routing: in the packet itself, or in the node's settings when it came."""
    header, causes = _last_header(packet), list[str]()
    if header is not None and header.dst is not None and _is_multicast(header.dst):
        return [_MULTICAST]
    if header is not None and header.ttl == 1:
        causes.append("its TTL is 1, so it can't be forwarded")
    is_v6 = header is not None and header.family == 6
    name = "ipv6.forwarding" if is_v6 else "ipv4.ip_forward"
    if sysctls.get(name) == "0":
        causes.append(f"net.{name.replace('ipv6.', 'ipv6.conf.all.')} is 0 here")
    if not is_v6:
        causes += _reverse_path(packet.iif, sysctls)
    if header is not None and header.dst is not None and _is_foreign_loopback(packet, header.dst):
        causes.append(
            f"its destination is {header.dst}, which is taken from {packet.iif} only with "
            f"net.ipv4.conf.{packet.iif}.route_localnet=1"
        )
    return causes


def _of_routes(header: Optional[Header], sysctls: Mapping[str, str]) -> list[str]:
    """The refusal by the node's routes; the possible ones where the routes are not known."""
    dst = None if header is None else header.dst
    refused = None if dst is None else refusal(dst, sysctls.get(ROUTES_SETTING, ""))
    if refused is None:
        return [
            "no route to the destination, or one that refuses it (blackhole, unreachable, prohibit)"
        ]
    return [refused] if refused else []


def _too_large(header: Optional[Header]) -> list[str]:
    """Routing's answer to what does not fit (net/ipv4/ip_forward.c, ip_exceeds_mtu)."""
    if header is None or header.length is None:
        return ["larger than the MTU of its path and not to be fragmented"]
    raw = header.raw if header.family == 4 else None
    is_whole = raw is not None and len(raw) >= 8
    if header.length < LARGEST_SAFE_BYTES or (raw is not None and is_whole and not raw[6] & _DF):
        return []
    df = "it has DF" if is_whole else "not to be fragmented"
    return [f"larger ({header.length:,} bytes) than the MTU of its path, and {df}"]


def accepted_without_next(hook: Optional[str], are_rules_known: bool) -> str:
    """The sentence on a packet that was accepted where no chain behind would have a hop of it."""
    accepted = f"accepted in {hook}" if hook else "accepted here"
    if hook == "PREROUTING" and are_rules_known:
        return (
            f"{accepted}; delivered to this node, forwarded or stopped by routing: no chain "
            "behind it would show that"
        )
    return f"{accepted}; where it went from there is not in the trace"


def _last_header(packet: Packet) -> Optional[Header]:
    """The packet as it was seen last: DNAT shows behind itself."""
    return next((hop.header for hop in reversed(packet.hops) if hop.header), packet.header)


def _is_foreign_loopback(packet: Packet, address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return parsed.version == 4 and parsed.is_loopback and packet.iif not in (None, "lo")


def _reverse_path(iif: Optional[str], sysctls: Mapping[str, str]) -> list[str]:
    # The larger value of all and the interface holds (ip-sysctl.rst, rp_filter).
    values = {sysctls.get(f"rp_filter.{device}", "0") for device in ("all", iif or "default")}
    if max(values) == "0":
        return []
    is_strict = max(values) == "1"
    path = f"not by {iif}" if is_strict and iif else "by no interface"
    return [f"rp_filter is on for {iif or 'the interface'} and its source is routed {path}"]


def _is_multicast(address: str) -> bool:
    return ipaddress.ip_address(address).is_multicast
