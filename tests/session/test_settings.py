"""Settings: kept in one file of the user's, and never in the way where that can't be."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tracetui.errors import Failure
from tracetui.session.user.settings import Settings, file, load, save

CHOSEN = Settings(theme="textual-light", side=52, modules=True, keys={"timeline.pause": "z"})


def test_what_is_kept_is_read_again(tmp_path):
    path = tmp_path / "deep" / "settings.json"
    save(path, CHOSEN)
    assert load(path) == (CHOSEN, ())
    assert [one.name for one in path.parent.iterdir()] == ["settings.json"]


def test_nothing_there_is_as_if_nothing_was_chosen(tmp_path):
    assert load(tmp_path / "none") == (Settings(), ())


def test_what_another_version_keeps_there_stays(tmp_path):
    path = tmp_path / "settings.json"
    path.write_text('{"theme": "nord", "later": [1]}')
    save(path, CHOSEN)
    assert json.loads(path.read_text())["later"] == [1]
    save(path, Settings())
    assert json.loads(path.read_text()) == {"later": [1]}


@pytest.mark.parametrize(
    "text", ["", "no json", "[1]", "{" * 100_000, '{"side": 9, "keys": {"a": 1}, "theme": 4}', "\0"]
)
def test_what_makes_no_sense_is_said_and_left_out(tmp_path, text):
    path = tmp_path / "settings.json"
    path.write_text(text)
    settings, wrong = load(path)
    assert settings == Settings()
    assert wrong
    assert all(str(path) in one for one in wrong)


def test_one_wrong_setting_leaves_the_others(tmp_path):
    path = tmp_path / "settings.json"
    path.write_text('{"side": 1000, "theme": "nord"}')
    assert load(path).settings == Settings(theme="nord")


def test_a_link_is_written_through(tmp_path):
    (tmp_path / "dotfiles").mkdir()
    path, real = tmp_path / "settings.json", tmp_path / "dotfiles" / "real.json"
    path.symlink_to(real)
    save(path, CHOSEN)
    assert path.is_symlink()
    assert load(real).settings == CHOSEN


def test_a_place_that_takes_nothing_is_a_failure_and_not_more(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Failure, match="not saved"):
        save(tmp_path / "file" / "settings.json", CHOSEN)
    assert load(tmp_path / "file" / "settings.json").settings == Settings()


def test_the_place_is_that_of_the_xdg_specification(monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", "/somewhere")
    assert file() == Path("/somewhere/tracetui/settings.json")
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/she")
    assert file() == Path("/home/she/.config/tracetui/settings.json")
    assert os.environ["HOME"] == "/home/she"
