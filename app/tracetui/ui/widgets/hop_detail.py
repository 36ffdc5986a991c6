"""Details of the hop or packet under the cursor: the full rule, the changes, the verdict."""

from __future__ import annotations

from typing import Optional

from rich.text import Text
from textual.geometry import Size
from textual.widgets import Static

from tracetui.model.explain.explanation import HopExplanation, PacketExplanation
from tracetui.model.rules import chain_names
from tracetui.model.trace.hop import Hop
from tracetui.model.trace.packet import Packet
from tracetui.session.recording import report
from tracetui.session.text.width import shown, wrapped

DETAIL_LINES = 4
"""Lines of the widget at most, as in screens.tcss."""


class HopDetail(Static):
    """Lines under the packets, always as many: nothing moves while packets come.

    On few lines there are two of them.
    """

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
        packet, explanation = self._packet, self._explanation
        size = Size(self.content_size.width, min(DETAIL_LINES, self.content_size.height))
        if packet is None or explanation is None:
            text = Text()
        elif self._hop is None:
            text = _of_packet(packet, explanation, size)
        else:
            text = _of_hop(packet, explanation, self._hop, size)
        # Its height is fixed, so that nothing else has to be laid out anew.
        self.update(text, layout=False)


def _of_packet(packet: Packet, explanation: PacketExplanation, size: Size) -> Text:
    verdict, decided, why = report.verdict_text(explanation), explanation.decided, explanation.why
    source, width = _source_of(packet, explanation), size.width
    if decided is None:
        return _page(Text(), f"{verdict}: {why}" if why else verdict, "", source, size)
    explained = explanation.hops[decided]
    sentence = report.outcome_text(packet, explanation._replace(why=""))
    head = Text(shown(sentence, width), style="bold")
    changes = [change for change in explanation.changes if change.field in ("src", "dst", "mark")]
    return _page(
        head,
        why if explained.rule is None else report.rule_text(explained),
        ", ".join(report.change_text(change) for change in changes),
        source,
        size,
    )


def _of_hop(packet: Packet, explanation: PacketExplanation, index: int, size: Size) -> Text:
    hop, explained, width = packet.hops[index], explanation.hops[index], size.width
    family = "" if hop.family == "ip" else f"{hop.family} "
    head = Text(shown(f"{hop.backend} {family}{hop.table}:{hop.chain}", width), style="bold")
    position = report.position_text(hop, explained)
    comment = explanation.hops[index - 1].comment if index else None
    if name := chain_names.chain_label(hop.chain, explained.chain, comment, table=hop.table):
        position += f"  {name}"
    head.append(shown(position, width), style="not bold")
    action = report.action_text(explanation, index)
    parts = (
        f"{action} ({_origin(hop, explained)})" if action else "",
        report.changes_text(explanation, index),
    )
    source = report.SOURCE_TEXTS.get(report.source_of(hop, explained) or "", "")
    outcome = "  ".join(part for part in parts if part)
    return _page(head, report.rule_text(explained), outcome, source, size)


def _page(head: Text, rule: str, outcome: str, source: str, size: Size) -> Text:
    """The head on a line, the rule on as many as the others leave, what happened, the source.

    Where there are but two lines, what happened stands behind the head, and the source first.
    """
    width, height = size
    if height < DETAIL_LINES and source and head:
        head.append(f"  {source}", style="not bold")
        source = ""
    if height < DETAIL_LINES and rule and outcome and head:
        head.append(f"  {shown(outcome, width)}", style="not bold")
        outcome = ""
    head.truncate(max(0, width), overflow="ellipsis")
    lines = [head] if head else []
    room = height - len(lines) - bool(source)
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


def _origin(hop: Hop, explained: HopExplanation) -> str:
    """The origin of what is known of a hop."""
    is_kernel_s = hop.verdict is not None and hop.backend == "nft"
    return "verdict from the kernel" if is_kernel_s else "inferred from the ruleset"
