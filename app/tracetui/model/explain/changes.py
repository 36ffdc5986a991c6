"""Fields that were rewritten on a packet's path, and by which rule or part of the kernel."""

from __future__ import annotations

from tracetui.model.explain.explanation import FieldChange, HopExplanation
from tracetui.model.trace.hop import Hop
from tracetui.model.trace.packet import Packet
from tracetui.model.trace.path_template import Value

_PAIRS = (("src", "sport"), ("dst", "dport"))
_CHANGED_TOGETHER = (*_PAIRS, ("ttl",), ("mark",), ("mac",), ("in",), ("out",))


def changes(packet: Packet, hops: tuple[HopExplanation, ...]) -> list[FieldChange]:
    """Every rewritten field, at the hop that did it."""
    last_values: dict[str, Value] = {}
    rewritten: list[FieldChange] = []
    for index, changed in enumerate(packet.changed_at_each()):
        for names in _CHANGED_TOGETHER if changed else ():
            if not any(name in changed for name in names):
                continue
            old = (
                last_values.get(names[0]),
                last_values.get(names[-1]) if len(names) > 1 else None,
            )
            values = {**last_values, **changed}
            value = (values.get(names[0]), values.get(names[-1]) if len(names) > 1 else None)
            cause, hop_index = _cause(packet, hops, index, names)
            rewritten.append(FieldChange(names[0], old, value, cause, hop_index))
        _note_values(last_values, packet.hops[index])
    return rewritten


def _note_values(values: dict[str, Value], hop: Hop) -> None:
    values["mark"] = hop.mark or 0
    for name, value in (("in", hop.iif), ("out", hop.oif), ("mac", hop.mac)):
        if value is not None:
            values[name] = value
    if hop.header is not None:
        for name in ("src", "sport", "dst", "dport", "ttl"):
            values[name] = getattr(hop.header, name)


def _cause(
    packet: Packet, hops: tuple[HopExplanation, ...], index: int, names: tuple[str, ...]
) -> tuple[str, int]:
    """Who rewrote a field that is first seen new at a hop, and at which hop."""
    if names[0] in ("in", "out"):
        return "routing", index
    # nf_tables reports a rule after it ran, the legacy tables before.
    last = index if packet.hops[index].backend == "nft" else index - 1
    for before in range(last, -1, -1):
        hop, parsed = packet.hops[before], hops[before].parsed
        if parsed is not None and set(parsed.changes) & set(names):
            return "rule", before
        if parsed is None and hop.type == "rule" and _may_rewrite(packet, before, index, names):
            return "rule", before
        if before < index and _shows(hop, names):
            # It still had the old value, so nothing before it is to blame.
            break
    if names in _PAIRS:
        # Without the ruleset it can be a rule as well, of which no hop is there.
        return ("conntrack" if hops[index].chain is not None else "?"), index
    return ("routing" if names == ("ttl",) else "?"), index


def _may_rewrite(packet: Packet, before: int, index: int, names: tuple[str, ...]) -> bool:
    """Whether a rule without text can be the one; NAT is done where a nat table is left."""
    hop = packet.hops[before]
    if names in _PAIRS:
        return hop.table == "nat" and not (
            before + 1 < index and packet.hops[before + 1].table == "nat"
        )
    return names == ("mark",)


def _shows(hop: Hop, names: tuple[str, ...]) -> bool:
    """Whether a hop shows the value of these fields."""
    if names == ("mark",):
        return True
    return hop.mac is not None if names == ("mac",) else hop.header is not None
