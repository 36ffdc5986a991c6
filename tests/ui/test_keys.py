"""The table of keys: each does what it says, is told in the help, can be bound otherwise."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from textual.app import App
from textual.binding import Binding
from textual.command import CommandPalette

import tracetui
from tracetui.lab import recording
from tracetui.session.replay.replay import ReplaySession
from tracetui.session.user.settings import Settings
from tracetui.ui import key_names
from tracetui.ui.commands import COMMANDS, SCOPES
from tracetui.ui.keymap import Keymap, written

from .conftest import SEED

MAIN = ("anywhere", "main", "timeline", "rules", "modules", "filter")


def test_no_key_has_two_meanings_in_one_place():
    together = {scope: {"anywhere", scope} for scope in SCOPES}
    for scopes in together.values():
        keys = Counter(
            key for one in COMMANDS if one.scope in scopes for key in one.keys.split(",")
        )
        assert [key for key, count in keys.items() if count > 1] == []


def test_every_command_has_a_name_of_its_own_and_a_help_text():
    names = Counter(command.name for command in COMMANDS)
    assert [name for name, count in names.items() if count > 1] == []
    assert all(command.help and command.label and written(command) for command in COMMANDS)
    assert {command.scope for command in COMMANDS} == set(SCOPES)


async def test_every_binding_of_the_panes_is_in_the_table(shown, seed):
    async with shown(seed) as screen:
        bound = {
            key
            for node in (screen.app, screen.app.screen, *screen.app.screen.query("*"))
            for cls in type(node).__mro__
            if cls.__module__.startswith("tracetui.")
            for binding in cls.__dict__.get("BINDINGS", ())
            for key in binding.key.split(",")
        }
        table = {key for one in COMMANDS for key in one.keys.split(",")}
        assert bound <= table
        assert bound >= {
            key for one in COMMANDS if one.scope in MAIN for key in one.keys.split(",")
        }


NAMES = {
    "anywhere": "flush flush-now next palette previous quit",
    "chain-screen": "back",
    "chain": "down first follow last page-down page-up up",
    "expression": "after before",
    "filter": "clear packets",
    "main": (
        "add-rule arm clear colours export extend filter guard keys log maximise modules "
        "narrower paths quit threshold to-modules to-packets to-rules wider "
    ),
    "modules": "about find fold load reverse sort unfold",
    "rules": "delete extend",
    "timeline": (
        "about compare copy down drop-before find first fold follow found-before hide "
        "hops mark next-drop next-found outline own-hops page-down page-up pause tested "
        "this-flow this-host trace unfold up "
    ),
}
"""Names of commands by scope, as settings files in the field may have them."""


def test_a_name_in_a_settings_file_stays_known_whatever_the_label():
    names = [command.name for command in COMMANDS]
    kept = {f"{scope}.{word}" for scope, words in NAMES.items() for word in words.split()}
    assert kept <= set(names)
    assert len(set(names)) == len(names)
    assert {command.scope for command in COMMANDS} == set(SCOPES)


async def test_another_key_takes_the_place_of_the_usual_one(shown, seed):
    settings = Settings(keys={"timeline.pause": "z", "main.export": "ctrl+e"})
    async with shown(seed, settings=settings, size=(120, 40)) as screen:
        await screen.press("space")
        assert not screen.timeline.paused
        await screen.press("z")
        assert screen.timeline.paused
        await screen.press("ctrl+e")
        assert "Export packets" in screen.whole()
        await screen.press("escape", "question_mark")
        lines = screen.text("#help Static").splitlines()
        assert any(line.split()[:3] == ["z", "freeze", "the"] for line in lines)


async def test_what_is_hinted_at_is_the_key_that_the_user_bound(shown):
    keys = {"main.add-rule": "plus", "main.keys": "f1", "timeline.follow": "z", "main.clear": "f4"}
    async with shown(settings=Settings(keys=keys), size=(120, 40)) as screen:
        whole = screen.whole()
        assert "Press + to add one, F1 for all keys" in whole
        assert "none yet: + adds one" in whole
        screen.session.feed(SEED)
        await screen.settle()
        await screen.press("up")
        assert "z follows" in screen.whole()
        await screen.press("slash")
        await screen.write("9.9.9.9")
        assert "F4 clears the filter" in screen.whole()


def test_every_key_in_a_text_is_told_by_the_name_of_a_command():
    names = {command.name for command in COMMANDS}
    sources = list(Path(tracetui.__file__).parent.rglob("*.py"))
    told = [
        (path.name, name)
        for path in sources
        for name in re.findall(
            r"\{((?:main|timeline|rules|modules|chain)\.[a-z-]+)\}", path.read_text()
        )
    ]
    assert len(told) > 10
    assert [one for one in told if one[1] not in names] == []


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"main.nothing": "z"}, "no command is named main.nothing"),
        ({"anywhere.quit": "z"}, "anywhere.quit is always Ctrl+C"),
        ({"main.guard": ""}, "'' is not a key"),
        ({"main.guard": "no key"}, "'no key' is not a key"),
        ({"main.guard": "hyper+x"}, "'hyper+x' is not a key"),
        ({"timeline.pause": "Ctrl+C"}, "timeline.pause: Ctrl+C is always anywhere.quit"),
        ({"main.quit": "F"}, "main.quit: F is always anywhere.flush"),
        ({"main.add-rule": "c"}, "c is bound to both main.add-rule and timeline.compare"),
        (
            {"timeline.pause": "+", "main.add-rule": "plus"},
            "+ is bound to both timeline.pause and main.add-rule",
        ),
    ],
)
async def test_keys_that_make_no_sense_are_said(shown, seed, keys, said):
    async with shown(seed, settings=Settings(keys=keys)) as screen:
        assert any(said in notice.text for notice in screen.app.notices)


@pytest.mark.parametrize(
    ("written_by_user", "name"),
    [("Ctrl+E", "ctrl+e"), ("Esc", "escape"), ("PgDn", "pagedown"), ("F5", "f5"), ("E", "E")],
)
def test_keys_are_taken_as_the_help_writes_them(written_by_user, name):
    keymap = Keymap({"chain.first": written_by_user})
    assert keymap.bound == {"chain.first": name}
    assert keymap.with_keys("{chain.first}") == written_by_user


def test_every_character_has_the_name_that_textual_gives_it():
    for character in map(chr, range(ord("!"), ord("~") + 1)):
        if character != ",":
            (binding,) = Binding.make_bindings([(character, "", "")])
            assert key_names.name_of(character) == binding.key
        assert key_names.read(key_names.name_of(character)) == key_names.name_of(character)
        assert key_names.written(key_names.name_of(character)) == character


def test_keys_that_change_places_do_not_clash():
    assert Keymap({"timeline.next-drop": "D", "timeline.drop-before": "d"}).wrong == []


async def test_the_palette_has_every_command_and_runs_it(shown, seed):
    async with shown(seed, size=(120, 50)) as screen:
        await screen.press("home", "ctrl+p")
        assert isinstance(screen.app.screen, CommandPalette)
        await screen.write("next drop")
        await screen.pilot.pause(0.6)
        await screen.press("enter")
        await screen.pilot.pause(0.2)
        assert "no packet here was dropped" in screen.app.notices[-1].text


async def test_a_replay_offers_no_key_that_needs_a_node(shown, lab):
    async with shown(lab, size=(120, 40)) as screen:
        footer = screen.whole().splitlines()[-1]
        for word in ("add rule", "modules", "FLUSH", "trace"):
            assert word not in footer, word
        for word in ("hops", "filter", "keys", "quit"):
            assert word in footer, word
        await screen.press("question_mark")
        helped = screen.text("#help Static")
        for command in COMMANDS:
            is_told = f"  {written(command):<12} {command.help}\n" in helped
            assert is_told != command.needs_node, command
        await screen.press("escape", "ctrl+p")
        await screen.write("flush")
        await screen.pilot.pause(0.6)
        assert "remove our rules at once" not in screen.whole()
        await screen.press("escape")


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40), (200, 50)])
async def test_a_replay_shows_nothing_of_this_machine(shown, lab, size):
    async with shown(lab, size=size) as screen:
        whole = screen.whole()
        assert "Modules" not in whole
        assert "TRACE rules" not in whole
        for key in ("m", "1", "2", "backslash"):
            await screen.press(key)
            assert "this is a replay" in screen.app.notices[-1].text
            assert screen.timeline.has_focus


@pytest.mark.parametrize(
    ("keys", "first"),
    [
        ([], "In the packets"),
        (["2"], "In the TRACE rules"),
        (["1"], "In the modules"),
    ],
)
async def test_the_list_of_keys_begins_with_those_of_the_pane(shown, seed, keys, first):
    async with shown(seed, size=(120, 40)) as screen:
        await screen.press(*keys, "question_mark")
        assert screen.text("#help Static").splitlines()[0] == first


async def test_keys_are_found_by_a_word_or_by_the_key(shown, seed):
    async with shown(seed, size=(120, 40)) as screen:
        await screen.press("question_mark", "slash")
        await screen.write("dropp")
        lines = screen.text("#help Static").strip().splitlines()
        assert [line.split()[0] for line in lines[1:]] == ["d", "D"]
        await screen.press("escape")
        assert len(screen.text("#help Static").splitlines()) > 40
        await screen.press("slash", "g")
        found = screen.text("#help Static").splitlines()
        assert any(line.split()[:3] == ["g", "the", "guard:"] for line in found)
        await screen.write("nosuch")
        assert "no key of that name" in screen.text("#help Static")
        await screen.press("escape", "escape")
        assert screen.timeline.has_focus


async def test_the_left_side_is_resized_and_that_is_remembered(shown, seed):
    async with shown(seed, size=(140, 40)) as screen:
        side = screen.app.screen.query_one("#side")
        before = side.size.width
        await screen.press("greater_than_sign", "greater_than_sign", "less_than_sign")
        assert side.size.width == before + 4
        await screen.press("m")
        assert (screen.app.settings.side, screen.app.settings.modules) == (before + 4, False)
    async with shown(seed, size=(140, 40), settings=screen.app.settings) as screen:
        side = screen.app.screen.query_one("#side")
        assert side.size.width == before + 4
        assert not screen.app.screen.query_one("#modules").display


async def test_the_mouse_takes_the_edge_of_the_left_side_along(shown, seed):
    async with shown(seed, size=(140, 40)) as screen:
        side = screen.app.screen.query_one("#side")
        await screen.pilot.mouse_down(offset=(39, 10))
        await screen.pilot.hover(offset=(48, 12))
        await screen.pilot.mouse_up(offset=(48, 12))
        await screen.pilot.hover(offset=(20, 12))
        await screen.settle()
        assert side.size.width == 40 + 9
        assert screen.app.settings.side == 40 + 9
        await screen.pilot.mouse_down(offset=(side.region.right, 20))
        await screen.pilot.hover(offset=(2, 20))
        await screen.pilot.mouse_up(offset=(2, 20))
        await screen.settle()
        assert side.size.width == 28
        await screen.pilot.mouse_down(offset=(10, 20))
        await screen.pilot.hover(offset=(60, 20))
        await screen.pilot.mouse_up(offset=(60, 20))
        await screen.settle()
        assert side.size.width == 28


async def test_the_edge_is_let_go_when_a_dialog_takes_the_mouse(shown, seed):
    async with shown(seed, size=(140, 40)) as screen:
        side = screen.app.screen.query_one("#side")
        await screen.pilot.mouse_down(offset=(39, 10))
        await screen.press("question_mark")
        await screen.pilot.mouse_up(offset=(60, 10))
        await screen.press("escape")
        await screen.pilot.hover(offset=(30, 10))
        await screen.settle()
        assert side.size.width == 40


@pytest.mark.parametrize("row", [0, 39])
async def test_the_edge_is_where_the_panes_are(shown, seed, row):
    async with shown(seed, size=(140, 40)) as screen:
        await screen.pilot.mouse_down(offset=(39, row))
        await screen.pilot.hover(offset=(60, row))
        await screen.pilot.mouse_up(offset=(60, row))
        await screen.settle()
        assert screen.app.screen.query_one("#side").size.width == 40


async def test_colours_are_chosen_by_name_and_remembered(shown, seed):
    async with shown(seed, settings=Settings(theme="textual-light")) as screen:
        assert screen.app.theme == "textual-light"
        screen.app.theme = "nord"
        await screen.settle()
        assert screen.app.settings.theme == "nord"
    async with shown(seed, settings=Settings(theme="of another time")) as screen:
        assert "no theme is named of another time" in screen.app.notices[-1].text


FOCUS = {
    "anywhere": "#timeline",
    "main": "#timeline",
    "timeline": "#timeline",
    "rules": "#rules",
    "modules": "#tree",
    "filter": "#src",
    "expression": "#expression",
}


def note_actions(monkeypatch, done: list[str]) -> None:
    """Have the actions that keys lead to be noted, and not done."""
    run = App.run_action

    async def noted(app, action, *args, **kwargs):
        name = action if isinstance(action, str) else action[1]
        if name.startswith("scroll_"):
            # What can't be scrolled passes its key on.
            return await run(app, action, *args, **kwargs)
        done.append(name)
        return True

    monkeypatch.setattr(App, "run_action", noted)


ONE_FOR_TWO = {"modules.find": "filter"}
"""Where a key of the main screen does what the pane's own would."""


