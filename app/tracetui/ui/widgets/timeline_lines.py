"""The lines of the timeline: one for a packet, one for each of its hops."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, Optional

from tracetui.model import chain_names
from tracetui.model.explanation import HopExplanation, PacketExplanation
from tracetui.model.history import KNOWN
from tracetui.model.hop import Hop
from tracetui.model.packet import Packet, TableHops
from tracetui.model.passed_by import passed_by
from tracetui.model.place import built_in_hook
from tracetui.model.rule_meaning import contradiction, meaning
from tracetui.model.ruleset import ListedRule
from tracetui.session import report
from tracetui.session.cells import cells_of, fitted, padded, shown, tail
from tracetui.session.inert import inert

MARKS = {"accept": "✓ accept", "drop": "✗ drop", "reject": "✗ reject", "unknown": "· unknown"}
"""Verdicts are told apart without colour."""
TESTED_SHOWN = 20
"""Rules passed by that are listed before one hop: those next to it."""
LONGEST = 2000
"""Characters of a rule that are read: more than a line has cells."""
_NAT = " ⇒ "
_CHAIN_OF_RULE = re.compile(r"^-A \S+ ", re.ASCII)
_COMMENT_OF_RULE = re.compile(
    r'(?:-m comment )?--comment (?:"(?:[^"\\]|\\.)*"|\S+) ?|comment "[^"]*"'
)


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


def packet_line(
    packet: Packet, explanation: PacketExplanation, columns: Columns, marks: str
) -> Line:
    """The line of a packet; ``marks`` are the two cells before it."""
    verdict = explanation.verdict
    pieces = [Piece(marks, "fold")]
    if columns.time:
        pieces.append(Piece(report.clock(packet.time)[: columns.time] + " ", "time"))
    pieces.append(Piece(_cell(report.protocol(packet.header), columns.proto), "proto"))
    pieces += _endpoints(packet, columns.endpoints)
    if columns.devices:
        way = f"{packet.iif or '·'} → {packet.oif or '·'}"
        pieces.append(Piece(_cell(way, columns.devices), "device"))
    count = f"{len(packet.hops)} hops" if columns.hops >= 8 else str(len(packet.hops))
    pieces.append(Piece(count.rjust(columns.hops) + " ", "hops"))
    said = "… reading" if verdict == "unknown" and explanation.is_pending else MARKS[verdict]
    pieces.append(Piece(said[: columns.verdict].ljust(columns.verdict), verdict))
    return tuple(pieces)


class Detail(NamedTuple):
    """One line under an unfolded packet."""

    hop: int
    """The hop's index; of a rule that was passed by, that of the hop behind it."""
    line: Line
    tested: Optional[int] = None
    """The number of a rule that was passed by; None for a hop."""


class Asked(NamedTuple):
    """What is shown of hops only when asked for."""

    own: bool = False
    """Hops of TRACE rules of ours."""
    tested: bool = False
    """The rules that were passed by."""


def details(
    packet: Packet, explanation: PacketExplanation, asked: Asked, width: int
) -> list[Detail]:
    """One line for each hop, in path order: hook and table where they begin, then the hop."""
    is_mixed = len({hop.backend for hop in packet.hops}) > 1
    slowest = packet.slowest
    found: list[Detail] = []
    for group in packet.hops_at():
        hook = group.hook or ""
        for table in group.tables:
            hook = hook or ("" if group.hook else _hook_in_ruleset(explanation, table) or "hook ?")
            chains: list[str] = []
            name = table.table if table.family in ("ip", "ip6") else f"{table.family} {table.table}"
            label = f"{name} {table.backend}" if is_mixed else name
            for index, hop in table.hops:
                depth = _depth(chains, hop)
                if explanation.hops[index].is_own and not asked.own:
                    continue
                is_entered = not found or packet.hops[found[-1].hop].chain != hop.chain
                passed = passed_by(packet, explanation.hops, index) if asked.tested else ()
                if passed := tuple(one for one in passed if asked.own or not _is_own(one[1])):
                    place = _Place(hook, label, depth, "")
                    found += _passed_by(packet, index, place, passed, width)
                    hook = label = ""
                us = _us(packet, index, slowest)
                name = _name(explanation, index, hop) if is_entered else ""
                place = _Place(hook, label, depth, name)
                found.append(Detail(index, _hop_line(hop, explanation, index, place, us, width)))
                hook = label = ""
    return found


def _hook_in_ruleset(explanation: PacketExplanation, table: TableHops) -> Optional[str]:
    """The hook of hops in a table of nft's own, whose chains have names of their own."""
    chains = (explanation.hops[index].chain for index, _ in table.hops)
    return next((chain.hook for chain in chains if chain is not None and chain.hook), None)


class _Place(NamedTuple):
    hook: str
    table: str
    depth: int
    name: str
    """What the chain is, where it is entered."""


