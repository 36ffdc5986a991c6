"""Callbacks after a few milliseconds, however busy the machine is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from textual.message_pump import MessagePump


def later(pump: MessagePump, seconds: float, callback: Callable[[], object]) -> None:
    """Call back in a widget, a screen or the app once, after so many seconds.

    Textual's own timers leave out a turn that they are late for before they have begun to wait
    (timer.py, ``skip``); of a few milliseconds that is the only one they have.
    """
    asyncio.get_running_loop().call_later(seconds, pump.call_later, callback)
