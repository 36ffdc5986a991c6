"""Search for dropped packets or a text, while the screen stays responsive."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Optional, Protocol

from tracetui.model.trace.packet import Packet
from tracetui.session.state.explanations import Explanations
from tracetui.session.view.seek import PacketTest, Seek, SeekTarget, dropped, mentions
from tracetui.ui.keymap import Keymap

SEARCH_SLICE_SECONDS = 0.03
"""Seconds of search before the screen is drawn again."""
SEARCH_PAUSE_SECONDS = 0.003


class Rows(Protocol):
    """The list that is searched, with its cursor."""

    @property
    def rows(self) -> Sequence[Packet]:
        """The packets, in the order of their ids."""
        ...

    @property
    def cursor_target(self) -> Optional[SeekTarget]:
        """The packet or hop under the cursor."""
        ...

    def go_to_target(self, target: SeekTarget) -> None:
        """Put the cursor there."""
        ...

    def say_not_found(self, why: str) -> None:
        """Tell the user."""
        ...


class Seeker:
    """Runs one search at a time: a new one replaces the present one."""

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
            self.find_next(1)

    def find_next(self, step: int) -> None:
        """Go to the next place of the text looked for, or to the one before."""
        if not self._sought:
            hint = self._keymap.with_keys("no search yet: {timeline.find} searches for a text")
            self._rows.say_not_found(hint)
            return
        test = mentions(self._sought, self._explanations)
        self._begin(test, step, f"not found: {self._sought}")

    def find_drop(self, step: int) -> None:
        """Go to the next packet that was dropped, or to the one before."""
        self._begin(dropped(self._explanations), step, "no packet here was dropped")

    def _begin(self, test: PacketTest, step: int, otherwise: str) -> None:
        self._seek = Seek(self._rows.rows, self._rows.cursor_target, step, test)
        self._go_on(self._seek, otherwise)

    def _go_on(self, seek: Seek, otherwise: str) -> None:
        if seek is not self._seek:
            return
        if not seek.work(time.monotonic() + SEARCH_SLICE_SECONDS):
            self._later(SEARCH_PAUSE_SECONDS, lambda: self._go_on(seek, otherwise))
            return
        self._seek = None
        if seek.target is None:
            self._rows.say_not_found(otherwise)
        else:
            self._rows.go_to_target(seek.target)
