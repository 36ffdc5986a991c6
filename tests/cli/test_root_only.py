"""Installed where only root may read it, as in a home of mode 0700, and started through sudo.

Root is given up in the middle of the start: what is imported, or read, after that must be there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import textual
from tests.recorded import RECORDINGS
from tests.terminal import Terminal

import tracetui

pytestmark = pytest.mark.kernel

SEED = str(RECORDINGS / "seed-eks-forward.log")
NOBODY = "65534"
DEPENDENCIES = (
    "textual", "rich", "pygments", "markdown_it", "mdurl", "mdit_py_plugins",
    "platformdirs", "typing_extensions.py",
)  # fmt: skip
LATE = f"""
import importlib, json, os, pkgutil, sys
import tracetui.cli.terminal.screen, rich, textual
from tracetui.cli.start import late
names = [
    one.name for package in (tracetui, rich, textual)
    for one in pkgutil.walk_packages(package.__path__, package.__name__ + ".", lambda _: None)
    if not one.name.endswith("__main__") and not one.name.startswith("textual.demo")
]
late.give_up_root()
assert os.getresuid() == ({NOBODY},) * 3
inherited = os.popen("ls -l /proc/self/fd").read()
out = {{"names": names, "unread": [], "path": sys.path, "inherited": inherited}}
for name in (*names, "sqlite3", "unicodedata", "encodings.cp437", "concurrent.futures.process"):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name.partition(".")[0] in ("tracetui", "rich", "textual") or name not in names:
            out["unread"].append(name)
    except (OSError, ImportError) as error:
        if "windows" not in name and "win32" not in name:
            out["unread"].append(f"{{name}}: {{error!r}}")
print(json.dumps(out))
"""
"""Gives up root, then imports everything that was not imported before."""


def install(home: Path) -> dict[str, str]:
    """Copy the program and what it needs below a directory; the environment that finds it there."""
    site, package = home / "site", Path(tracetui.__file__).parent
    others = [Path(textual.__file__).parents[1] / name for name in DEPENDENCIES]
    for one in (package, *others):
        if one.is_dir():
            shutil.copytree(one, site / one.name)
        elif one.exists():
            shutil.copy(one, site)
    if not (site / "tracetui" / "screens.tcss").exists():
        shutil.copy(package.parents[1] / "screens.tcss", site / "tracetui")
    return {"PYTHONPATH": str(site), "SUDO_UID": NOBODY, "SUDO_GID": NOBODY}


@pytest.fixture(scope="module", params=["home", "umask"])
def environment(tmp_path_factory, request):
    """Of a process that sudo started for a user who may not read the package.

    For it lies in a home of mode 0700, or was installed while the umask was 077.
    """
    home = tmp_path_factory.mktemp("root")
    found = install(home)
    # pytest's own directories are for root only too.
    for above in (home, home.parent):
        above.chmod(0o755)
    if request.param == "home":
        home.chmod(0o700)
    else:
        for one in home.rglob("*"):
            one.chmod(0o700 if one.is_dir() else 0o600)
    return found


def start(environment, *argv: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "tracetui", *argv],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **environment},
    )  # fmt: skip


def after_root(environment, python: str = sys.executable) -> dict:
    """What a process tells that gave up root and then imported everything."""
    done = subprocess.run(
        [python, "-c", LATE], env={**os.environ, **environment},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_every_module_can_be_imported_after_root_was_given_up(environment):
    """Which of them Rich and Textual import late, differs from version to version."""
    told = after_root(environment)
    assert {"rich._emoji_codes", "textual.pilot", "tracetui.ui.dialogs"} <= set(told["names"])
    assert told["unread"] == []
    assert environment["PYTHONPATH"] not in told["path"]


def test_no_program_that_is_started_inherits_what_root_opened(environment):
    inherited = after_root(environment)["inherited"]
    assert "/proc" in inherited
    assert "site" not in inherited
    assert "python" not in inherited


def test_nothing_is_done_where_the_user_may_read_everything():
    """Nobody else's start is to be slower: a Python for everybody, in a directory for everybody."""
    pythons = [f"/usr/bin/python3.{minor}" for minor in range(9, 20)]
    python = next((one for one in pythons if os.access(one, os.X_OK)), None)
    if python is None:
        pytest.skip("there is no Python here that every user may read")
    # pytest's own directories are for root only.
    with tempfile.TemporaryDirectory() as home:
        Path(home).chmod(0o755)
        environment = install(Path(home))
        told = after_root(environment, python)
    assert told["unread"] == []
    assert environment["PYTHONPATH"] in told["path"]
    assert not any(one.startswith("/proc") for one in told["path"])


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
        terminal.wait_for("Packets")
        if what == "replay":
            terminal.wait_for("22896")
        terminal.type("?")
        terminal.wait_for("Everywhere")
        terminal.press("\x1b", 1.0)
        terminal.type("q")
        assert b"Traceback" not in terminal.end()
    assert terminal.process.returncode == 0


def test_the_demo_plays(environment, tmp_path):
    """Without iptables, it is the recording, which is read after root was given up."""
    (tmp_path / "ip").symlink_to(shutil.which("ip"))
    for path in (os.environ["PATH"], str(tmp_path)):
        with Terminal("demo", env={**environment, "PATH": path}) as terminal:
            terminal.wait_for("Packets", 60.0)
            terminal.settle()
            terminal.type("q")
            assert b"Traceback" not in terminal.end()
        assert terminal.process.returncode == 0