def _hop_line(
    hop: Hop, explanation: PacketExplanation, index: int, place: _Place, us: str, width: int
) -> Line:
    here = explanation.hops[index]
    pieces = [
        Piece(f"  {place.hook:<12}", "hook"),
        Piece(_cell(place.table, 13), "table"),
        Piece(shown(_what(hop, here, place.depth), width), "hop"),
    ]
    if here.verdict and here.verdict != "continue":
        role = here.verdict if here.verdict in MARKS else "jump"
        pieces.append(Piece(f" {shown(_verdict(here.verdict), width)}", role))
    change = report.changes_text(explanation, index)
    parts = (
        (change, "change"),
        (here.comment, "comment"),
        (place.name, "name"),
        (_rule(here), "rule" if here.rule is not None else "unread"),
    )
    pieces += [Piece(f"  {shown(text, width)}", role) for text, role in parts if text]
    return _with_time(pieces, us, width)


def _name(explanation: PacketExplanation, index: int, hop: Hop) -> str:
    """What a hop's chain is, by its name and the rule that led there."""
    comment = explanation.hops[index - 1].comment if index else None
    return chain_names.label(hop.chain, explanation.hops[index].chain, comment, short=True)


def _rule(here: HopExplanation) -> str:
    """The rule without what stands beside it: its chain and its comment."""
    if here.rule is None or here.rule.text is None:
        return report.rule_text(here)
    text = _CHAIN_OF_RULE.sub("", here.rule.text[:LONGEST])
    return _COMMENT_OF_RULE.sub("", text)


def _passed_by(
    packet: Packet,
    index: int,
    place: _Place,
    passed: tuple[tuple[int, ListedRule], ...],
    width: int,
) -> Iterator[Detail]:
    """The rules of a chain that stand before a hop, as the ruleset has them."""
    hop, (hook, table, depth, _) = packet.hops[index], place
    texts = [(passed[0][0], f"{len(passed) - TESTED_SHOWN:,} rules of {hop.chain} before these")]
    texts = texts if len(passed) > TESTED_SHOWN else []
    for number, rule in passed[-TESTED_SHOWN:]:
        text = _CHAIN_OF_RULE.sub("", (rule.text or "(its text can't be read)")[:LONGEST])
        texts.append((number, f"{number} {_why_passed_by(packet, index, rule)}{text}"))
    for number, text in texts:
        line = [
            *(Piece(f"  {hook:<12}", "hook"), Piece(_cell(table, 13), "table")),
            Piece(shown(f"{'  ' * depth}· {text}", width), "tested"),
        ]
        yield Detail(index, _fit(line, width), number)
        hook = table = ""


def _why_passed_by(packet: Packet, index: int, rule: ListedRule) -> str:
    """The test that the packet failed, where its header tells."""
    # nft tells header and interfaces only where a base chain begins.
    told = next((one for one in reversed(packet.hops[: index + 1]) if one.header is not None), None)
    if told is None or not rule.text:
        return "passed by: "
    failed = contradiction(meaning(rule.text), told.header, told.iif, told.oif)
    return f"passed by, not {failed.text}: " if failed else "passed by: "


def _is_own(rule: ListedRule) -> bool:
    return HopExplanation(KNOWN, None, rule).is_own


def _us(packet: Packet, index: int, slowest: Optional[int]) -> str:
    us = packet.us(index)
    if us is None:
        return ""
    return f"{'slowest ' if index == slowest else ''}+{us:,} µs "


def _with_time(pieces: list[Piece], us: str, width: int) -> Line:
    """The pieces, cut where they would reach into the time at the right."""
    room = max(0, width - len(us) - 1)
    line = list(_fit(pieces, room))
    used = sum(cells_of(piece.text) for piece in line)
    role = "slowest" if us.startswith("slowest") else "us"
    return (*line, Piece(" " * max(0, width - used - len(us)) + us, role))


def _fit(pieces: list[Piece], width: int) -> Line:
    line: list[Piece] = []
    for piece in pieces:
        if width <= 0:
            break
        line.append(piece._replace(text=fitted(piece.text, width)))
        width -= cells_of(piece.text)
    return tuple(line)


def _what(hop: Hop, here: HopExplanation, depth: int) -> str:
    """The hop's chain, indented as deep as its jumps lead, and its number there."""
    chain = "" if hop.is_in_base_chain else f"{'  ' * max(0, depth - 1)}└ {hop.chain} "
    if hop.backend == "legacy":
        return f"{chain}{hop.type} {hop.rulenum}"
    if hop.handle is None:
        return f"{chain}{hop.type}"
    return f"{chain}{hop.type} {here.number}" if here.number else f"{chain}handle {hop.handle}"


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
    return len(chains) - (built_in_hook(hop.table, chains[0]) is not None)


def _endpoints(packet: Packet, width: int) -> Iterator[Piece]:
    """Source, destination and, after NAT, where the packet really goes."""
    rewritten = _rewritten(packet)
    least = len(_NAT) + 1 if rewritten else 0
    plain = shown(report.endpoints(packet.header), max(0, width - least))
    yield Piece(plain, "endpoints")
    mark = _NAT + tail(rewritten, width - cells_of(plain) - len(_NAT)) if rewritten else ""
    yield Piece(mark, "nat")
    yield Piece(" " * max(0, width - cells_of(plain + mark)) + " ", "endpoints")


def _rewritten(packet: Packet) -> Optional[str]:
    nat = packet.nat
    if not nat:
        return None
    if "dst" in nat or "dport" in nat:
        return inert(report.destination(packet))
    return inert(f"from {nat.get('src', '')}")


def _cell(text: str, width: int) -> str:
    return padded(shown(text, width), width) + " "
