"""Goes to the next dropped packet, or to the next place of a text, while the screen goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Optional, Protocol

from tracetui.model.trace.packet import Packet
from tracetui.session.state.explanations import Explanations
from tracetui.session.view.seek import PacketTest, Seek, SeekTarget, dropped, mentions
from tracetui.ui.keymap import Keymap

SLICE_SECONDS = 0.03
"""How long one look may take before the screen is drawn again."""
PAUSE_SECONDS = 0.003


class Rows(Protocol):
    """What is looked through: the list with the cursor."""

    @property
    def rows(self) -> Sequence[Packet]:
        """The packets, in the order of their ids."""
        ...

    @property
    def place(self) -> Optional[SeekTarget]:
        """Where the cursor is."""
        ...

    def go_to_place(self, place: SeekTarget) -> None:
        """Put the cursor there."""
        ...

    def say_not_found(self, why: str) -> None:
        """Tell the user."""
        ...


class Seeker:
    """One search at a time: a new one takes the place of that which goes on."""

    def __init__(
        self,
        rows: Rows,
        explanations: Explanations,
        keymap: Keymap,
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        """``later`` calls something after so many seconds."""
        self._rows = rows
        self._explanations = explanations
        self._keymap = keymap
        self._later = later
        self._sought = ""
        self._seek: Optional[Seek] = None

    def find(self, text: str) -> None:
        """Go to the first line from the cursor on that has this text in it."""
        self._sought = text
        if text:
            self.again(1)

    def again(self, step: int) -> None:
        """Go to the next place of the text looked for, or to the one before."""
        if not self._sought:
            hint = self._keymap.told("nothing was looked for yet: {timeline.find} looks for a text")
            self._rows.say_not_found(hint)
            return
        test = mentions(self._sought, self._explanations)
        self._begin(test, step, f"not found: {self._sought}")

    def next_drop(self, step: int) -> None:
        """Go to the next packet that was dropped, or to the one before."""
        self._begin(dropped(self._explanations), step, "no packet here was dropped")

    def _begin(self, test: PacketTest, step: int, otherwise: str) -> None:
        self._seek = Seek(self._rows.rows, self._rows.place, step, test)
        self._go_on(self._seek, otherwise)

    def _go_on(self, seek: Seek, otherwise: str) -> None:
        if seek is not self._seek:
            return
        if not seek.work(time.monotonic() + SLICE_SECONDS):
            self._later(PAUSE_SECONDS, lambda: self._go_on(seek, otherwise))
            return
        self._seek = None
        if seek.found is None:
            self._rows.say_not_found(otherwise)
        else:
            self._rows.go_to_place(seek.found)
