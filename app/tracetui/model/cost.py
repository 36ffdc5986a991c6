"""What a TRACE rule can cost the node at worst.

On legacy, ``trace_packet()`` (net/ipv4/netfilter/ip_tables.c) scans the hop's table from its start
to find the number of the rule, for every hop and whatever logger listens. nf_tables does not.
"""

from __future__ import annotations

from typing import NamedTuple

from tracetui.model.rule import TraceRule

SCAN_SECONDS = 2.3e-9
"""Per rule of the table and hop; measured on kernel 6.18 (linear from 418 to 40,018 rules)."""
LEGACY_HOPS = 16
"""Hops of a new flow through a Kubernetes-like ruleset."""
HOP_SECONDS = {"legacy": 1.7e-6, "nft": 1.1e-6}
"""Per hop to build and send its record through netlink."""
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


def worst_case(rule: TraceRule, backend: str, table_rules: int) -> Cost:
    """The cost of ``rule`` where the largest table holds ``table_rules`` rules."""
    per_packet = LEGACY_HOPS * HOP_SECONDS[backend]
    if backend == "legacy":
        per_packet += LEGACY_HOPS * SCAN_SECONDS * table_rules
    share = None if rule.limit is None else per_packet * rule.limit * len(rule.families)
    return Cost(per_packet, share, _refusal(rule, backend, share))


def _refusal(rule: TraceRule, backend: str, share: float | None) -> str | None:
    if backend == "legacy" and share is None:
        return "on legacy a rule without a limit can hang the node"
    if backend == "legacy" and rule.is_wide:
        return "on legacy a rule that matches nearly every packet can slow the node"
    if share is not None and share > BEARABLE_SHARE:
        return f"its limit allows {share:.0%} of one core"
    return None


def _microseconds(seconds: float) -> str:
    micro = seconds * 1e6
    return f"{micro / 1000:.1f} ms" if micro >= 1000 else f"{micro:.0f} µs"
