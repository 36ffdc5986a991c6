"""Too few descriptors, too little memory: a sentence, and no traceback.

Where Python itself can't start nothing of ours can say anything: with three descriptors the loader
finds no libpython, with four ``site`` fails.
"""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest
from tests.recorded import RECORDINGS
from tests.safety.users import as_user
from tests.terminal import Terminal

SEED = str(RECORDINGS / "seed-eks-forward.log")
COMMANDS = [
    ["replay", SEED, "--format", "text"],
    ["replay", SEED, "--format", "json"],
    ["modules"],
    ["man"],
    ["completion", "zsh"],
    ["demo"],
]
DESCRIPTORS = (5, 7, 9, 12, 16, 20)
MIB = 1 << 20
STEP = 3 * MIB


def run(argv: list[str], limit: int, most: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *argv], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=90, preexec_fn=lambda: resource.setrlimit(limit, (most, most)),
    )  # fmt: skip


def is_well_behaved(done: subprocess.CompletedProcess[str]) -> None:
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode in (0, 1), done.stderr
    if done.returncode:
        *_, last = done.stderr.splitlines()
        assert last.startswith("tracetui: "), done.stderr
        assert "internal error" not in last


@pytest.mark.parametrize("argv", COMMANDS, ids=" ".join)
def test_few_descriptors(argv):
    for most in DESCRIPTORS:
        is_well_behaved(run(["-m", "tracetui", *argv], resource.RLIMIT_NOFILE, most))


@pytest.fixture(scope="module")
def least() -> int:
    """The address space with which Python itself can begin to read a program."""
    for most in range(8 * MIB, 200 * MIB, STEP):
        if run(["-c", "import tracetui.cli"], resource.RLIMIT_AS, most).returncode == 0:
            return most
    raise AssertionError("python does not start")


@pytest.mark.parametrize("argv", COMMANDS, ids=" ".join)
def test_little_memory(argv, least):
    for most in range(least + STEP, least + 10 * STEP, STEP):
        done = run(["-m", "tracetui", *argv], resource.RLIMIT_AS, most)
        is_well_behaved(done)


@pytest.mark.kernel
def test_a_recorder_has_too_few_descriptors(namespace):
    argv = recorder(namespace)
    for most in DESCRIPTORS:
        is_well_behaved(run(argv, resource.RLIMIT_NOFILE, most))
    assert namespace.trace_rules() == []


@pytest.mark.kernel
def test_a_recorder_has_too_little_memory(namespace, least):
    argv = recorder(namespace)
    for most in range(least + STEP, least + 7 * STEP, STEP):
        is_well_behaved(run(argv, resource.RLIMIT_AS, most))
    assert namespace.trace_rules() == []


def recorder(namespace) -> list[str]:
    rule = ("--chain", "OUTPUT", "-4", "-p", "icmp", "--backend", "nft", "--seconds", "0.2")
    return ["-m", "tracetui", "--netns", namespace.name, "record", *rule]


@pytest.mark.kernel
@pytest.mark.parametrize("argv", [COMMANDS[0], ["record", "-p", "icmp"], ["demo"], ["modules"]])
def test_a_user_who_may_start_no_process(argv, tmp_path_factory):
    """Nor a thread: a user's own limit, which root is free of (getrlimit(2))."""
    home = tmp_path_factory.mktemp("user")
    words = [
        *as_user(home, "/bin/true"), "prlimit", "--nproc=1", "--",
        sys.executable, "-m", "tracetui", *argv,
    ]  # fmt: skip
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    is_well_behaved(done)
    if argv[0] in ("replay", "record"):
        assert done.returncode == 1
        assert "can be started here" in done.stderr or "could not start" in done.stderr
        assert done.stderr.count("\n") == 1


READ_ONLY = (
    "unshare", "-m", "sh", "-ec",
    "for d in /tmp /var/tmp /dev/shm; do mount -t tmpfs -o size=4k tmpfs $d; "
    "mount -o remount,ro $d; done; mount -o remount,bind,ro /; cd /proc; "
    'exec "$@"',
    "sh", "env", "-u", "XDG_CONFIG_HOME", "-u", "XDG_STATE_HOME", "HOME=/nowhere",
    "TMPDIR=/nowhere",
)  # fmt: skip
"""In front of a command: nothing can be written, and there is no temporary directory."""


@pytest.mark.kernel
@pytest.mark.parametrize("what", ["replay", "trace"])
def test_a_screen_on_a_read_only_root_without_a_temporary_directory(namespace, what):
    words = ("replay", SEED) if what == "replay" else ("--netns", namespace.name)
    with Terminal(*words, before=READ_ONLY) as terminal:
        terminal.wait_for("Packets")
        terminal.press(">")
        terminal.type("q")
        written = terminal.end().decode()
    assert "Traceback" not in written
    # A replay has no left side whose edge could be moved.
    assert ("the settings were not saved" in written) == (what == "trace")
    assert terminal.process.returncode == 0


@pytest.mark.kernel
def test_a_read_only_root_without_a_temporary_directory(namespace):
    """The nft backend needs no file at all."""
    done = subprocess.run(
        [*READ_ONLY, sys.executable, *recorder(namespace)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "added nft IPv4 OUTPUT" in done.stderr
    assert namespace.trace_rules() == []
    written = subprocess.run(
        [*READ_ONLY, sys.executable, *recorder(namespace), "-w", "/proc/../trace.ndjson"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert written.returncode == 1
    assert written.stderr == "tracetui: /proc/../trace.ndjson: Read-only file system\n"
