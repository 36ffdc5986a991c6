"""A chain as iptables lists it: every rule with its number and its packets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Optional

from textual.events import Click
from textual.message import Message

from tracetui.model.rules.parsed_rule import parse_rule
from tracetui.model.rules.ruleset import Chain
from tracetui.session.text.width import fitted, shown
from tracetui.ui.commands import bindings
from tracetui.ui.widgets.line_list import LineList
from tracetui.ui.widgets.text_parts import Line, TextPart

HEADING = f" {'rule':>6}  {'packets':>10}  text"
"""Names of the columns of a rule's line."""
RULE_CELLS = 2000
"""Cells of a rule that are drawn: more than any line has."""


class ChainList(LineList):
    """The rules of one chain, drawn line by line: a chain can have thousands."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "chain--rule", "chain--hit", "chain--cursor", "chain--bar",
    }  # fmt: skip
    PREFIX = "chain"
    BINDINGS = bindings("chain")

    class JumpRequested(Message):
        """The user wants to see the chain that the rule jumps to."""

        def __init__(self, target: str) -> None:
            super().__init__()
            self.target = target

    def __init__(self) -> None:
        super().__init__("chain-list")
        self._chain = Chain("", ())
        self._hit: Optional[int] = None
        self._packets: Mapping[int, int] = {}
        self.cursor = 1
        """The number of the rule the cursor is on."""

    def show(self, chain: Chain, hit: Optional[int]) -> None:
        """Show a chain with one rule, by number, marked; one past the last is the chain's end."""
        self._chain, self._hit = chain, hit
        self._packets = {
            number: rule.packets
            for number, rule in enumerate(chain.rules, start=1)
            if rule.packets is not None
        }
        self.cursor = hit or 1
        self._see_first()

    def count(self, packets: Mapping[int, int]) -> None:
        """Show these packet counters, by rule number."""
        self._packets = packets
        self.refresh()

    def text_of(self, number: int) -> str:
        """The line of a rule, or of the chain's end."""
        mark = "▶" if number == self._hit else " "
        if number == len(self._chain.rules) + 1:
            policy = self._chain.policy
            return f"{mark}{'':>6}  {'':>10}  {f'policy {policy}' if policy else 'end: return'}"
        rule = self._chain.rules[number - 1]
        packets = self._packets.get(number)
        count = "" if packets is None else f"{packets:,}"
        text = rule.text or f"handle {rule.handle}: its text can't be read"
        return f"{mark}{number:>6}  {count:>10}  {shown(text, RULE_CELLS)}"

    def on_mount(self) -> None:
        """Bring the rule into sight once the size is known."""
        self.call_after_refresh(self._see_first)

    @property
    def line_count(self) -> int:
        """The rules, and the chain's end."""
        return len(self._chain.rules) + 1

    @property
    def cursor_line(self) -> Optional[int]:
        """The line of the rule the cursor is on."""
        return self.cursor - 1

    def line(self, index: int, width: int) -> Optional[Line]:
        """The line of a rule, or of the chain's end."""
        number = index + 1
        if number > self.line_count:
            return None
        role = "hit" if number == self._hit else "rule"
        return (TextPart(fitted(self.text_of(number), width), role),)

    def action_move(self, lines: int) -> None:
        """Move the cursor by so many rules."""
        self.cursor = max(1, min(self.cursor + lines, self.line_count))
        self._see_cursor()
        self.post_message(self.RuleSelected())

    def action_page(self, pages: int) -> None:
        """Move the cursor by so many screenfuls."""
        self.action_move(pages * max(1, self.size.height - 1))

    def action_first(self) -> None:
        """Go to the first rule."""
        self.action_move(-len(self._chain.rules) - 1)

    def action_last(self) -> None:
        """Go to the end of the chain."""
        self.action_move(len(self._chain.rules) + 1)

    def action_follow(self) -> None:
        """Go where the rule under the cursor jumps."""
        if self.cursor <= len(self._chain.rules):
            text = self._chain.rules[self.cursor - 1].text
            target = parse_rule(text).target if text else None
            if target is not None:
                self.post_message(self.JumpRequested(target))

    def on_click(self, event: Click) -> None:
        """Put the cursor where the mouse is."""
        if not self.is_on_bar(event.x):
            self.action_move(self.top + event.y + 1 - self.cursor)

    class RuleSelected(Message):
        """The cursor moved to another rule."""

    def _see_first(self) -> None:
        """Have the chain begin with its first rule, if the one under the cursor is in sight then.

        Without a size yet nothing can be in sight.
        """
        self.go_to_top(0)
        if self.size.height:
            self._see_cursor(centre=True)

    def _see_cursor(self, centre: bool = False) -> None:
        self.see(self.cursor - 1, centre=centre)
        self.refresh()
