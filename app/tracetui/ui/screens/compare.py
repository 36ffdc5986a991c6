"""Two packets side by side, from the first hop to the one where they part."""

from __future__ import annotations

from itertools import zip_longest
from typing import Optional

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tracetui.model.explain.explanation import PacketExplanation
from tracetui.model.trace import moments
from tracetui.model.trace.packet import Packet
from tracetui.session.recording import report
from tracetui.session.state.session import Session
from tracetui.session.text.width import padded, shown, wrapped
from tracetui.session.view.path_groups import first_difference
from tracetui.ui.commands import bindings

_SIDES_GAP = " │ "
COMPARED_RULE_LINES = 4
"""Lines of a rule at most."""


class CompareScreen(ModalScreen[None]):
    """The hops of two packets, each with its rule; the first that differs is marked."""

    BINDINGS = [  # noqa: RUF012 - as Textual has it
        *bindings("anywhere"),
        Binding("escape,q,c,enter", "dismiss", "close"),
    ]

    def __init__(self, session: Session, first: Packet, second: Packet) -> None:
        super().__init__()
        self._session = session
        self._pair = (first, second)

    def compose(self) -> ComposeResult:
        """Lay out the two columns."""
        with Vertical(id="compare"):
            yield Static("", id="ends", markup=False)
            with VerticalScroll(id="columns"):
                yield Static("", id="hops", markup=False)

    def on_mount(self) -> None:
        """Show the packets, and bring the parting into sight."""
        box = self.query_one("#compare")
        box.border_title, box.border_subtitle = "Two packets", "Esc closes"
        self.query_one("#columns").focus()
        self.call_after_refresh(self._show)

    def on_resize(self) -> None:
        """Fit the columns anew."""
        self.call_after_refresh(self._show)

    def _show(self) -> None:
        explanations = [self._session.explain(packet) for packet in self._pair]
        scroll = self.query_one("#columns", VerticalScroll)
        width = max(10, (scroll.scrollable_content_region.width - len(_SIDES_GAP)) // 2)
        # Our own rules say nothing about the node's.
        left_kept, right_kept = (
            [index for index, explained in enumerate(explanation.hops) if not explained.is_own]
            for explanation in explanations
        )
        left_hops, right_hops = (
            [packet.hops[index] for index in kept]
            for packet, kept in zip(self._pair, (left_kept, right_kept))
        )
        parting = first_difference(left_hops, right_hops)
        self.query_one("#ends", Static).update(_ends(self._pair, explanations, parting, width))
        text, lines, at_line = Text(), 0, 0
        for index, (left, right) in enumerate(zip_longest(left_kept, right_kept)):
            if index == parting:
                text.append(
                    "the paths differ here".center(2 * width + len(_SIDES_GAP), "─") + "\n", "bold"
                )
                at_line, lines = lines, lines + 1
            cells = (
                _cells(packet, explanation, hop, width)
                for packet, explanation, hop in zip(self._pair, explanations, (left, right))
            )
            style = "bold" if index == parting else "" if index > parting else "dim"
            for a, b in zip_longest(*cells, fillvalue=" " * width):
                text.append(f"{a}{_SIDES_GAP}{b}\n", style)
                lines += 1
        if parting == len(left_kept) == len(right_kept):
            text.append("the same path to the end\n", "bold")
        self.query_one("#hops", Static).update(text)
        scroll.scroll_to(y=max(0, at_line - scroll.size.height // 2), animate=False)


def _ends(
    pair: tuple[Packet, Packet], explanations: list[PacketExplanation], parting: int, width: int
) -> Text:
    text = Text()
    for texts in (
        [report.endpoints(packet.header) for packet in pair],
        [f"{moments.clock(p.stamped)} {report.protocol(p.header)} {p.iif or '·'}" for p in pair],
        [f"{report.verdict_text(explanation)} {explanation.why}" for explanation in explanations],
    ):
        cells = [padded(shown(text_of_packet, width), width) for text_of_packet in texts]
        text.append(f"{cells[0]}{_SIDES_GAP}{cells[1]}\n", "bold")
    count = "1 hop" if parting == 1 else f"{parting} hops"
    return text.append(f"{count} in common")


def _cells(
    packet: Packet, explanation: PacketExplanation, index: Optional[int], width: int
) -> list[str]:
    """A hop on a line, and its rule on those below."""
    if index is None:
        return [" " * width]
    hop, explained = packet.hops[index], explanation.hops[index]
    action = report.action_text(explanation, index)
    lines = [f"{report.point_text(hop, explained)}  {action}".rstrip()]
    rule = report.rule_text(explained)
    if rule:
        lines += [f"  {part}" for part in wrapped(rule, width - 2, COMPARED_RULE_LINES)]
    if change := report.changes_text(explanation, index):
        lines.append(f"  {change}")
    return [padded(shown(line, width), width) for line in lines]
