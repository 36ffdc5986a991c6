"""What is to be done a moment later is done, though the machine does something else just then."""

from __future__ import annotations

import asyncio
import time

from textual import timer
from textual.app import App

from tracetui.ui.later import later


async def test_it_is_done_where_the_clock_jumps_over_its_moment(monkeypatch):
    """A timer of Textual is lost there: between two looks at the clock it was time already."""
    app, done, lost = App(), [], []
    async with app.run_test():
        clock = iter(range(10_000))
        monkeypatch.setattr(timer._time, "get_time", lambda: float(next(clock)))
        app.set_timer(0.003, lambda: lost.append(1))
        later(app, 0.003, lambda: done.append(1))
        end = time.monotonic() + 5
        while not done and time.monotonic() < end:
            await asyncio.sleep(0.01)
        monkeypatch.undo()
        assert (done, lost) == ([1], [])
