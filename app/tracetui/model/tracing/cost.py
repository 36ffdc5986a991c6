"""The worst case of what a TRACE rule costs the node.

On legacy, ``trace_packet()`` (net/ipv4/netfilter/ip_tables.c) scans the hop's table from its start
to find the number of the rule, for every hop and whatever logger listens. On nf_tables,
``nft_trace_get_chain()`` (net/netfilter/nf_tables_trace.c) goes from the hop's rule to the end of
its chain to find the chain's name, whether anybody listens or not.
"""

from __future__ import annotations

from typing import NamedTuple

from tracetui.model.tracing.rule_fields import kept_limit
from tracetui.model.tracing.trace_rule import TraceRule

SCAN_SECONDS = {"legacy": 2.3e-9, "nft": 4.9e-9}
"""Per hop and rule that is scanned; measured on kernel 6.18: linear from 418 to 40,018 rules of a
legacy table, and from 1,000 to 100,000 of a chain of nf_tables."""
SCANNING_HOPS = {"legacy": 16, "nft": 2}
"""Hops that scan: on legacy those of a new flow through a Kubernetes-like ruleset; on nf_tables
those of them in the largest chain, kube-proxy's list of services."""
HOPS_PER_FLOW = 16
"""Hops of a new flow through a Kubernetes-like ruleset."""
HOP_SECONDS = {"legacy": 1.7e-6, "nft": 1.1e-6}
"""Per hop to build and send its record through netlink."""
BEARABLE_SECONDS = 200e-6
"""Of a core for one packet, above which there has to be a limit: 5,000 packets fill the core."""
BEARABLE_SHARE = 0.1
"""The part of one core that tracing may take before an override is asked for."""


class Cost(NamedTuple):
    """The worst case of one rule on one backend."""

    per_packet: float
    """CPU seconds a traced packet costs in the kernel."""
    share: float | None
    """Part of one core at the rule's limit; None when nothing limits it."""
    refusal: str | None
    """Why the rule needs an explicit override; None when it needs none."""

    @property
    def text(self) -> str:
        """One line for the form."""
        packet = f"about {_microseconds(self.per_packet)} CPU a packet"
        if self.share is None:
            return f"{packet}, and no limit on their number"
        return f"{packet}, at most {self.share:.1%} of one core"


def worst_case(rule: TraceRule, backend: str, scanned: int) -> Cost:
    """The cost of ``rule`` where the kernel scans at most ``scanned`` rules for a hop.

    On legacy those are the entries of the largest table, on nf_tables the rules of the largest
    chain.
    """
    per_packet = HOPS_PER_FLOW * HOP_SECONDS[backend]
    per_packet += SCANNING_HOPS[backend] * SCAN_SECONDS[backend] * scanned
    share = None if rule.limit is None else per_packet * kept_limit(rule.limit) * len(rule.families)
    return Cost(per_packet, share, _refusal(rule, backend, per_packet, share))


def _refusal(rule: TraceRule, backend: str, per_packet: float, share: float | None) -> str | None:
    if backend == "legacy" and share is None:
        return "on legacy a rule without a limit can hang the node"
    if backend == "legacy" and rule.is_wide:
        return "on legacy a rule that matches nearly every packet can slow the node"
    if share is None and per_packet > BEARABLE_SECONDS:
        each = _microseconds(per_packet)
        return f"without a limit it can slow the node: each packet costs {each} CPU here"
    if share is not None and share > BEARABLE_SHARE:
        return f"its limit allows {share:.0%} of one core"
    return None


def _microseconds(seconds: float) -> str:
    micro = seconds * 1e6
    return f"{micro / 1000:.1f} ms" if micro >= 1000 else f"{micro:.0f} µs"
