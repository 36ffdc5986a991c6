"""The choice between the two backends: the one that holds the node's rules."""

from __future__ import annotations

from collections.abc import Mapping

from tracetui.collector.rules.table_counts import TableCounts


def choose_backend(counts: Mapping[str, TableCounts], backends: tuple[str, ...]) -> tuple[str, str]:
    """The backend that holds the node's rules, and what that rests on.

    As kubernetes-sigs/iptables-wrappers: kubelet's marker chain decides, nft looked at first;
    without one legacy must hold more rules than nft.
    """
    for backend in ("nft", "legacy"):
        if backend in counts and counts[backend].kubelet:
            return backend, "kubelet's chain is there"
    legacy, nft = (counts[b].total if b in counts else 0 for b in ("legacy", "nft"))
    if len(backends) == 1:
        return backends[0], "the only iptables here"
    return ("legacy" if legacy > nft else "nft"), f"{nft} rules in nft, {legacy} in legacy"
