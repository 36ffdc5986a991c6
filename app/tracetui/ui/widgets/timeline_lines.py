"""The lines of the timeline: one for a packet, one for each of its hops."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Optional

from tracetui.model.hop import HOOKS, Hop
from tracetui.model.packet import Packet
from tracetui.session import report
from tracetui.session.inert import inert

MARKS = {"accept": "✓ accept", "drop": "✗ drop", "reject": "✗ reject", "unknown": "· unknown"}
"""Verdicts are told apart without colour."""
_NAT = " ⇒ "


class Piece(NamedTuple):
    """A part of a line and what it is, which gives its look."""

    text: str
    role: str
    """The component class is ``timeline--ROLE``."""


Line = tuple[Piece, ...]


class Columns(NamedTuple):
    """Which columns a width has room for; they give way from the least needed one."""

    time: int
    proto: int
    endpoints: int
    devices: int
    hops: int
    verdict: int

    @classmethod
    def fitting(cls, width: int) -> Columns:
        """The columns of a pane that many cells wide."""
        time = 12 if width >= 88 else 8 if width >= 58 else 0
        proto = 17 if width >= 110 else 12 if width >= 64 else 8
        devices = 23 if width >= 132 else 0
        hops = 8 if width >= 96 else 3
        verdict = 9 if width >= 56 else 1
        taken = 2 + sum(part + 1 for part in (time, proto, devices, hops, verdict) if part)
        return cls(time, proto, max(10, width - taken), devices, hops, verdict)


def packet_line(packet: Packet, columns: Columns, is_unfolded: bool) -> Line:
    """The line of a packet."""
    verdict = packet.verdict
    pieces = [Piece("▾ " if is_unfolded else "▸ ", "fold")]
    if columns.time:
        pieces.append(Piece(report.clock(packet.time)[: columns.time] + " ", "time"))
    pieces.append(Piece(_cell(report.protocol(packet.header), columns.proto), "proto"))
    pieces += _endpoints(packet, columns.endpoints)
    if columns.devices:
        way = f"{packet.iif or '·'} → {packet.oif or '·'}"
        pieces.append(Piece(_cell(way, columns.devices), "device"))
    count = f"{len(packet.hops)} hops" if columns.hops >= 8 else str(len(packet.hops))
    pieces.append(Piece(count.rjust(columns.hops) + " ", "hops"))
    pieces.append(Piece(MARKS[verdict][: columns.verdict].ljust(columns.verdict), verdict))
    return tuple(pieces)


def hop_lines(packet: Packet, width: int) -> Iterator[Line]:
    """One line for each hop, in path order: hook and table where they begin, then the hop."""
    is_mixed = len({hop.backend for hop in packet.hops}) > 1
    for group in packet.hops_at():
        hook = group.hook or "hook ?"
        for table in group.tables:
            chains: list[str] = []
            name = table.table if table.family in ("ip", "ip6") else f"{table.family} {table.table}"
            label = f"{name} {table.backend}" if is_mixed else name
            for index, hop in table.hops:
                depth = _depth(chains, hop)
                yield _hop_line(packet, index, (hook, label, depth), width)
                hook = label = ""


def _hop_line(packet: Packet, index: int, place: tuple[str, str, int], width: int) -> Line:
    hop, (hook, table, depth) = packet.hops[index], place
    left = [
        Piece(f"  {hook:<12}", "hook"),
        Piece(_cell(table, 13), "table"),
        Piece(inert(_what(hop, depth)), "hop"),
    ]
    if hop.verdict and hop.verdict != "continue":
        role = hop.verdict if hop.verdict in MARKS else "jump"
        left.append(Piece(f"  {inert(_verdict(hop.verdict))}", role))
    us = packet.us(index)
    time = "" if us is None else f"+{us:,} µs "
    used = sum(len(piece.text) for piece in left)
    if used + len(time) + 1 <= width:
        left.append(Piece(" " * (width - used - len(time)) + time, "us"))
    return tuple(left)


def _what(hop: Hop, depth: int) -> str:
    """The hop's chain, indented as deep as its jumps lead, and its number there."""
    chain = "" if hop.chain in HOOKS else f"{'  ' * max(0, depth - 1)}└ {hop.chain} "
    if hop.backend == "legacy":
        return f"{chain}{hop.type} {hop.rulenum}"
    return f"{chain}{hop.type}" + ("" if hop.handle is None else f" handle {hop.handle}")


def _verdict(verdict: str) -> str:
    if verdict.startswith(("jump ", "goto ")):
        return verdict.replace("jump ", "→ ", 1)
    return MARKS.get(verdict, verdict)


def _depth(chains: list[str], hop: Hop) -> int:
    """How many jumps deep a hop is; ``chains`` are those entered so far and is kept up to date."""
    if hop.chain in chains:
        del chains[chains.index(hop.chain) + 1 :]
    else:
        chains.append(hop.chain)
    return len(chains) - (1 if chains[0] in HOOKS else 0)


def _endpoints(packet: Packet, width: int) -> Iterator[Piece]:
    """Source, destination and, after NAT, where the packet really goes."""
    rewritten = _rewritten(packet)
    least = len(_NAT) + 1 if rewritten else 0
    plain = _fitted(inert(report.endpoints(packet.header)), max(0, width - least))
    yield Piece(plain, "endpoints")
    mark = _NAT + _tail(rewritten, width - len(plain) - len(_NAT)) if rewritten else ""
    yield Piece(mark, "nat")
    yield Piece(" " * max(0, width - len(plain) - len(mark)) + " ", "endpoints")


def _rewritten(packet: Packet) -> Optional[str]:
    nat = packet.nat
    if not nat:
        return None
    if "dst" in nat or "dport" in nat:
        return inert(report.destination(packet))
    return inert(f"from {nat.get('src', '')}")


def _cell(text: str, width: int) -> str:
    return _fitted(inert(text), width).ljust(width) + " "


def _fitted(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def _tail(text: str, width: int) -> str:
    """The end of an address, which tells more than its start."""
    return text if len(text) <= width else "…" + text[len(text) - max(0, width - 1) :]
