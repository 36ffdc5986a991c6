"""The line at the bottom: keys where the cursor is, the most needed ones on any width, by mouse."""

from __future__ import annotations

import pytest

from tracetui.session.user.settings import Settings
from tracetui.ui.widgets.key_bar import KeyBar


def bar(screen) -> str:
    return str(screen.app.screen.query_one(KeyBar).render())


async def test_it_tells_the_keys_of_the_pane_with_the_cursor(shown, seed):
    async with shown(seed, size=(120, 40)) as screen:
        assert "t trace" in bar(screen)
        assert "d delete" not in bar(screen)
        await screen.press("2")
        assert "t trace" not in bar(screen)
        assert "d delete" in bar(screen)
        assert bar(screen).endswith("F FLUSH")
        await screen.press("slash")
        assert bar(screen).startswith("↓ packets Esc clear")
        await screen.press("down")
        assert "t trace" in bar(screen)


@pytest.mark.parametrize(
    ("width", "told"),
    [
        (70, "space pause a add rule / filter ? keys q quit F FLUSH"),
        (40, "a add rule ? keys q quit F FLUSH"),
        (24, "? keys q quit F FLUSH"),
        (16, "? keys F FLUSH"),
        (8, "F FLUSH"),
    ],
)
async def test_what_there_is_no_room_for_goes_and_flush_stays(shown, seed, width, told):
    async with shown(seed, size=(width, 24)) as screen:
        assert bar(screen).endswith(told)
        assert len(bar(screen)) <= width


async def test_a_key_that_a_user_bound_is_told_and_pressed_by_the_mouse(shown, seed):
    settings = Settings(keys={"timeline.pause": "z"})
    async with shown(seed, size=(120, 40), settings=settings) as screen:
        at = bar(screen).index("z pause")
        await screen.pilot.click(KeyBar, offset=(at + 3, 0))
        await screen.settle()
        assert "PAUSED" in str(screen.app.screen.query_one("#packets").border_subtitle)
        await screen.pilot.click(KeyBar, offset=(at - 1, 0))
        await screen.settle()
        assert "PAUSED" in str(screen.app.screen.query_one("#packets").border_subtitle)


async def test_what_is_under_the_mouse_is_told(shown, seed):
    async with shown(seed, size=(120, 40)) as screen:
        line = screen.app.screen.query_one(KeyBar)
        await screen.pilot.hover(KeyBar, offset=(bar(screen).index("FLUSH"), 0))
        assert line.tooltip == "remove our rules at once"
        await screen.pilot.hover("#packets")
        assert line.under is None
