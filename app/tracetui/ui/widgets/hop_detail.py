"""Details of the hop or packet under the cursor: the full rule, the changes, the verdict."""

from __future__ import annotations

from typing import Optional

from rich.text import Text
from textual.widgets import Static

from tracetui.model.explain.explanation import PacketExplanation
from tracetui.model.rules import chain_names
from tracetui.model.trace.packet import Packet
from tracetui.session.recording import report
from tracetui.session.text.width import shown, wrapped

DETAIL_LINES = 4
"""Lines of the widget, as in screens.tcss."""


class HopDetail(Static):
    """Four lines under the packets, always as many: nothing moves while packets come."""

    def __init__(self) -> None:
        super().__init__("", id="detail", markup=False)
        self._packet: Optional[Packet] = None
        self._explanation: Optional[PacketExplanation] = None
        self._hop: Optional[int] = None

    def show(
        self,
        packet: Optional[Packet],
        explanation: Optional[PacketExplanation],
        hop: Optional[int],
    ) -> None:
        """Tell about a hop, or about a packet as a whole."""
        if (packet, explanation, hop) != (self._packet, self._explanation, self._hop):
            self._packet, self._explanation, self._hop = packet, explanation, hop
            self._draw()

    def on_resize(self) -> None:
        """Fit the lines anew."""
        self._draw()

    def _draw(self) -> None:
        packet, explanation, width = self._packet, self._explanation, self.content_size.width
        if packet is None or explanation is None:
            text = Text()
        elif self._hop is None:
            text = _of_packet(packet, explanation, width)
        else:
            text = _of_hop(packet, explanation, self._hop, width)
        # Its height is fixed, so that nothing else has to be laid out anew.
        self.update(text, layout=False)


def _of_packet(packet: Packet, explanation: PacketExplanation, width: int) -> Text:
    verdict, decided, why = explanation.verdict, explanation.decided, explanation.why
    source = _source_of(packet, explanation)
    if decided is None:
        return _page(Text(), f"{verdict}: {why}" if why else verdict, "", source, width)
    explained = explanation.hops[decided]
    head = Text(f"{verdict} at ", style="bold")
    head.append(shown(report.point_text(packet.hops[decided], explained), width))
    if explained.comment:
        head.append(f"  {shown(explained.comment, width)}", style="not bold")
    changes = [change for change in explanation.changes if change.field in ("src", "dst", "mark")]
    return _page(
        head,
        why if explained.rule is None else report.rule_text(explained),
        ", ".join(report.change_text(change) for change in changes),
        source,
        width,
    )


def _of_hop(packet: Packet, explanation: PacketExplanation, index: int, width: int) -> Text:
    hop, explained = packet.hops[index], explanation.hops[index]
    point = (
        report.point_text(hop, explained) if hop.backend == "legacy" else f"{hop.table}:{hop.chain}"
    )
    head = Text(shown(f"{hop.backend} {hop.family} {point}", width), style="bold")
    position = ""
    handle = "" if hop.handle is None else f"  handle {hop.handle}"
    if explained.number is not None and explained.chain is not None:
        position = f"  rule {explained.number:,} of {len(explained.chain.rules):,}{handle}"
    elif explained.chain is not None:
        count = len(explained.chain.rules)
        position = f"  end of the chain, after {count:,} rule{'' if count == 1 else 's'}"
    else:
        position = handle
    comment = explanation.hops[index - 1].comment if index else None
    if name := chain_names.chain_label(hop.chain, explained.chain, comment, table=hop.table):
        position += f"  {name}"
    head.append(shown(position, width), style="not bold")
    parts = (_verdict(explained.verdict, hop.backend), report.changes_text(explanation, index))
    source = report.SOURCE_TEXTS.get(report.source_of(hop, explained) or "", "")
    outcome = "  ".join(part for part in parts if part)
    return _page(head, report.rule_text(explained), outcome, source, width)


def _page(head: Text, rule: str, outcome: str, source: str, width: int) -> Text:
    """The head on a line, the rule on as many as the others leave, what happened, the source."""
    head.truncate(max(0, width), overflow="ellipsis")
    lines = [head] if head else []
    room = DETAIL_LINES - len(lines) - bool(source)
    outcome_lines = wrapped(outcome, width, room - bool(rule))
    lines += [
        Text(line) for line in (*wrapped(rule, width, room - len(outcome_lines)), *outcome_lines)
    ]
    if source:
        lines.append(Text(shown(source, width), style="dim"))
    return Text("\n").join(lines)


def _source_of(packet: Packet, explanation: PacketExplanation) -> str:
    """The caveat of a packet's hops: ambiguous, or from a source that can be forged."""
    if packet.ambiguous:
        return report.AMBIGUOUS
    pairs = zip(packet.hops, explanation.hops)
    sources = [source for pair in pairs if (source := report.source_of(*pair)) is not None]
    if not sources:
        return ""
    count = (
        "" if len(sources) == len(packet.hops) else f"{len(sources)} of {len(packet.hops)} hops "
    )
    return count + report.SOURCE_TEXTS.get(sources[0], "")


def _verdict(verdict: Optional[str], backend: str) -> str:
    if verdict is None:
        return ""
    return f"{verdict}, {'by the kernel' if backend == 'nft' else 'by the ruleset'}"
