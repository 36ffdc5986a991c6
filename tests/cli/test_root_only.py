"""Installed where only root may read it, as in a home of mode 0700, and started through sudo.

Root is given up in the middle of the start: what is imported, or read, after that must be there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.recorded import RECORDINGS
from tests.terminal import Terminal

import tracetui

pytestmark = pytest.mark.kernel

SEED = str(RECORDINGS / "seed-eks-forward.log")
NOBODY = "65534"


@pytest.fixture
def environment(tmp_path):
    """Of a process that sudo started for a user who may not read the package."""
    package = Path(tracetui.__file__).parent
    home = tmp_path / "root"
    home.mkdir(mode=0o700)
    shutil.copytree(package, home / "tracetui", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(package.parents[1] / "screens.tcss", home / "tracetui")
    return {"PYTHONPATH": str(home), "SUDO_UID": NOBODY, "SUDO_GID": NOBODY}


def start(environment, *argv: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "tracetui", *argv],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **environment},
    )  # fmt: skip


def test_a_log_is_replayed(environment):
    process = start(environment, "replay", "--format", "json", SEED)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
    assert len(out.splitlines()) == 8


def test_a_trace_is_recorded_with_its_rules(environment, namespace, eventually):
    rule = ("--chain", "OUTPUT", "-4", "-p", "icmp", "--packets", "2")
    process = start(environment, "record", "--netns", namespace.name, *rule)
    eventually(lambda: namespace.trace_rules(), 20.0)
    namespace.ping(count=3)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    packets = [one for one in map(json.loads, out.splitlines()) if one["kind"] == "packet"]
    assert any("-j TRACE" in str(packet["hops"]) for packet in packets)


@pytest.mark.parametrize("what", ["replay", "trace"])
def test_the_screen_and_its_dialogs_open(environment, namespace, what):
    words = ("replay", SEED) if what == "replay" else ("--netns", namespace.name)
    with Terminal(*words, env=environment) as terminal:
        terminal.wait_for("TRACE rules")
        if what == "replay":
            terminal.wait_for("22896")
        terminal.type("?")
        terminal.wait_for("Everywhere")
        terminal.press("\x1b", 1.0)
        terminal.type("q")
        assert b"Traceback" not in terminal.end()
    assert terminal.process.returncode == 0
