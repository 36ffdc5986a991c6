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
from tracetui.model.trace.hop import KMSG, LOG, Hop
from tracetui.model.trace.packet import Packet
from tracetui.model.trace.trace_point import built_in_hook
from tracetui.session.recording import report
from tracetui.session.text.width import cells_of, shown
from tracetui.ui.widgets.text_parts import VERDICT_MARKS, Line, TextPart, cell, fit

UNMATCHED_SHOWN = 20
"""Unmatched rules listed before one hop: those next to it."""
RULE_CHARACTERS = 2000
"""Characters of a rule that are drawn: more than a line has cells."""
ACTION_CELLS = 24
"""Cells of a hop's action that a chain's name gives way to."""
LEAST_CHAIN_CELLS = 9
"""Cells of a chain's name, with the blank behind it, that indents give way to."""
MICROSECONDS_SHOWN = 1000
"""From here on a time is shown in milliseconds."""
_FOLDED, _UNFOLDED = "▸", "▾"
_CHAIN_OF_RULE = re.compile(r"^-A \S+ ", re.ASCII)
_COMMENT_OF_RULE = re.compile(
    r'(?:-m comment )?--comment (?:"(?:[^"\\]|\\.)*"|\S+) ?|comment "[^"]*"'
)


class DetailLine(NamedTuple):
    """A line under an unfolded packet."""

    hop: int
    """The hop's index; for an unmatched rule, that of the next hop."""
    hook: int
    """Index of its hook in the packet's path, from 0."""
    line: Line
    unmatched: Optional[int] = None
    """Number of a rule that did not match; None for a hop."""
    is_folded: bool = False
    """Whether it stands for all hops of its hook; ``hop`` is the last of them."""


class HopDisplay(NamedTuple):
    """Options of how hops are shown."""

    own: bool = False
    """Hops of TRACE rules of ours."""
    unmatched: bool = False
    """Rules that were evaluated and did not match."""
    outline: bool = False
    """A line for each hook instead of one for each hop."""
    times: bool = False
    """The time since the hop before, where the kernel stamped both."""


def details(
    packet: Packet,
    explanation: PacketExplanation,
    display: HopDisplay,
    width: int,
    turned: Collection[int] = (),
) -> list[DetailLine]:
    """The lines in path order; hook and table stand where they begin.

    ``turned`` are the hooks that are shown the other way than ``display.outline`` has it.
    """
    lines = _Lines(packet, explanation, display, width)
    all_lines: list[DetailLine] = []
    for hook_index, group in enumerate(by_hook(packet)):
        hook_lines = lines.of_hook(hook_index, group)
        if len(hook_lines) > 1:
            is_folded = display.outline != (hook_index in turned)
            hook_lines = [lines.folded(group, hook_lines)] if is_folded else _marked(hook_lines)
        all_lines += hook_lines
    return all_lines


def _marked(lines: list[DetailLine]) -> list[DetailLine]:
    """A hook's lines with the sign that they can be folded."""
    first, *others = lines
    head, *pieces = first.line
    head = head._replace(text=_UNFOLDED + head.text[1:])
    return [first._replace(line=(head, *pieces)), *others]


