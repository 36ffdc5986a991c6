"""A hop in its chain: the rules around it, their counters, and the chains they lead to."""

from __future__ import annotations

from typing import NamedTuple, Optional

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tracetui.model.rules import chain_names
from tracetui.model.rules.lookup import KNOWN
from tracetui.model.rules.ruleset import Chain, ChainKey
from tracetui.model.trace.hop import Interval
from tracetui.parse.listings import nft_text, xtables_save
from tracetui.session.state.session import ChainRef, Session
from tracetui.session.text.width import shown, wrapped
from tracetui.ui.commands import bindings
from tracetui.ui.keymap import Keymap
from tracetui.ui.widgets.chain_list import HEADING, ChainList

COUNTER_POLL_SECONDS = 0.1
LONGEST_NAME = 128
"""Cells of a chain's name in a sentence; nft's limit (NFT_NAME_MAXLEN)."""
CURSOR_RULE_LINES = 5
"""Lines of the rule under the cursor, as in screens.tcss."""
FRAME_CELLS = 4
"""Cells of the frame beside that rule."""


class Visit(NamedTuple):
    """A chain shown on the screen."""

    ref: ChainRef
    chain: Chain
    number: Optional[int]
    """The rule that is marked; None for none."""


class ChainScreen(ModalScreen[None]):
    """Shows one chain at a time; follows jumps and goes back."""

    BINDINGS = [*bindings("anywhere"), *bindings("chain-screen")]  # noqa: RUF012 - as Textual has it

    def __init__(
        self, session: Session, first: Visit, interval: Optional[Interval], keymap: Keymap
    ) -> None:
        super().__init__()
        self._session = session
        self._interval = interval
        self._keymap = keymap
        self._visits = [first]
        self._list = ChainList()
        self._counted_at: Optional[float] = None

    def compose(self) -> ComposeResult:
        """Lay out the chain."""
        with Vertical(id="chain-box"):
            yield Static(HEADING, id="chain-heading", markup=False)
            yield self._list
            yield Static("", id="chain-rule", markup=False)

    def on_mount(self) -> None:
        """Show the first chain."""
        self.set_focus(self._list)
        self._show()
        self.set_interval(COUNTER_POLL_SECONDS, self._take_counters)

    def on_resize(self) -> None:
        """Fit the rule anew."""
        self._show_rule()

    def action_back(self) -> None:
        """Go back to the chain before, or to the packets."""
        if len(self._visits) == 1:
            self.dismiss(None)
            return
        self._visits.pop()
        self._show()

    @on(ChainList.JumpRequested)
    def _follow(self, event: ChainList.JumpRequested) -> None:
        ref = self._visits[-1].ref._replace(chain=event.target)
        history = self._session.rulesets.histories[ref.backend]
        answer = history.chain(ChainKey(ref.family, ref.table, ref.chain), self._interval)
        if answer.state != KNOWN or answer.value is None:
            target = shown(event.target, LONGEST_NAME)
            self.notify(f"{target} is not a chain of this ruleset", markup=False)
            return
        self._visits[-1] = self._visits[-1]._replace(number=self._list.cursor)
        self._visits.append(Visit(ref, answer.value, None))
        self._show()

    @on(ChainList.RuleSelected)
    def _show_rule(self) -> None:
        chain, number = self._visits[-1].chain, self._list.cursor
        text = chain.rules[number - 1].text if number <= len(chain.rules) else None
        lines = wrapped(text or "", self.app.size.width - FRAME_CELLS, CURSOR_RULE_LINES)
        self.query_one("#chain-rule", Static).update("\n".join(lines))

    def _show(self) -> None:
        visit = self._visits[-1]
        ref, box = visit.ref, self.query_one("#chain-box", Vertical)
        label = chain_names.chain_label(ref.chain, visit.chain, table=ref.table)
        title = f"{ref.backend} {ref.family} {ref.table} {ref.chain}"
        before = self._visits[-2].ref.chain if len(self._visits) > 1 else "the packets"
        keys = self._keymap.with_keys("{chain.follow} follows a jump · {chain-screen.back} back to")
        width = self.app.size.width
        box.border_title = Content(shown(f"{title} · {label}" if label else title, width))
        box.border_subtitle = Content(shown(f"{keys} {before}", width))
        self._list.show(visit.chain, visit.number)
        self._show_rule()
        self._counted_at = None
        self._session.ask_chain(ref)

    def _take_counters(self) -> None:
        """Show the counters when they came, where the chain is still what it was."""
        visit = self._visits[-1]
        listing = self._session.chain_listing(visit.ref)
        if listing is None or listing.error or listing.time == self._counted_at:
            return
        self._counted_at = listing.time
        self._list.count(counters(visit, listing.text))


def counters(visit: Visit, text: str) -> dict[int, int]:
    """Packets by rule number from a new listing, for rules that are still in their place."""
    if text.startswith("table "):
        chains = nft_text.parse(text).chains.values()
        packets_by_handle = {rule.handle: rule.packets for chain in chains for rule in chain.rules}
        packets = {
            n: packets_by_handle.get(rule.handle)
            for n, rule in enumerate(visit.chain.rules, start=1)
        }
    else:
        rules_now = xtables_save.parse_chain(text)
        packets = {
            number: new.packets
            for number, (rule, new) in enumerate(zip(visit.chain.rules, rules_now), start=1)
            if rule.text == new.text
        }
    return {number: packets for number, packets in packets.items() if packets is not None}