@pytest.mark.parametrize("scope", FOCUS)
async def test_each_key_does_what_the_table_says(shown, seed, monkeypatch, scope):
    async with shown(seed, size=(140, 40)) as screen:
        done = []

        screen.app.screen.query_one(FOCUS[scope]).focus()
        await screen.pilot.pause()
        note_actions(monkeypatch, done)
        for command in COMMANDS:
            if command.scope == scope:
                for key in command.keys.split(","):
                    done.clear()
                    await screen.pilot.press(key)
                    assert ONE_FOR_TWO.get(command.name, command.action) in done, (command, done)


async def test_each_key_of_a_chain_does_what_the_table_says(shown, monkeypatch):
    session = ReplaySession([("lab", recording.open_recording())])
    session.read_all()
    async with shown(session, size=(140, 40)) as screen:
        packet = next(one for one in session.packets if one.header.dst == "10.96.0.80")
        screen.timeline.go_to_packet(packet)
        await screen.press("down", "down", "down", "enter")
        opened = screen.app.screen
        done = []

        note_actions(monkeypatch, done)
        for command in COMMANDS:
            if command.scope in ("chain", "chain-screen"):
                for key in command.keys.split(","):
                    await screen.pilot.press(key)
                    assert done[-1] == command.action, key
        assert screen.app.screen is opened
    session.close()
