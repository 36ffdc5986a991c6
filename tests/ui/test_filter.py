"""The filter applies while it is typed."""

from __future__ import annotations

import pytest
from textual.events import Key
from textual.widgets import Input

from tracetui.session.user.filter_history import FilterHistory

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


async def test_it_is_there_while_it_is_open_or_in_force(shown, seed):
    async with shown(seed) as screen:
        assert "src" not in screen.whole()
        await screen.press("slash")
        assert "src" in screen.whole()
        assert "filter" in screen.whole().split("Packets")[1]
        await screen.write("172.31")
        await screen.press("down")
        assert "src 172.31" in " ".join(screen.whole().split())
        await screen.press("escape")
        await screen.settle()
        assert "src" not in screen.whole()
        await screen.press("slash", "down")
        await screen.settle()
        assert "src" not in screen.whole()


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


async def burst(screen, *keys: str) -> None:
    """Have all keys there before the first one is looked at, as over a slow line."""
    characters = {"slash": "/", "tab": "\t", "full_stop": ".", "space": " "}
    for key in keys:
        character = characters.get(key, key if len(key) == 1 else None)
        screen.app.post_message(Key(key, character))
    await screen.pilot.pause(0.2)
    await screen.settle()


def value(screen, field: str) -> str:
    return screen.app.screen.query_one(f"#{field}", Input).value


@pytest.mark.parametrize(
    ("keys", "typed"),
    [
        ("1 0 full_stop 9 backspace 5", "10.5"),
        ("x y z ctrl+u a b c", "abc"),
        ("1 3 left 2 end 4", "1234"),
        ("a b home delete c", "cb"),
        ("a b backspace backspace backspace 1 backspace 2", "2"),
    ],
)
async def test_a_burst_is_edited_in_the_order_typed(shown, seed, keys, typed):
    async with shown(seed) as screen:
        await burst(screen, "slash", *keys.split())
        assert value(screen, "src") == typed


async def test_a_burst_opens_leaves_and_goes_on_where_it_was_meant(shown, seed):
    async with shown(seed, size=(120, 40)) as screen:
        # Into the filter, to its expression, back to the packets, and a key there.
        await burst(screen, *["slash", "tab", "tab", "tab", "tab", "t", "c", "p", "enter", "x"])
        assert value(screen, "expression") == "tcp"
        assert len(screen.timeline.marked) == 1
        # A key that opens a dialog, and what is typed into that.
        await burst(screen, *["f", "n", "o", "w", "h", "e", "r", "e", "enter"])
        assert "not found: nowhere" in screen.app.notices[-1].text
        await burst(screen, *["T", "ctrl+u", "7", "7", "backspace", "8", "enter"])
        assert screen.session.orders == [("threshold", 78)]
        await burst(screen, *["question_mark", "slash", "d", "r", "o", "p"])
        assert "next packet that was dropped" in screen.text("#help Static")
        await burst(screen, *["escape", "escape", "2", "d", "3", "space"])
        assert screen.timeline.paused


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


async def test_an_expression_applies_while_it_is_typed_and_says_where_it_is_wrong(shown, seed):
    async with shown(seed, size=(100, 30)) as screen:
        await screen.press("slash", *["tab"] * 4)
        await screen.write("len")
        assert "-wrong" in screen.app.screen.query_one("#expression").classes
        assert "^ expected" in screen.whole()
        assert len(screen.lines()) == 6
        await screen.press(*["backspace"] * 3)
        await screen.write("greater 60 and not less 59")
        assert len(screen.lines()) == 2
        await screen.press("enter")
        assert screen.timeline.has_focus
        assert "greater 60" in screen.whole()
        await screen.press("escape")
        assert len(screen.lines()) == 6
        assert "greater 60" not in screen.whole()


async def test_the_filters_before_are_an_arrow_away_those_of_other_sessions_too(shown, seed):
    history = FilterHistory(["tcp port 22", "greater 60"])
    async with shown(seed, size=(100, 30), history=history) as screen:
        await screen.press("slash", *["tab"] * 4)
        await screen.write("less 59")
        await screen.press("enter", "escape")
        await screen.press("slash", *["tab"] * 4)
        await screen.write("ic")
        field = screen.app.screen.query_one("#expression")
        await screen.press("up")
        assert field.value == "less 59"
        await screen.press("up")
        assert field.value == "greater 60"
        assert len(screen.lines()) == 2
        await screen.press("down", "down")
        assert field.value == "ic"
    assert history.new == ["less 59"]


