"""The lines under an unfolded packet: one for each hop, or one for each hook."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple, Optional

from tracetui.model.explain.explanation import HopExplanation, PacketExplanation
from tracetui.model.explain.unmatched import unmatched_before
from tracetui.model.rules import chain_names
from tracetui.model.rules.lookup import KNOWN
from tracetui.model.rules.parsed_rule import mismatch, parse_rule
from tracetui.model.rules.ruleset import ListedRule
from tracetui.model.trace.hook_hops import HookHops, TableHops, by_hook
from tracetui.model.trace.hop import Hop
from tracetui.model.trace.packet import Packet
from tracetui.model.trace.trace_point import built_in_hook
from tracetui.session.recording import report
from tracetui.session.text.width import cells_of, shown
from tracetui.ui.widgets.text_parts import MARKS, Line, TextPart, cell, fit

TESTED_SHOWN = 20
"""Rules passed by that are listed before one hop: those next to it."""
LONGEST = 2000
"""Characters of a rule that are read: more than a line has cells."""
_FOLDED, _UNFOLDED = "▸", "▾"
_CHAIN_OF_RULE = re.compile(r"^-A \S+ ", re.ASCII)
_COMMENT_OF_RULE = re.compile(
    r'(?:-m comment )?--comment (?:"(?:[^"\\]|\\.)*"|\S+) ?|comment "[^"]*"'
)


class Detail(NamedTuple):
    """One line under an unfolded packet."""

    hop: int
    """The hop's index; of a rule that was passed by, that of the hop behind it."""
    hook: int
    """Which hook of the packet's way it belongs to, counted from 0."""
    line: Line
    tested: Optional[int] = None
    """The number of a rule that was passed by; None for a hop."""
    is_folded: bool = False
    """Whether it stands for all hops of its hook; ``hop`` is the last of them."""


class HopDisplay(NamedTuple):
    """How hops are shown, and what of them only when asked for."""

    own: bool = False
    """Hops of TRACE rules of ours."""
    tested: bool = False
    """The rules that were passed by."""
    outline: bool = False
    """A line for each hook instead of one for each hop."""


def details(
    packet: Packet,
    explanation: PacketExplanation,
    asked: HopDisplay,
    width: int,
    turned: Collection[int] = (),
) -> list[Detail]:
    """The lines in path order; hook and table stand where they begin.

    ``turned`` are the hooks that are shown the other way than ``asked.outline`` has it.
    """
    lines = _Lines(packet, explanation, asked, width)
    found: list[Detail] = []
    for at, group in enumerate(by_hook(packet)):
        here = lines.of_hook(at, group)
        if len(here) > 1:
            is_folded = asked.outline != (at in turned)
            here = [lines.folded(group, here)] if is_folded else _marked(here)
        found += here
    return found


def _marked(lines: list[Detail]) -> list[Detail]:
    """A hook's lines with the sign that they can be folded."""
    first, *others = lines
    head, *pieces = first.line
    head = head._replace(text=_UNFOLDED + head.text[1:])
    return [first._replace(line=(head, *pieces)), *others]


class _Lines:
    """The lines of one packet, hook by hook."""

    def __init__(
        self, packet: Packet, explanation: PacketExplanation, asked: HopDisplay, width: int
    ) -> None:
        self._packet = packet
        self._explanation = explanation
        self._asked = asked
        self._width = width
        self._is_mixed = len({hop.backend for hop in packet.hops}) > 1
        self._slowest = packet.slowest
        self._chain: Optional[str] = None
        """Of the hop shown last."""

    def of_hook(self, at: int, group: HookHops) -> list[Detail]:
        """A line for each hop that is to be shown."""
        packet, explanation, asked, width = (
            self._packet,
            self._explanation,
            self._asked,
            self._width,
        )
        found: list[Detail] = []
        hook = group.hook or ""
        for table in group.tables:
            hook = hook or ("" if group.hook else self._hook_in_ruleset(table) or "hook ?")
            chains: list[str] = []
            label = self._table(table)
            for index, hop in table.hops:
                depth = _depth(chains, hop)
                if explanation.hops[index].is_own and not asked.own:
                    continue
                passed = unmatched_before(packet, explanation.hops, index) if asked.tested else ()
                if passed := tuple(one for one in passed if asked.own or not _is_own(one[1])):
                    place = _Place(at, hook, label, depth, "")
                    found += _passed_by(packet, index, place, passed, width)
                    hook = label = ""
                us = _us(packet, index, self._slowest)
                name = _name(explanation, index, hop) if hop.chain != self._chain else ""
                place = _Place(at, hook, label, depth, name)
                line = _hop_line(hop, explanation, index, place, us, width)
                found.append(Detail(index, at, line))
                self._chain = hop.chain
                hook = label = ""
        return found

    def folded(self, group: HookHops, lines: list[Detail]) -> Detail:
        """One line for all lines of a hook: the tables, what was changed, the chains entered."""
        last, explanation = lines[-1], self._explanation
        hops = sorted({line.hop for line in lines})
        hook = lines[0].line[0].text[1:].strip()
        chains = dict.fromkeys(self._packet.hops[index].chain for index in hops)
        changes = (report.changes_text(explanation, index) for index in hops)
        verdict = explanation.hops[last.hop].verdict or ""
        pieces = [
            TextPart(f"{_FOLDED} {hook:<12}", "hook"),
            TextPart(cell(f"{len(hops)} hop{'' if len(hops) == 1 else 's'}", 8), "hops"),
            TextPart(shown(self._tables(group), self._width), "table"),
        ]
        if verdict in MARKS:
            pieces.append(TextPart(f"  {MARKS[verdict]}", verdict))
        if change := ", ".join(filter(None, changes)):
            pieces.append(TextPart(f"  {shown(change, self._width)}", "change"))
        pieces.append(TextPart(f"  {shown(' → '.join(chains), self._width)}", "name"))
        return Detail(last.hop, last.hook, fit(pieces, self._width), is_folded=True)

    def _table(self, table: TableHops) -> str:
        return f"{_named(table)} {table.backend}" if self._is_mixed else _named(table)

    def _tables(self, group: HookHops) -> str:
        """All tables of a hook, by backend where there are two."""
        if not self._is_mixed:
            return " ".join(dict.fromkeys(map(_named, group.tables)))
        by_backend: dict[str, list[str]] = {}
        for table in group.tables:
            by_backend.setdefault(table.backend, []).append(_named(table))
        return " · ".join(f"{' '.join(names)} {one}" for one, names in by_backend.items())

    def _hook_in_ruleset(self, table: TableHops) -> Optional[str]:
        """The hook of hops in a table of nft's own, whose chains have names of their own."""
        chains = (self._explanation.hops[index].chain for index, _ in table.hops)
        return next((chain.hook for chain in chains if chain is not None and chain.hook), None)


