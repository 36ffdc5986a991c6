"""Faults of the program's own: one line, and a report for who mends them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.recorded import RECORDINGS
from tests.terminal import Terminal

SEED = str(RECORDINGS / "seed-eks-forward.log")
COMMANDS = {
    "replay": ["replay", SEED, "--format", "json"],
    "record": ["record", "-p", "tcp"],
    "rules": ["rules"],
    "flush": ["flush"],
    "modules": ["modules"],
    "doctor": ["doctor"],
    "demo": ["demo"],
    "completion": ["completion", "bash"],
    "man": ["man"],
    "live": [],
}
BROKEN = """
import sys
import tracetui.cli.commands.{command} as command

def run(options):
    raise KeyError("marker-of-the-fault")

command.run = run
from tracetui.cli import main
sys.exit(main({argv!r}))
"""
BROKEN_KEY = """
import sys
from tracetui.ui.app import TraceApp

def action_keys(self):
    raise KeyError("marker-of-the-fault")

TraceApp.action_keys = action_keys
from tracetui.cli import main
sys.exit(main({argv!r}))
"""


def broken(command: str, **env: str) -> subprocess.CompletedProcess[str]:
    code = BROKEN.format(command=command, argv=COMMANDS[command])
    return subprocess.run(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=60, env={**os.environ, **env},
    )  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_any_command_says_one_line_and_where_the_report_is(command, tmp_path):
    done = broken(command, XDG_STATE_HOME=str(tmp_path))
    report = tmp_path / "tracetui" / "fault.txt"
    assert done.returncode == 1
    assert done.stderr == (
        f"tracetui: internal error: KeyError: 'marker-of-the-fault'; the report is in {report}\n"
    )
    assert report.stat().st_mode & 0o777 == 0o600
    assert report.parent.stat().st_mode & 0o777 == 0o700
    text = report.read_text()
    assert text.startswith("tracetui ")
    assert "Traceback" in text
    assert "in run\n" in text


def test_only_the_last_report_is_kept(tmp_path):
    for command in ("man", "modules"):
        broken(command, XDG_STATE_HOME=str(tmp_path))
    assert [path.name for path in (tmp_path / "tracetui").iterdir()] == ["fault.txt"]


def test_without_room_for_a_report_that_is_said(tmp_path):
    (tmp_path / "file").touch()
    done = broken("man", XDG_STATE_HOME=str(tmp_path / "file"))
    assert done.returncode == 1
    assert done.stderr.endswith("; no report could be written (Not a directory)\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.kernel
def test_under_sudo_the_report_is_the_users(tmp_path):
    """Root touches nothing in a directory that may be the user's."""
    theirs = tmp_path / "state"
    theirs.mkdir()
    os.chown(theirs, 65534, 65534)
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_mode & 0o111 != 0o111:
            path.chmod(path.stat().st_mode | 0o111)
    done = broken("man", XDG_STATE_HOME=str(theirs), SUDO_UID="65534", SUDO_GID="65534")
    assert done.returncode == 1
    assert f"the report is in {theirs}" in done.stderr
    assert (theirs / "tracetui" / "fault.txt").stat().st_uid == 65534


def test_a_screen_gives_the_terminal_back_and_says_one_line(tmp_path):
    code = BROKEN_KEY.format(argv=["replay", SEED])
    env = {"XDG_STATE_HOME": str(tmp_path)}
    with Terminal(before=(sys.executable, "-c", code), env=env) as terminal:
        terminal.wait_for("22896")
        terminal.type("?")
        written = terminal.end()
        assert terminal.modes_left() == []
    assert terminal.process.returncode == 1
    after = written.rpartition(b"\x1b[?1049l")[2]
    assert b"internal error: KeyError: 'marker-of-the-fault'" in after
    assert b"Traceback" not in written
    assert b"SEED" not in after
    assert "Traceback" in Path(tmp_path / "tracetui" / "fault.txt").read_text()