class _Lines:
    """The lines of one packet, hook by hook."""

    def __init__(
        self, packet: Packet, explanation: PacketExplanation, display: HopDisplay, width: int
    ) -> None:
        self._packet = packet
        self._explanation = explanation
        self._display = display
        self._width = width
        self._is_mixed = len({hop.backend for hop in packet.hops}) > 1
        self._chain: Optional[str] = None
        """Chain of the hop shown last."""

    def of_hook(self, hook_index: int, group: HookHops) -> list[DetailLine]:
        """A line for each hop that is to be shown."""
        packet, explanation, display, width = (
            self._packet,
            self._explanation,
            self._display,
            self._width,
        )
        hook_lines: list[DetailLine] = []
        hook = group.hook or ""
        for table in group.tables:
            hook = hook or ("" if group.hook else self._hook_in_ruleset(table) or "hook ?")
            chains: list[str] = []
            label = self._table(table)
            for index, hop in table.hops:
                depth = _depth(chains, hop)
                if explanation.hops[index].is_own and not display.own:
                    continue
                unmatched = (
                    unmatched_before(packet, explanation.hops, index) if display.unmatched else ()
                )
                if unmatched := tuple(
                    numbered for numbered in unmatched if display.own or not _is_own(numbered[1])
                ):
                    columns = _Columns(hook_index, hook, label, depth, "")
                    hook_lines += _unmatched_lines(packet, index, columns, unmatched, width)
                    hook = label = ""
                gap = _gap(packet, index) if display.times else ""
                name = _name(explanation, index, hop) if hop.chain != self._chain else ""
                columns = _Columns(hook_index, hook, label, depth, name)
                line = _hop_line(hop, explanation, index, columns, gap, width)
                hook_lines.append(DetailLine(index, hook_index, line))
                self._chain = hop.chain
                hook = label = ""
        return hook_lines

    def folded(self, group: HookHops, lines: list[DetailLine]) -> DetailLine:
        """A hook folded into one line: its tables, the changes, the chains entered."""
        last, explanation = lines[-1], self._explanation
        hops = sorted({line.hop for line in lines})
        hook = lines[0].line[0].text[1:].strip()
        chains = dict.fromkeys(self._packet.hops[index].chain for index in hops)
        changes = (report.changes_text(explanation, index) for index in hops)
        verdict = report.action_text(explanation, last.hop)
        pieces = [
            TextPart(f"{_FOLDED} {hook:<12}", "hook"),
            TextPart(cell(f"{len(hops)} hop{'' if len(hops) == 1 else 's'}", 8), "hops"),
            TextPart(shown(self._tables(group), self._width), "table"),
        ]
        if verdict in VERDICT_MARKS:
            pieces.append(TextPart(f"  {VERDICT_MARKS[verdict]}", verdict))
        if change := ", ".join(filter(None, changes)):
            pieces.append(TextPart(f"  {shown(change, self._width)}", "change"))
        pieces.append(TextPart(f"  {shown(' → '.join(chains), self._width)}", "name"))
        return DetailLine(last.hop, last.hook, fit(pieces, self._width), is_folded=True)

    def _table(self, table: TableHops) -> str:
        return f"{_named(table)} {table.backend}" if self._is_mixed else _named(table)

    def _tables(self, group: HookHops) -> str:
        """The tables of a hook, by backend if there are two."""
        if not self._is_mixed:
            return " ".join(dict.fromkeys(map(_named, group.tables)))
        by_backend: dict[str, list[str]] = {}
        for table in group.tables:
            by_backend.setdefault(table.backend, []).append(_named(table))
        return " · ".join(f"{' '.join(names)} {backend}" for backend, names in by_backend.items())

    def _hook_in_ruleset(self, table: TableHops) -> Optional[str]:
        """The hook of hops in a table of nft's own, whose chains have names of their own."""
        chains = (self._explanation.hops[index].chain for index, _ in table.hops)
        return next((chain.hook for chain in chains if chain is not None and chain.hook), None)


def _named(table: TableHops) -> str:
    return table.table if table.family in ("ip", "ip6") else f"{table.family} {table.table}"


class _Columns(NamedTuple):
    hook_index: int
    """Index of the hook in the packet's path."""
    hook: str
    table: str
    depth: int
    name: str
    """Label of the chain, where it is entered."""


def _hop_line(
    hop: Hop, explanation: PacketExplanation, index: int, columns: _Columns, gap: str, width: int
) -> Line:
    explained, action = explanation.hops[index], report.action_text(explanation, index)
    is_plain_end = action == hop.type == "return" and explained.rule is None
    action_shown = "" if is_plain_end else shown(VERDICT_MARKS.get(action, action), width)
    head = [TextPart(f"  {columns.hook:<12}", "hook"), TextPart(cell(columns.table, 13), "table")]
    # A long name of a chain gives way to what was done there.
    room = width - sum(cells_of(part.text) for part in head) - len(gap)
    room -= min(cells_of(action_shown), ACTION_CELLS) + 1
    pieces = [*head, TextPart(_in_chain(hop, explained, columns.depth, room), "hop")]
    if action_shown:
        pieces.append(TextPart(f" {action_shown}", _role(action)))
    parts = (
        (report.other_changes_text(explanation, index), "change"),
        (explained.comment, "comment"),
        (columns.name, "name"),
        (_rule(explained), "rule" if explained.rule is not None else "unread"),
    )
    pieces += [TextPart(f"  {shown(text, width)}", role) for text, role in parts if text]
    return _with_time(pieces, gap, width)


def _role(action: str) -> str:
    if action in VERDICT_MARKS:
        return action
    return "jump" if action.startswith(("jump ", "goto ", "return")) else "change"


def _name(explanation: PacketExplanation, index: int, hop: Hop) -> str:
    """The label of a hop's chain, by its name and the rule that jumped there."""
    comment = explanation.hops[index - 1].comment if index else None
    return chain_names.chain_label(
        hop.chain, explanation.hops[index].chain, comment, True, hop.table
    )