async def test_that_nothing_matches_is_said_at_once(shown, seed):
    async with shown(seed, size=(100, 30)) as screen:
        seed.poll = lambda seconds=0.0: False
        await screen.pilot.press("slash")
        screen.app.screen.query_one("#src").value = "9.9.9.9"
        await screen.pilot.pause()
        assert "0 of 6 packets match" in screen.timeline.empty_text


async def test_a_filter_is_kept_however_its_line_is_left_and_nothing_else_is(shown, seed):
    history = FilterHistory()
    async with shown(seed, size=(100, 30), history=history) as screen:
        await screen.press("slash", *["tab"] * 4)
        await screen.write("len")
        await screen.press("tab")
        assert history.new == []
        await screen.press("escape", "slash", *["tab"] * 4)
        await screen.write('text "a  b"')
        await screen.press("tab")
        assert history.new == ['text "a  b"']
        await screen.press("escape", "slash", *["tab"] * 4)
        await screen.write("tcp")
    assert history.new == ['text "a  b"', "tcp"]


async def test_what_was_typed_over_an_earlier_filter_is_there_until_it_is_used(shown, seed):
    async with shown(seed, size=(100, 30), history=FilterHistory(["tcp", "udp"])) as screen:
        await screen.press("slash", *["tab"] * 4, "up")
        await screen.write(" or ip")
        await screen.press("up", "down")
        assert screen.app.screen.query_one("#expression").value == "udp or ip"


async def test_the_right_arrow_completes_a_word_seen(shown, seed):
    async with shown(seed, size=(100, 30)) as screen:
        await screen.press("slash", *["tab"] * 4)
        await screen.write("chain KUBE-S")
        await screen.pilot.pause(0.1)
        await screen.press("right")
        assert screen.app.screen.query_one("#expression").value == "chain KUBE-SERVICES"
        assert len(screen.lines()) == 1


async def test_expressions_of_before_come_back(shown, seed):
    async with shown(seed, size=(100, 30)) as screen:
        field = screen.app.screen.query_one("#expression")
        for expression in ("tcp", "udp"):
            await screen.press("escape", "slash", *["tab"] * 4)
            await screen.write(expression)
            await screen.press("enter")
        await screen.press("escape", "slash", *["tab"] * 4, "n", "up")
        assert field.value == "udp"
        await screen.press("up")
        assert field.value == "tcp"
        await screen.press("up", "down", "down")
        assert field.value == "n"
        await screen.press("down")
        assert screen.timeline.has_focus


async def test_one_key_on_a_packet_narrows_to_it_or_hides_it(shown, seed):
    async with shown(seed, size=(120, 30)) as screen:
        field = screen.app.screen.query_one("#expression")
        await screen.press("home", "minus")
        assert len(screen.lines()) == 0
        assert field.value.startswith("not (tcp and host 172.31.47.174")
        await screen.press("escape", "home", "equals_sign")
        assert len(screen.lines()) == 6
        await screen.press("escape", "home", "at")
        assert field.value == "host 172.31.47.174"


async def test_the_screen_can_begin_with_a_filter(shown, seed):
    async with shown(seed, size=(120, 30), expression="greater 61") as screen:
        assert len(screen.lines()) == 1
        assert "greater 61" in screen.whole()


async def test_the_caret_stands_where_it_went_wrong_or_not_at_all(shown, seed):
    async with shown(seed, size=(80, 24)) as screen:
        for typed in ("host 10.x", f"{'tcp and ' * 6}host 10.x", f"{'tcp ' * 3}and"):
            screen.app.screen.query_one("#expression").value = typed
            await screen.settle()
            lines = screen.whole().splitlines()
            row = next(at for at, line in enumerate(lines) if "│ filter " in line)
            caret, at = lines[row + 1].find("^"), typed.rfind(" ") + 1
            wrong = lines[row].index(typed) + (4 if typed.startswith("tcp tcp") else at)
            assert caret == wrong or ("✗" in lines[row + 1] and caret < 0), lines[row : row + 2]
