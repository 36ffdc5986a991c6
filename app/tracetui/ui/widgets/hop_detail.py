"""What is under the cursor, in full: the rule as its tool prints it, and why."""

from __future__ import annotations

from typing import Optional

from rich.text import Text
from textual.widgets import Static

from tracetui.model import chain_names
from tracetui.model.explanation import PacketExplanation
from tracetui.model.packet import Packet
from tracetui.session import report
from tracetui.session.inert import inert


class HopDetail(Static):
    """Four lines under the packets, always as many: nothing moves while packets come."""

    def __init__(self) -> None:
        super().__init__("", id="detail", markup=False)

    def show(
        self,
        packet: Optional[Packet],
        explanation: Optional[PacketExplanation],
        hop: Optional[int],
    ) -> None:
        """Tell about a hop, or about a packet as a whole."""
        if packet is None or explanation is None:
            self.update("")
        elif hop is None:
            self.update(_of_packet(packet, explanation))
        else:
            self.update(_of_hop(packet, explanation, hop))


def _of_packet(packet: Packet, explanation: PacketExplanation) -> Text:
    verdict, decided = explanation.verdict, explanation.decided
    text = Text()
    if decided is None:
        text.append(f"{verdict}: {inert(explanation.why)}" if explanation.why else verdict)
        return text
    text.append(f"{verdict} at ", style="bold")
    text.append(inert(packet.hops[decided].place), style="bold")
    here = explanation.hops[decided]
    if here.comment:
        text.append(f"  {inert(here.comment)}")
    if here.rule is not None:
        text.append(f"\n{inert(report.rule_text(here))}")
    elif explanation.why:
        text.append(f"\n{inert(explanation.why)}")
    for change in explanation.changes:
        if change.field in ("src", "dst", "mark"):
            text.append(f"\n{inert(report.change_text(change))}")
    return text


def _of_hop(packet: Packet, explanation: PacketExplanation, index: int) -> Text:
    hop, here = packet.hops[index], explanation.hops[index]
    text = Text()
    text.append(inert(f"{hop.backend} {hop.family} {hop.place}"), style="bold")
    if here.number is not None and here.chain is not None:
        text.append(f"  rule {here.number:,} of {len(here.chain.rules):,}")
    elif here.chain is not None:
        count = len(here.chain.rules)
        text.append(f"  end of the chain, after {count:,} rule{'' if count == 1 else 's'}")
    comment = explanation.hops[index - 1].comment if index else None
    if name := chain_names.label(hop.chain, here.chain, comment):
        text.append(inert(f"  {name}"))
    if said := report.rule_text(here):
        text.append(f"\n{inert(said)}")
    parts = (_verdict(here.verdict, hop.backend), report.changes_text(explanation, index))
    if told := "  ".join(part for part in parts if part):
        text.append(f"\n{inert(told)}")
    return text


def _verdict(verdict: Optional[str], backend: str) -> str:
    if verdict is None:
        return ""
    return f"{verdict}, {'said the kernel' if backend == 'nft' else 'by the ruleset'}"