def _rule(explained: HopExplanation) -> str:
    """The rule without what stands beside it: its chain and its comment."""
    if explained.rule is None or explained.rule.text is None:
        return report.rule_text(explained)
    text = _CHAIN_OF_RULE.sub("", explained.rule.text[:RULE_CHARACTERS])
    return _COMMENT_OF_RULE.sub("", text)


def _unmatched_lines(
    packet: Packet,
    index: int,
    columns: _Columns,
    unmatched: tuple[tuple[int, ListedRule], ...],
    width: int,
) -> Iterator[DetailLine]:
    """The rules of a chain that were evaluated before a hop and did not match."""
    hop, (hook_index, hook, table, depth, _) = packet.hops[index], columns
    texts = [
        (unmatched[0][0], f"{len(unmatched) - UNMATCHED_SHOWN:,} rules of {hop.chain} before these")
    ]
    texts = texts if len(unmatched) > UNMATCHED_SHOWN else []
    for number, rule in unmatched[-UNMATCHED_SHOWN:]:
        text = _CHAIN_OF_RULE.sub("", (rule.text or "(its text can't be read)")[:RULE_CHARACTERS])
        texts.append((number, f"{number} {_why_unmatched(packet, index, rule)}{text}"))
    for number, text in texts:
        line = [
            *(TextPart(f"  {hook:<12}", "hook"), TextPart(cell(table, 13), "table")),
            TextPart(shown(f"{'  ' * depth}· {text}", width), "unmatched"),
        ]
        yield DetailLine(index, hook_index, fit(line, width), number)
        hook = table = ""


def _why_unmatched(packet: Packet, index: int, rule: ListedRule) -> str:
    """The test that the packet failed, where its header tells."""
    # nft tells header and interfaces only where a base chain begins.
    hop = next((hop for hop in reversed(packet.hops[: index + 1]) if hop.header is not None), None)
    if hop is None or not rule.text:
        return "did not match: "
    failed = mismatch(parse_rule(rule.text), hop.header, hop.iif, hop.oif)
    return f"did not match {failed.text}: " if failed else "did not match: "


def _is_own(rule: ListedRule) -> bool:
    return HopExplanation(KNOWN, None, rule).is_own


def _gap(packet: Packet, index: int) -> str:
    """The time since the hop before; empty where it is not known.

    A log's stamps are of its printing, and the two backends' clocks are two.
    """
    if index == 0:
        return ""
    hop, before = packet.hops[index], packet.hops[index - 1]
    us, us_before = packet.us(index), packet.us(index - 1)
    if us is None or us_before is None or us <= us_before or hop.backend != before.backend:
        return ""
    if {hop.source, before.source} & {KMSG, LOG}:
        return ""
    gap = us - us_before
    return f"+{gap} µs " if gap < MICROSECONDS_SHOWN else f"+{gap / 1000:,.1f} ms "


def _with_time(pieces: list[TextPart], gap: str, width: int) -> Line:
    """The pieces, cut where they would reach into the time at the right."""
    line = list(fit(pieces, max(0, width - len(gap) - bool(gap))))
    used = sum(cells_of(piece.text) for piece in line)
    return (*line, TextPart(" " * max(0, width - used - len(gap)) + gap, "us"))


def _in_chain(hop: Hop, explained: HopExplanation, depth: int, width: int) -> str:
    """The hop's chain, indented as deep as its jumps lead, and its number there, which is whole."""
    if hop.backend == "legacy":
        end = report.end_text(hop, explained)
    elif hop.handle is None:
        end = hop.type
    else:
        end = f"{hop.type} {explained.number}" if explained.number else f"handle {hop.handle}"
    if hop.is_in_base_chain:
        return shown(end, width)
    indent = " " * min(2 * max(0, depth - 1), max(0, width - cells_of(end) - LEAST_CHAIN_CELLS))
    chain = shown(f"{indent}└ {hop.chain}", max(LEAST_CHAIN_CELLS, width - cells_of(end)) - 1)
    return f"{chain} {shown(end, width)}"


def _depth(chains: list[str], hop: Hop) -> int:
    """The depth of a hop in jumps; ``chains`` are those entered so far and is updated."""
    if hop.chain in chains:
        del chains[chains.index(hop.chain) + 1 :]
    else:
        chains.append(hop.chain)
    return len(chains) - (built_in_hook(hop.table, chains[0]) is not None)
