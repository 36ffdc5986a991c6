"""The filter applies while it is typed."""

from __future__ import annotations

from textual.events import Key
from textual.widgets import Input

from .conftest import SEED, Desk


async def test_each_letter_narrows_what_is_there(shown, seed):
    async with shown(seed) as screen:
        await screen.press("slash", "tab", "tab")
        await screen.write("8090")
        assert len(screen.lines()) == 6
        await screen.press("backspace")
        await screen.write("1")
        assert screen.lines() == []
        assert "0 of 6" in screen.whole()
        await screen.press("escape")
        assert len(screen.lines()) == 6


async def test_it_applies_to_what_comes(shown):
    desk = Desk()
    async with shown(desk) as screen:
        await screen.press("slash")
        await screen.write("172.31.55.27")
        desk.feed(SEED)
        await screen.settle()
        answers = [line for line in screen.lines() if "172.31.55.27" in line.split(" → ")[0]]
        assert screen.lines() == answers
        assert len(answers) == sum(packet.header.src == "172.31.55.27" for packet in desk.packets)


async def test_an_invalid_one_is_marked_and_changes_nothing(shown, seed):
    async with shown(seed) as screen:
        await screen.press("slash", "tab", "tab")
        await screen.write("8090x")
        assert "✗ port" in screen.whole()
        assert screen.app.screen.query_one("#port", Input).has_class("-wrong")
        assert len(screen.lines()) == 6
        await screen.press("backspace")
        assert "✗ port" not in screen.whole()


async def test_keys_that_arrive_at_once_go_where_they_were_meant(shown, seed):
    """As over a slow line: the whole burst is there before the first key is looked at."""
    async with shown(seed) as screen:
        for key in ("slash", "tab", "tab", "9", "tab", "u", "d", "p"):
            character = {"slash": "/", "tab": "\t"}.get(key, key)
            screen.app.post_message(Key(key, character))
        await screen.settle()
        await screen.settle()
        assert screen.app.screen.query_one("#port", Input).value == "9"
        assert screen.app.screen.query_one("#proto", Input).value == "udp"
