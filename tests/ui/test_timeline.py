"""Packets as rows that unfold, followed until the user looks at something."""

from __future__ import annotations

import pytest
from textual.events import MouseScrollDown, MouseScrollUp

from tracetui.session.state.explanations import Explanations
from tracetui.session.state.store import PacketStore
from tracetui.session.text.width import cells_of

from .conftest import SEED, Desk


async def test_packets_are_rows_with_what_is_known_of_them(shown, seed):
    async with shown(seed, size=(140, 40)) as screen:
        lines = screen.lines()
        assert len(lines) == 6
        assert "15:01:24" in lines[0]
        assert "tcp SYN" in lines[0]
        assert "172.31.47.174:22896 → 172.31.55.27:8090" in lines[0]
        assert [line.split()[-3] for line in lines] == ["22", *["6"] * 5]


def web_lines(screen) -> list[str]:
    """The lines of packets to the lab's service, whose destination is rewritten."""
    return [line for line in screen.lines() if "⇒ 10.200.2.2:8080" in line]


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
async def test_a_rewritten_end_is_whole_at_every_width(shown, lab, columns):
    async with shown(lab, size=(columns, 24)) as screen:
        expected = [one for one in lab.packets if (one.nat or {}).get("dst") == "10.200.2.2"]
        expected = [one for one in expected if one.header.dport == 80]
        assert expected
        assert len(web_lines(screen)) == len(expected)
        assert all("10.200.1.2" in line for line in web_lines(screen))
        assert all(cells_of(line) <= screen.timeline.width for line in screen.lines())


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (200, "18:48:41.500 tcp ACK 10.200.1.2:48642 → 10.96.0.80:80 ⇒ 10.200.2.2:8080"),
        (80, "18:48:41 tcp ACK 10.200.1.2 → 10.96.0.80:80 ⇒ 10.200.2.2:8080"),
        (68, "18:48 tcp ACK 10.200.1.2 ⇒ 10.200.2.2:8080"),
        (60, "tcp ACK 10.200.1.2 ⇒ 10.200.2.2:8080"),
    ],
)
async def test_ports_flags_and_seconds_give_way_to_addresses(shown, lab, columns, words):
    async with shown(lab, size=(columns, 24)) as screen:
        assert words in " ".join(web_lines(screen)[1].split())


ECHO = (
    "[1.5] TRACE: raw:PREROUTING:policy:2 IN=eth0 OUT= SRC={} DST={} LEN=84 TOS=0x00 PREC=0x00 "
    "TTL=64 ID={} PROTO=ICMP TYPE={} CODE=0 ID=9 SEQ=1"
)


@pytest.mark.parametrize("columns", [60, 80, 120])
async def test_an_echo_s_request_and_reply_are_told_apart(shown, columns):
    desk = Desk()
    desk.feed(
        [ECHO.format("10.0.0.1", "10.0.0.2", 1, 8), ECHO.format("10.0.0.2", "10.0.0.1", 2, 0)]
    )
    async with shown(desk, size=(columns, 24)) as screen:
        request, reply = screen.lines()
        assert "echo req" in request
        assert "echo rep" in reply


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
async def test_each_column_has_its_heading_right_above(shown, lab, columns):
    async with shown(lab, size=(columns, 24)) as screen:
        heads = screen.text("#headings")
        row = next(line for line in web_lines(screen) if "✓" in line)
        assert heads.index("source") == row.index("10.200.1.2")
        assert heads.index("proto") == row.index("tcp")
        if "verdict" in heads:
            assert heads.index("verdict") == row.index("✓")
        assert "src" not in screen.whole()


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


async def test_what_is_found_in_a_folded_hook_unfolds_it_and_the_search_goes_on(shown, seed):
    async with shown(seed, size=(120, 40)) as screen:
        await screen.press("home", "v", "f")
        await screen.write("KUBE-FORWARD")
        await screen.press("enter")
        assert heads(screen)[0] == OUTLINE[0]
        assert heads(screen)[-1] == OUTLINE[2]
        assert "KUBE-FORWARD return 4" in screen.timeline.text_of(screen.timeline.cursor_line)
        await screen.press("left", "N")
        assert "KUBE-FORWARD return 4" in screen.timeline.text_of(screen.timeline.cursor_line)


@pytest.mark.parametrize(
    "keys",
    [
        ["home", "right", *["down"] * 13, *["up"] * 3, "left"],
        ["home", "v", *["down"] * 4, "right", "home", "right", *["down"] * 3, "right"],
        ["home", "right", *["down"] * 24, "right", "v"],
        ["home", "v", "right", *["down"] * 8, "v", "v"],
        ["home", "right", *["down"] * 22, "u"],
        ["home", *["down"] * 30, "equals_sign", "escape"],
        ["end", *["up"] * 30, "at", "escape"],
        ["end", *["up"] * 3, "equals_sign", "escape"],
    ],
)
async def test_the_cursor_stays_in_sight_whatever_is_folded_or_filtered(shown, seed, keys):
    feed_more(seed, [line for line in SEED if "ID=26039 " in line], 60)
    async with shown(seed, size=(80, 16)) as screen:
        timeline = screen.timeline
        for key in keys:
            await screen.press(key)
            assert timeline.has_in_sight(timeline.cursor_line), key
            assert timeline.selected is not None


