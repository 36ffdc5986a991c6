"""Who has the screen's time: keys before packets, packets before cycles of objects."""

from __future__ import annotations

import asyncio
import gc
import time
from types import SimpleNamespace

import pytest

from tracetui.ui import app as app_module
from tracetui.ui import garbage
from tracetui.ui.app import KEY_ANSWER_SECONDS, KEYS_HELD_SECONDS
from tracetui.ui.garbage import QUIET_SCREEN_SECONDS, YOUNG_COLLECTIONS, Garbage
from tracetui.ui.widgets.status_bar import StatusBar

from .conftest import Desk


class Counted(Desk):
    """How often more was asked for."""

    asked = 0

    def poll(self, seconds=0.0) -> bool:
        self.asked += 1
        return True


@pytest.fixture
def clock(monkeypatch):
    """The screen's clock stands still until a test moves it."""
    made = SimpleNamespace(now=1000.0, time=time.time)
    made.monotonic = lambda: made.now
    monkeypatch.setattr(app_module, "time", made)
    return made


async def test_after_a_key_nothing_is_taken_in_until_what_it_does_can_be_seen(shown, clock):
    session = Counted()
    async with shown(session) as screen:
        await screen.press("j")
        session.asked = 0
        for _ in range(3):
            screen.app._take()
        assert session.asked == 0
        clock.now += KEY_ANSWER_SECONDS * 1.01
        screen.app._take()
        assert session.asked == 1


async def test_a_key_that_is_held_down_does_not_stop_the_intake(shown, clock):
    session = Counted()
    async with shown(session) as screen:
        screen.app._take()
        session.asked = 0
        for _ in range(16):
            clock.now += KEY_ANSWER_SECONDS * 0.8
            screen.app.simulate_key("j")
            # So long that the key has come.
            await asyncio.sleep(0.02)
            screen.app._take()
        assert 2 <= session.asked <= 16 * KEY_ANSWER_SECONDS * 0.8 / KEYS_HELD_SECONDS


async def test_what_has_changed_of_the_status_is_drawn_apart_from_the_packets(shown, seed):
    async with shown(seed) as screen:
        bar = screen.app.screen.query_one(StatusBar)
        before = bar.status
        seed.status = before.with_(rate=777)
        screen.app._look()
        assert bar.status is before
        end = time.monotonic() + 5
        while bar.status is before and time.monotonic() < end:
            await asyncio.sleep(0.01)
        assert "777/" in str(bar.render())


@pytest.fixture
def looked(monkeypatch):
    """How thoroughly it was looked for cycles, each time; much has been left to look at."""
    found: list[int] = []
    state = SimpleNamespace(rounds=0)
    monkeypatch.setattr(gc, "get_count", lambda: (0, YOUNG_COLLECTIONS, state.rounds))
    monkeypatch.setattr(garbage.gc, "collect", found.append)
    return SimpleNamespace(found=found, state=state)


def test_cycles_are_looked_for_when_nothing_has_come_for_a_while(looked):
    one = Garbage()
    one.collect_if_quiet(True, 100.0)
    one.collect_if_quiet(False, 100.0 + QUIET_SCREEN_SECONDS / 2)
    assert looked.found == []
    one.collect_if_quiet(False, 100.0 + QUIET_SCREEN_SECONDS)
    assert looked.found == [1]


def test_now_and_then_they_are_looked_for_everywhere(looked):
    looked.state.rounds = garbage.MIDDLE_COLLECTIONS
    Garbage().collect_if_quiet(False, 100.0)
    assert looked.found == [2]
