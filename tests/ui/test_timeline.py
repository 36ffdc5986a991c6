"""Packets as rows that unfold, followed until the user looks at something."""

from __future__ import annotations

from .conftest import SEED, Desk


async def test_packets_are_rows_with_what_is_known_of_them(shown, seed):
    async with shown(seed, size=(140, 40)) as screen:
        lines = screen.lines()
        assert len(lines) == 6
        assert "15:01:24" in lines[0]
        assert "tcp SYN" in lines[0]
        assert "172.31.47.174:22896 → 172.31.55.27:8090" in lines[0]
        assert "22 hops" in lines[0]
        assert [line.split(" hops")[0].split()[-1] for line in lines] == ["22", *["6"] * 5]


async def test_a_row_unfolds_into_its_hops_by_hook_and_table(shown, seed):
    async with shown(seed) as screen:
        await screen.press("home", "enter")
        lines = screen.lines()
        assert len(lines) == 6 + 22
        assert "PREROUTING" in lines[1]
        assert "raw" in lines[1]
        assert "policy 2" in lines[1]
        hooks = [line[:14].split() for line in lines[1:23] if line[:14].strip()]
        assert hooks == [["▾", "PREROUTING"], ["▾", "FORWARD"], ["▾", "POSTROUTING"]]
        await screen.press("enter")
        assert len(screen.lines()) == 6


async def test_the_newest_is_followed_until_the_user_moves_up(shown, seed):
    one = [line for line in SEED if "ID=26039 " in line]
    async with shown(seed, size=(80, 24)) as screen:
        feed_more(seed, one, 40)
        await screen.settle()
        assert screen.timeline.following
        bottom = screen.timeline.scroll_offset.y
        assert bottom == 46 - screen.timeline.size.height
        await screen.press("up")
        feed_more(seed, one, 10, start=100)
        await screen.settle()
        assert not screen.timeline.following
        assert screen.timeline.scroll_offset.y == bottom
        assert "End follows" in screen.whole()
        await screen.press("end")
        assert screen.timeline.following
        assert screen.timeline.scroll_offset.y == 56 - screen.timeline.size.height


async def test_a_held_picture_shows_later_what_came_meanwhile(shown):
    desk = Desk()
    desk.feed(SEED[:22])
    async with shown(desk) as screen:
        await screen.press("space")
        desk.feed(SEED[22:])
        await screen.settle()
        assert len(screen.lines()) == 1
        assert "PAUSED" in screen.whole()
        await screen.press("space")
        assert len(screen.lines()) == 6


async def test_what_a_log_says_is_shown_inert(shown):
    desk = Desk()
    hostile = SEED[0].replace("raw:PREROUTING", "raw:[red]X\x1b]0;owned\x07")
    assert hostile != SEED[0]
    desk.feed([hostile])
    async with shown(desk, size=(140, 30)) as screen:
        await screen.press("enter")
        assert "[red]X" in screen.whole()
        assert not {"\x1b", "\x07"} & set(screen.whole())


def feed_more(desk: Desk, lines: list[str], packets: int, start: int = 0) -> None:
    for number in range(start, start + packets):
        desk.feed(line.replace("ID=26039 ", f"ID={number} ") for line in lines[:2])