async def test_a_hook_that_unfolds_at_the_lower_edge_is_brought_into_sight(shown, seed):
    async with shown(seed, size=(80, 24)) as screen:
        timeline = screen.timeline
        await screen.press("home", "v", "right", *["down"] * 3)
        assert timeline.has_in_sight(timeline.cursor_line)
        await screen.press("right")
        assert timeline.has_in_sight(timeline.cursor_line + 5)


async def test_the_cursor_survives_a_filter_that_lets_nothing_through(shown, seed):
    async with shown(seed, size=(80, 24)) as screen:
        await screen.press("home", "down", "slash")
        chosen = screen.timeline.selected
        await screen.write("1.2.3.4")
        await screen.press("down", "up", "escape")
        assert len(screen.lines()) == 6
        assert screen.timeline.selected is chosen


async def test_the_cursor_stays_on_its_hop_when_lines_come_before_it(shown, lab):
    async with shown(lab, size=(160, 60)) as screen:
        packet = next(one for one in lab.packets if one.header.dst == "10.96.0.80")
        screen.timeline.go_to_packet(packet)
        await screen.press(*["down"] * 9)
        hop, line = screen.timeline.selected_hop, screen.timeline.cursor_line
        await screen.press("u")
        assert screen.timeline.selected_hop == hop
        assert screen.timeline.cursor_line > line
        await screen.press("u")
        assert (screen.timeline.selected_hop, screen.timeline.cursor_line) == (hop, line)


async def test_what_the_user_looks_at_stays_while_the_oldest_are_dropped(shown):
    desk = Desk()
    one = [line for line in SEED if "ID=26039 " in line]
    desk.packets = PacketStore(2 * 450)
    desk.explanations = Explanations(desk.rulesets)
    feed_more(desk, one, 440)
    async with shown(desk, size=(80, 24)) as screen:
        await screen.press(*["up"] * 30)
        chosen, first = screen.timeline.selected, screen.timeline.text_of(screen.timeline.top)
        line = screen.timeline.cursor_line - screen.timeline.top
        feed_more(desk, one, 200, start=1000)
        await screen.settle()
        assert desk.packets.evicted > 0
        assert screen.timeline.selected is chosen
        assert screen.timeline.text_of(screen.timeline.top) == first
        assert screen.timeline.cursor_line - screen.timeline.top == line


async def test_the_wheel_and_the_bar_look_elsewhere_and_end_the_following(shown, seed):
    feed_more(seed, [line for line in SEED if "ID=26039 " in line], 100)
    async with shown(seed, size=(80, 24)) as screen:
        timeline = screen.timeline
        bottom, x = timeline.top, timeline.region.right - 1
        timeline.post_message(wheel(MouseScrollUp, timeline))
        await screen.settle()
        assert timeline.top == bottom - 3
        assert not timeline.following
        timeline.post_message(wheel(MouseScrollDown, timeline))
        await screen.settle()
        assert timeline.top == bottom
        await screen.pilot.mouse_down(offset=(x, timeline.region.bottom - 1))
        await screen.pilot.hover(offset=(x, timeline.region.y))
        assert timeline.top == 0
        await screen.pilot.mouse_up(offset=(x, timeline.region.y))
        await screen.pilot.hover(offset=(x, timeline.region.bottom - 2))
        assert timeline.top == 0


def wheel(event, widget):
    """One notch of the wheel over a widget."""
    return event(widget, 1, 1, 0, 1, 0, False, False, False)


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


async def test_a_burst_is_shown_to_its_end_when_nothing_more_comes(shown, seed):
    one = [line for line in SEED if "ID=26039 " in line]
    async with shown(seed, size=(80, 24)) as screen:
        for start in (0, 100):
            feed_more(seed, one, 60, start)
            screen.app._look()
        seed.poll = lambda seconds=0.0: False
        screen.app._look()
        await screen.pilot.pause()
        assert screen.timeline.line_count == 6 + 120
        await screen.pilot.pause(1.0)
        assert "126 · following" in screen.whole()


async def test_the_title_counts_what_a_filter_hides_and_what_comes_while_held(shown, seed):
    one = [line for line in SEED if "ID=26039 " in line]
    async with shown(seed, size=(120, 40), expression="src 9.9.9.9") as screen:
        feed_more(seed, one, 10)
        await screen.settle()
        assert "0 of 16 · following" in screen.whole()
        await screen.press("escape", "space")
        feed_more(seed, one, 10, start=100)
        await screen.settle()
        assert "26 · PAUSED" in screen.whole()
        assert len(screen.lines()) == 16


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
