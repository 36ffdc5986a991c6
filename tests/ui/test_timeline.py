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


def heads(screen) -> list[str]:
    """The first words of each line under the first packet."""
    return [line[:22].rstrip() for line in screen.lines()[1:-5]]


OUTLINE = ["▸ PREROUTING  6 hops", "▸ FORWARD     10 hops", "▸ POSTROUTING 6 hops"]


async def test_a_hook_folds_into_one_line_and_the_cursor_stays_on_it(shown, seed):
    async with shown(seed, size=(120, 40)) as screen:
        await screen.press("home", "enter", *["down"] * 3, "left")
        lines = screen.lines()
        assert len(lines) == 6 + 22 - 5
        assert heads(screen)[0] == OUTLINE[0]
        assert "raw mangle nat" in lines[1]
        assert "PREROUTING → KUBE-SERVICES" in lines[1]
        assert screen.timeline.selected_hop == 5
        await screen.press("right")
        assert len(screen.lines()) == 6 + 22
        assert screen.timeline.selected_hop == 0
        await screen.press("left", "enter")
        assert len(screen.lines()) == 6 + 22
        await screen.press("left", "left")
        assert len(screen.lines()) == 6


async def test_every_packet_unfolds_into_its_hooks_or_into_its_hops(shown, seed):
    async with shown(seed, size=(120, 40)) as screen:
        await screen.press("home", "v", "enter")
        assert heads(screen) == OUTLINE
        await screen.press("down", "down", "right")
        assert [head for head in heads(screen) if head.startswith(("▸", "▾"))][::2] == OUTLINE[::2]
        assert len(screen.lines()) == 6 + 3 + 9
        await screen.press(*["down"] * 3)
        assert screen.timeline.selected_hop == 9
        await screen.press("v")
        assert len(screen.lines()) == 6 + 22
        assert screen.timeline.selected_hop == 9
        await screen.press("v")
        assert heads(screen) == OUTLINE
        assert screen.timeline.selected_hop == 15


async def test_a_jump_to_a_hop_that_is_folded_away_goes_to_its_hook(shown, seed):
    async with shown(seed, size=(120, 40)) as screen:
        await screen.press("home", "v", "f")
        await screen.write("KUBE-FORWARD")
        await screen.press("enter")
        assert heads(screen) == OUTLINE
        assert screen.timeline.selected_hop == 15


async def test_the_mouse_puts_the_cursor_and_unfolds_what_has_it(shown, seed):
    async with shown(seed, size=(120, 40)) as screen:
        await screen.pilot.click(screen.timeline, offset=(10, 0))
        await screen.settle()
        assert screen.timeline.selected.id == next(iter(seed.packets)).id
        assert len(screen.lines()) == 6
        await screen.pilot.click(screen.timeline, offset=(10, 0))
        await screen.settle()
        assert len(screen.lines()) == 6 + 22
        await screen.press("v")
        for _ in range(2):
            await screen.pilot.click(screen.timeline, offset=(10, 2))
            await screen.settle()
        assert len(screen.lines()) == 6 + 3 + 9


async def test_the_newest_is_followed_until_the_user_moves_up(shown, seed):
    one = [line for line in SEED if "ID=26039 " in line]
    async with shown(seed, size=(80, 24)) as screen:
        feed_more(seed, one, 40)
        await screen.settle()
        assert screen.timeline.following
        bottom = screen.timeline.top
        assert bottom == 46 - screen.timeline.size.height
        await screen.press("up")
        feed_more(seed, one, 10, start=100)
        await screen.settle()
        assert not screen.timeline.following
        assert screen.timeline.top == bottom
        assert "End follows" in screen.whole()
        await screen.press("end")
        assert screen.timeline.following
        assert screen.timeline.top == 56 - screen.timeline.size.height


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
