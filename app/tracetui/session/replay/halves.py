"""Logs that show the hops of one backend alone, of packets that met rules of both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Optional

from tracetui.model.rules.history import RulesetHistory
from tracetui.model.trace.packet import Packet

LOOKED_AT = 2_000
"""Packets."""
NFT_IS_MISSING = (
    "nf_tables has rules too, by the ruleset given, and this log shows legacy hops alone: what nft "
    "rules did is missing (`nft monitor trace` shows it)"
)
LEGACY_IS_MISSING = (
    "there are legacy tables too, by the ruleset given, and this log shows hops of nf_tables "
    "alone: what legacy rules did is missing (the kernel log has it)"
)
TRACED_BY_NFT = (
    "no packet here has a hop in the table raw, where legacy TRACE rules are: a rule of nf_tables "
    "began the trace, and its hops are missing (`nft monitor trace` shows them), or lines are"
)
_FIRST_HOOKS = frozenset(("PREROUTING", "OUTPUT"))


def missing(packets: Iterable[Packet], histories: Mapping[str, RulesetHistory]) -> Optional[str]:
    """The sentence that says which backend's hops a log lacks; None if none is known to be."""
    backends: set[str] = set()
    has_raw, late = False, 0
    for packet in islice(packets, LOOKED_AT):
        points = packet.path.points
        backends.update(at.backend for at in points)
        if len(backends) > 1 or packet.hops[0].readings is not None:
            return None
        has_raw = has_raw or any(at.table == "raw" for at in points)
        late += points[0].chain in _FIRST_HOOKS
    if backends == {"nft"}:
        return LEGACY_IS_MISSING if histories["legacy"].base_chains(None) else None
    if backends != {"legacy"}:
        return None
    if histories["nft"].base_chains(None):
        return NFT_IS_MISSING
    # Of a single one the first lines may have been left out.
    return TRACED_BY_NFT if late > 1 and not has_raw else None
