"""What was chosen on the screen is there the next time; where it can't be, that is told."""

from __future__ import annotations

import json

import pytest
from tests.recorded import RECORDINGS
from tests.terminal import Terminal

SEED = str(RECORDINGS / "seed-eks-forward.log")


@pytest.mark.kernel
def test_a_choice_is_kept_and_found_again(tmp_path, namespace):
    """On a node: a replay has no left side whose edge could be moved."""
    env = {"XDG_CONFIG_HOME": str(tmp_path)}
    with Terminal("--netns", namespace.name, env=env) as terminal:
        terminal.wait_for("guard ARMED")
        terminal.press(">>")
        terminal.type("q")
        terminal.end()
    file = tmp_path / "tracetui" / "settings.json"
    assert json.loads(file.read_text()) == {"side": 48}
    file.write_text('{"side": 48, "keys": {"main.quit": "z"}}')
    with Terminal("--netns", namespace.name, env=env) as terminal:
        terminal.wait_for("guard ARMED")
        terminal.press("<")
        terminal.type("z")
        assert b"Traceback" not in terminal.end()
        assert terminal.process.returncode == 0
    assert json.loads(file.read_text())["side"] == 44


def test_a_filter_is_an_arrow_away_the_next_time(tmp_path):
    env = {"XDG_STATE_HOME": str(tmp_path)}
    with Terminal("replay", SEED, "--filter", "greater 60", env=env) as terminal:
        terminal.wait_for("greater 60")
        terminal.press("\x1b")
        terminal.type("q")
        terminal.end()
    assert (tmp_path / "tracetui" / "filters").read_text() == "greater 60\n"
    with Terminal("replay", SEED, env=env) as terminal:
        terminal.wait_for("Packets")
        terminal.press("/\t\t\t\t\x1b[A")
        terminal.wait_for("greater 60")
        terminal.type("\x03")
        terminal.end()


@pytest.mark.kernel
def test_a_place_that_takes_nothing_is_told_and_the_screen_works(tmp_path, namespace):
    (tmp_path / "tracetui").write_text("a file where the directory would be")
    env = {"XDG_CONFIG_HOME": str(tmp_path)}
    with Terminal("--netns", namespace.name, env=env) as terminal:
        terminal.wait_for("guard ARMED")
        terminal.press(">")
        terminal.type("q")
        assert "the settings were not saved" in terminal.end().decode()
        assert terminal.process.returncode == 0
    with Terminal("replay", SEED, env={"XDG_STATE_HOME": str(tmp_path)}) as terminal:
        terminal.wait_for("Packets")
        terminal.press("/10.\x1b/\t\t\t\ttcp\r", 1.0)
        terminal.type("q")
        assert "the filters were not saved" in terminal.end().decode()
        assert terminal.process.returncode == 0
