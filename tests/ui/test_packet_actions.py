"""What is done with packets: found, marked, exported, copied, looked at in full, traced on."""

from __future__ import annotations

import base64
import json

import pytest
from textual.widgets import Input

from tracetui import __version__

from .conftest import NOW, SEED, Desk


@pytest.fixture
def copied(monkeypatch):
    """What was copied."""
    found = []
    monkeypatch.setattr("textual.app.App.copy_to_clipboard", lambda self, text: found.append(text))
    return found


async def test_a_text_is_found_in_hops_that_are_folded_and_again(shown, seed):
    async with shown(seed, size=(120, 40)) as screen:
        await screen.press("home", "f")
        await screen.write("nat:postrouting")
        await screen.press("enter")
        first = screen.timeline.cursor_target
        assert first.packet.hops[first.hop].place == "nat:POSTROUTING:rule:1"
        await screen.press("n")
        assert screen.timeline.cursor_target != first
        await screen.press("N")
        assert screen.timeline.cursor_target == first


async def test_a_text_that_is_nowhere_is_said_and_the_cursor_stays(shown, seed):
    async with shown(seed) as screen:
        await screen.press("home", "n")
        assert "f searches for a text" in screen.app.notices[-1].text
        await screen.press("f")
        await screen.write("nowhere")
        await screen.press("enter")
        assert "not found: nowhere" in screen.app.notices[-1].text
        assert screen.timeline.selected.id == 1


async def test_dropped_packets_are_gone_to(shown):
    desk = Desk()
    desk.feed(SEED)
    drops = [packet.id for packet in list(desk.packets)[2::2]]
    for packet_id in drops:
        packet = desk.packets.get(packet_id)
        last = packet.hops[-1]
        dropped = last.with_(backend="nft", verdict="drop")
        packet.place_in(lambda hop, last=last, dropped=dropped: dropped if hop == last else hop)
    async with shown(desk) as screen:
        await screen.press("home")
        met = []
        for key in ("d", "d", "d", "D"):
            await screen.press(key)
            met.append(screen.timeline.selected.id)
        assert met == [*drops, drops[0], drops[-1]]


async def test_where_nothing_was_dropped_that_is_said(shown, seed):
    async with shown(seed) as screen:
        await screen.press("home", "d")
        assert "no packet here was dropped" in screen.app.notices[-1].text
        assert screen.timeline.selected.id == 1


async def test_marks_are_set_counted_and_cleared(shown, seed):
    async with shown(seed, size=(120, 30)) as screen:
        await screen.press("home", "x", "down", "x", "down", "x", "x")
        assert list(screen.timeline.marked) == [1, 2]
        assert [line[1] for line in screen.lines()] == ["◆", "◆", " ", " ", " ", " "]
        assert "2 marked" in screen.whole()
        await screen.press("escape")
        assert not screen.timeline.marked


async def test_a_packet_is_copied_as_text(shown, seed, copied):
    async with shown(seed) as screen:
        await screen.press("home", "y")
        (text,) = copied
        assert len([line for line in text.splitlines() if line.startswith("  legacy ")]) == 22
        assert "accepted by the policy of POSTROUTING (legacy table ip nat)" in text
        assert f"host node-7, host namespace, tracetui {__version__}" in text
        assert "172.31.47.174:22896 → 172.31.55.27:8090" in text
        assert "OSC 52" in screen.app.notices[-1].text


async def test_the_terminal_is_sent_the_text_as_osc_52(shown, seed):
    async with shown(seed) as screen:
        sent = []
        screen.app._driver.write = sent.append
        await screen.press("home", "y")
        (sequence,) = [one for one in sent if one.startswith("\x1b]52;c;")]
        text = base64.b64decode(sequence[7:].rstrip("\x07")).decode()
        assert "172.31.47.174:22896" in text


async def test_what_is_shown_is_saved_as_a_record(shown, seed, tmp_path):
    async with shown(seed, size=(100, 30)) as screen:
        await screen.press("ctrl+s")
        name = screen.app.screen.query_one("#file")
        assert name.value == "tracetui-20231114T221320Z.txt"
        assert NOW == 1_700_000_000
        await screen.press("right", "tab", "right", "right")
        assert name.value.endswith(".ndjson")
        file = tmp_path / "out.ndjson"
        name.value = str(file)
        await screen.press("enter")
        await screen.app.workers.wait_for_complete()
        await screen.settle()
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        assert [len(one["hops"]) for one in lines if one["kind"] == "packet"] == [22, *[6] * 5]
        assert file.stat().st_mode & 0o777 == 0o600
        assert "6 packets as NDJSON: written" in screen.app.notices[-1].text


async def test_a_file_that_cannot_be_written_is_said(shown, seed, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    async with shown(seed, size=(100, 30)) as screen:
        await screen.press("ctrl+s")
        screen.app.screen.query_one("#file").value = str(tmp_path / "link")
        await screen.press("enter")
        await screen.app.workers.wait_for_complete()
        await screen.settle()
        assert "symbolic link" in screen.app.notices[-1].text
        assert not (tmp_path / "elsewhere").exists()


async def test_too_much_for_a_clipboard_is_refused(shown, copied):
    desk = Desk()
    for number in range(150):
        desk.feed(line.replace("ID=26039 ", f"ID={number} ") for line in SEED[:22])
    async with shown(desk, size=(100, 30)) as screen:
        await screen.press("ctrl+s", "right", "tab", "tab", "tab", "tab", "enter")
        assert "too large for the clipboard" in screen.app.notices[-1].text
        assert not copied


async def test_all_of_a_packet_is_shown_in_fields(shown, seed):
    async with shown(seed, size=(120, 50)) as screen:
        await screen.press("home", "i")
        whole = screen.whole()
        for word in ("ip id", "26039", "at PREROUTING", "at FORWARD"):
            assert word in whole
        assert whole.count("tcp seq") == 1
        assert whole.count("ttl ") >= 2
        assert "the source is text" in whole


async def test_a_packet_fills_the_form_of_a_rule(shown, seed):
    async with shown(seed, size=(120, 50)) as screen:
        await screen.press("home", "t")
        assert "this flow and its replies" in screen.whole()
        await screen.press("down", "enter")
        assert screen.app.screen.query_one("#src").value == "172.31.47.174"
        assert screen.app.screen.query_one("#dport").value == "8090"
        await screen.press("enter")
        (rules,) = (order[1] for order in seed.orders if order[0] == "add")
        assert [(rule.chain, rule.src, rule.sport) for rule in rules] == [
            ("PREROUTING", "172.31.47.174", "22896"),
            ("PREROUTING", "172.31.55.27", "8090"),
            ("OUTPUT", "172.31.55.27", "8090"),
        ]


async def test_what_was_told_can_be_read_again(shown, seed):
    async with shown(seed, size=(100, 30)) as screen:
        await screen.press("L")
        assert "nothing yet" in screen.whole()
        await screen.press("escape", "d")
        screen.app.clear_notifications()
        await screen.press("L")
        assert "22:13:20 · no packet here was dropped" in screen.whole()


async def test_what_was_looked_for_is_told_as_it_was_typed(shown, seed):
    async with shown(seed, size=(120, 40)) as screen:
        await screen.press("f")
        screen.app.screen.query_one(Input).value = "{main.add-rule}zz"
        await screen.press("enter")
        await screen.pilot.pause(0.2)
        assert "not found: {main.add-rule}zz" in screen.text("#notices")
