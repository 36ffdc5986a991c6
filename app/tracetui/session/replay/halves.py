"""Logs that show the hops of one backend alone, of packets that met rules of both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Optional

from tracetui.model.rules.history import RulesetHistory
from tracetui.model.trace.packet import Packet

PACKETS_CHECKED = 2_000
"""Packets checked for hops of both backends."""
NFT_IS_MISSING = (
    "the given ruleset has nf_tables rules too, but this log shows only legacy hops: those of nft "
    "rules are missing (`nft monitor trace` shows them)"
)
LEGACY_IS_MISSING = (
    "the given ruleset has legacy tables too, but this log shows only hops of nf_tables: "
    "those of legacy rules are missing (the kernel log has them)"
)
TRACED_BY_NFT = (
    "no packet here has a hop in the raw table, where legacy TRACE rules are: a rule of nf_tables "
    "began the trace and its hops are missing (`nft monitor trace` shows them), or lines are"
)
_FIRST_HOOKS = frozenset(("PREROUTING", "OUTPUT"))


def missing_hops(
    packets: Iterable[Packet], histories: Mapping[str, RulesetHistory]
) -> Optional[str]:
    """The sentence that says which backend's hops a log lacks; None if none is known to be."""
    backends: set[str] = set()
    has_raw, later_hooks = False, 0
    for packet in islice(packets, PACKETS_CHECKED):
        points = packet.path.points
        backends.update(point.backend for point in points)
        if len(backends) > 1 or packet.hops[0].interval is not None:
            return None
        has_raw = has_raw or any(point.table == "raw" for point in points)
        later_hooks += points[0].chain in _FIRST_HOOKS
    if backends == {"nft"}:
        return LEGACY_IS_MISSING if histories["legacy"].base_chains(None) else None
    if backends != {"legacy"}:
        return None
    if histories["nft"].base_chains(None):
        return NFT_IS_MISSING
    # Of a single one the first lines may have been left out.
    return TRACED_BY_NFT if later_hooks > 1 and not has_raw else None
