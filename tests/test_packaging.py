"""The wheel holds what the program needs."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.wheel
def test_the_wheel_holds_the_stylesheet_and_the_command(tmp_path):
    """``force-include`` brings screens.tcss in; package data with ../ would silently not."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT, check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("tracetui-*.whl")
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
        assert file.read("tracetui/screens.tcss") == (ROOT / "screens.tcss").read_bytes()
        (entry_points,) = [name for name in names if name.endswith("entry_points.txt")]
        commands = file.read(entry_points)
        assert b"tracetui = tracetui.cli:main" in commands
        assert b"tracetui-collector = tracetui.collector.command:main" in commands
    assert "tracetui/collector/__main__.py" in names
    assert not [name for name in names if name.startswith("tests")]


def test_each_development_dependency_is_pinned():
    text = (ROOT / "pyproject.toml").read_text()
    lists = re.findall(r"^(?:dependencies|dev) = \[(.*?)\]$", text, re.MULTILINE | re.DOTALL)
    needed = re.findall(r'"([a-z][a-z-]+)[>=]', " ".join(lists))
    pinned = re.findall(
        r"^([a-z0-9.-]+)==", (ROOT / ".ci/constraints.txt").read_text(), re.MULTILINE
    )
    assert {"textual", "pytest", "mypy"} <= set(needed)
    assert set(needed) - set(pinned) == set()
