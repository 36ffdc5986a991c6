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
from tracetui.model.rules.lookup import KNOWN, Interval
from tracetui.model.rules.ruleset import Chain, ChainKey
from tracetui.parse.listings import nft_text, xtables_save
from tracetui.session.state.session import ChainRef, Session
from tracetui.session.text.width import shown, wrapped
from tracetui.ui.commands import bindings
from tracetui.ui.keymap import Keymap
from tracetui.ui.widgets.chain_list import ChainList

POLL_SECONDS = 0.1
LONGEST_NAME = 128
"""Cells of a chain's name in a sentence; nft's limit (NFT_NAME_MAXLEN)."""
RULE_LINES = 5
"""How many the rule under the cursor takes at most, as screens.tcss has it."""
FRAME = 4
"""Cells beside it."""


class Visit(NamedTuple):
    """One chain that is looked at."""

    place: ChainRef
    chain: Chain
    number: Optional[int]
    """The rule that is marked; None for none."""


class ChainScreen(ModalScreen[None]):
    """One chain at a time; jumps are followed and come back from."""

    BINDINGS = [*bindings("anywhere"), *bindings("chain-screen")]  # noqa: RUF012 - as Textual has it

    def __init__(
        self, session: Session, first: Visit, window: Optional[Interval], keymap: Keymap
    ) -> None:
        super().__init__()
        self._session = session
        self._window = window
        self._keymap = keymap
        self._visits = [first]
        self._list = ChainList()
        self._counted: Optional[float] = None

    def compose(self) -> ComposeResult:
        """Lay out the chain."""
        with Vertical(id="chain-box"):
            yield self._list
            yield Static("", id="chain-rule", markup=False)

    def on_mount(self) -> None:
        """Show the first chain."""
        self.set_focus(self._list)
        self._show()
        self.set_interval(POLL_SECONDS, self._take_counters)

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

    @on(ChainList.Follow)
    def _follow(self, event: ChainList.Follow) -> None:
        place = self._visits[-1].place._replace(chain=event.target)
        history = self._session.rulesets.histories[place.backend]
        found = history.chain(ChainKey(place.family, place.table, place.chain), self._window)
        if found.state != KNOWN or found.value is None:
            target = shown(event.target, LONGEST_NAME)
            self.notify(f"{target} is no chain that is known here", markup=False)
            return
        self._visits[-1] = self._visits[-1]._replace(number=self._list.cursor)
        self._visits.append(Visit(place, found.value, None))
        self._show()

    @on(ChainList.Moved)
    def _show_rule(self) -> None:
        chain, number = self._visits[-1].chain, self._list.cursor
        text = chain.rules[number - 1].text if number <= len(chain.rules) else None
        lines = wrapped(text or "", self.app.size.width - FRAME, RULE_LINES)
        self.query_one("#chain-rule", Static).update("\n".join(lines))

    def _show(self) -> None:
        visit = self._visits[-1]
        place, box = visit.place, self.query_one("#chain-box", Vertical)
        what = chain_names.chain_label(place.chain, visit.chain, table=place.table)
        title = f"{place.backend} {place.family} {place.table} {place.chain}"
        trail = " → ".join(one.place.chain for one in self._visits[:-1])
        key = self._keymap.told("{chain-screen.back}" if trail else "{chain.follow}")
        width = self.app.size.width
        box.border_title = Content(shown(f"{title} · {what}" if what else title, width))
        box.border_subtitle = Content(
            shown(f"{trail} → · {key}" if trail else f"{key} follows a jump", width)
        )
        self._list.show(visit.chain, visit.number)
        self._show_rule()
        self._counted = None
        self._session.ask_chain(place)

    def _take_counters(self) -> None:
        """Show the counters when they came, where the chain is still what it was."""
        visit = self._visits[-1]
        listing = self._session.chain_listing(visit.place)
        if listing is None or listing.error or listing.time == self._counted:
            return
        self._counted = listing.time
        self._list.count(counters(visit, listing.text))


def counters(visit: Visit, text: str) -> dict[int, int]:
    """Packets by rule number out of a new listing, of the rules that stand where they stood."""
    if text.startswith("table "):
        chains = nft_text.parse(text).chains.values()
        now = {rule.handle: rule.packets for chain in chains for rule in chain.rules}
        found = {n: now.get(rule.handle) for n, rule in enumerate(visit.chain.rules, start=1)}
    else:
        listed = xtables_save.parse_chain(text)
        found = {
            number: new.packets
            for number, (rule, new) in enumerate(zip(visit.chain.rules, listed), start=1)
            if rule.text == new.text
        }
    return {number: packets for number, packets in found.items() if packets is not None}