def _named(table: TableHops) -> str:
    return table.table if table.family in ("ip", "ip6") else f"{table.family} {table.table}"


class _Place(NamedTuple):
    at: int
    """Which hook of the way."""
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
        TextPart(f"  {place.hook:<12}", "hook"),
        TextPart(cell(place.table, 13), "table"),
        TextPart(shown(_what(hop, here, place.depth), width), "hop"),
    ]
    if here.verdict and here.verdict != "continue":
        role = here.verdict if here.verdict in MARKS else "jump"
        pieces.append(TextPart(f" {shown(_verdict(here.verdict), width)}", role))
    change = report.changes_text(explanation, index)
    parts = (
        (change, "change"),
        (here.comment, "comment"),
        (place.name, "name"),
        (_rule(here), "rule" if here.rule is not None else "unread"),
    )
    pieces += [TextPart(f"  {shown(text, width)}", role) for text, role in parts if text]
    return _with_time(pieces, us, width)


def _name(explanation: PacketExplanation, index: int, hop: Hop) -> str:
    """What a hop's chain is, by its name and the rule that led there."""
    comment = explanation.hops[index - 1].comment if index else None
    return chain_names.chain_label(
        hop.chain, explanation.hops[index].chain, comment, True, hop.table
    )


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
    hop, (at, hook, table, depth, _) = packet.hops[index], place
    texts = [(passed[0][0], f"{len(passed) - TESTED_SHOWN:,} rules of {hop.chain} before these")]
    texts = texts if len(passed) > TESTED_SHOWN else []
    for number, rule in passed[-TESTED_SHOWN:]:
        text = _CHAIN_OF_RULE.sub("", (rule.text or "(its text can't be read)")[:LONGEST])
        texts.append((number, f"{number} {_why_passed_by(packet, index, rule)}{text}"))
    for number, text in texts:
        line = [
            *(TextPart(f"  {hook:<12}", "hook"), TextPart(cell(table, 13), "table")),
            TextPart(shown(f"{'  ' * depth}· {text}", width), "tested"),
        ]
        yield Detail(index, at, fit(line, width), number)
        hook = table = ""


def _why_passed_by(packet: Packet, index: int, rule: ListedRule) -> str:
    """The test that the packet failed, where its header tells."""
    # nft tells header and interfaces only where a base chain begins.
    told = next((one for one in reversed(packet.hops[: index + 1]) if one.header is not None), None)
    if told is None or not rule.text:
        return "passed by: "
    failed = mismatch(parse_rule(rule.text), told.header, told.iif, told.oif)
    return f"passed by, not {failed.text}: " if failed else "passed by: "


def _is_own(rule: ListedRule) -> bool:
    return HopExplanation(KNOWN, None, rule).is_own


def _us(packet: Packet, index: int, slowest: Optional[int]) -> str:
    us = packet.us(index)
    if us is None:
        return ""
    return f"{'slowest ' if index == slowest else ''}+{us:,} µs "


def _with_time(pieces: list[TextPart], us: str, width: int) -> Line:
    """The pieces, cut where they would reach into the time at the right."""
    room = max(0, width - len(us) - 1)
    line = list(fit(pieces, room))
    used = sum(cells_of(piece.text) for piece in line)
    role = "slowest" if us.startswith("slowest") else "us"
    return (*line, TextPart(" " * max(0, width - used - len(us)) + us, role))


def _what(hop: Hop, here: HopExplanation, depth: int) -> str:
    """The hop's chain, indented as deep as its jumps lead, and its number there."""
    chain = "" if hop.is_in_base_chain else f"{'  ' * max(0, depth - 1)}└ {hop.chain} "
    if hop.backend == "legacy":
        return f"{chain}{hop.type} {'?' if hop.rulenum is None else hop.rulenum}"
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
