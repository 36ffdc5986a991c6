"""Keys in the order in which they were typed, however fast they come.

Textual (8.2.8, ``App.on_event``) puts a key into the queue of the widget with the cursor. What is
printable an input takes from there; any other key bubbles up into the queue of the program, behind
all keys that came meanwhile, and its binding is run from there. Of keys that come in a burst, as
over a slow line, ``9 Backspace 5`` so becomes ``9 5 Backspace``, and what is typed behind a key
that opens a field goes elsewhere. Here each key takes effect before the next one is looked at.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Optional

from textual.message_pump import MessagePump
from textual.screen import Screen
from textual.widget import Widget

EFFECT_SECONDS = 0.5
"""Seconds that a key waits for the effects of the one before: a busy widget must not stop the
keys that end a trace."""


class KeyOrder:
    """The widget that the last key went to, until its effects are there."""

    def __init__(self) -> None:
        self._touched: tuple[MessagePump, ...] = ()

    def touch(self, focused: Optional[Widget], screen: Screen[object]) -> None:
        """Note where a key goes."""
        # Messages bubble up from the widget to its screen: that order empties them all.
        ancestors = focused.ancestors if focused is not None else ()
        nodes = [node for node in ancestors if isinstance(node, Widget)]
        self._touched = (focused, *nodes) if focused is not None else (screen,)

    async def settle(self, screen: Screen[object]) -> None:
        """Wait until the last key has had its effects, also on a screen that it opened."""
        touched, self._touched = self._touched, ()
        if touched:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(_empty(touched), EFFECT_SECONDS)
                await asyncio.wait_for(_empty((screen,)), EFFECT_SECONDS)


async def _empty(pumps: Iterable[MessagePump]) -> None:
    """Return when each has processed the messages that it has by then."""
    for pump in pumps:
        is_empty = asyncio.Event()
        if pump.is_running and pump.call_later(is_empty.set):
            await is_empty.wait()
