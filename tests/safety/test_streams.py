"""Standard streams that are closed, full or redirected."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from .terminal import MARK, PROGRAM, Terminal

pytestmark = pytest.mark.kernel

RULE = ("--chain", "OUTPUT", "-4", "-p", "icmp", "--backend", "legacy")


def through_a_shell(redirection: str) -> tuple[str, ...]:
    return ("sh", "-c", f'exec "$@" {redirection}', "sh")


@pytest.mark.parametrize("redirection", ["<&-", "2>&-", "<&- 2>&-", "</dev/null", "2>/dev/full"])
def test_the_screen_is_drawn_and_left_whatever_is_redirected(faults, redirection):
    name = faults.namespace.name
    before = through_a_shell(redirection)
    with Terminal("--netns", name, *RULE, mark=name, before=before) as program:
        program.wait_for("guard ARMED")
        program.wait_for(faults.namespace.trace_rules)
        program.type("q")
        program.process.wait(20)
        assert program.process.returncode == 0
        faults.leaves_nothing("standard input or error is closed, full or redirected", program)


def test_messages_go_to_the_file_and_the_screen_to_the_terminal(faults, tmp_path):
    name = faults.namespace.name
    file = tmp_path / "messages"
    before = through_a_shell(f"2>{shlex.quote(str(file))}")
    with Terminal("--netns", name, *RULE, mark=name, before=before) as program:
        program.wait_for("guard ARMED")
        program.wait_for(faults.namespace.trace_rules)
        program.type("q")
        program.process.wait(20)
    assert file.read_text() == "tracetui: removed legacy IPv4 OUTPUT -p icmp\n"


@pytest.mark.parametrize("redirection", ["<&- >&- 2>&-", ">&-", ">/dev/full", "2>/dev/full"])
@pytest.mark.parametrize("command", ["rules", "flush", "modules", "record", "screen"])
def test_every_command_ends_without_a_traceback(faults, command, redirection):
    words = [*PROGRAM, "--netns", faults.namespace.name]
    words += {"record": ["record", *RULE, "--seconds", "0.3"], "screen": []}.get(command, [command])
    if command == "modules":
        words[-3:-1] = []
    argv = [*through_a_shell(redirection), *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 1)
    faults.leaves_nothing("standard output is closed or full")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_rules_add_that_is_ended_while_it_waits_adds_nothing(faults, lock, eventually, number):
    """Its iptables must not get the lock after it."""
    name = faults.namespace.name
    argv = [*PROGRAM, "rules", "add", "--netns", name, *RULE]
    with lock():
        adding = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, MARK: name},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
        iptables = Path(f"/proc/{adding.pid}/task/{adding.pid}/children")

        def waits() -> bool:
            return any(b"-I" in _words(pid) for pid in iptables.read_text().split())

        eventually(waits, 20.0)
        adding.send_signal(number)
        _, err = adding.communicate(timeout=20)
    assert adding.returncode == 130
    assert "Traceback" not in err
    faults.leaves_nothing("SIGHUP, SIGINT or SIGTERM to `rules add` that waits for the lock")


def _words(pid: str) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


@pytest.mark.parametrize(
    "ids",
    [
        {"SUDO_UID": "99999999999999", "SUDO_GID": "5"},
        {"SUDO_UID": "4294967295", "SUDO_GID": "4294967295"},
        {"SUDO_UID": "12345", "SUDO_GID": "99999999999"},
        {"SUDO_UID": "-5", "SUDO_GID": "x"},
        {"DOAS_USER": "nobody by that name"},
    ],
)
def test_ids_that_no_user_can_have_are_refused(faults, tmp_path, ids):
    """Nobody knows whose files would be touched, and root's are not to be."""
    argv = [*PROGRAM, "--netns", faults.namespace.name, "record", *RULE]
    file = tmp_path / "trace.ndjson"
    done = subprocess.run(
        [*argv, "--seconds", "0.3", "-w", str(file)],
        capture_output=True, text=True, timeout=60, env={**os.environ, **ids},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(f"tracetui: {next(iter(ids))}=")
    assert "names no user: run it through sudo, or `unset " in done.stderr
    assert done.stderr.count("\n") == 1
    assert not file.exists()
    faults.leaves_nothing("SUDO_UID names no user")


@pytest.mark.parametrize("words", [(), ("--source", "nflog")], ids=["plain", "a source named"])
def test_a_screen_without_a_rule_tells_of_no_rule_that_was_not_added(faults, words):
    """Nothing was asked for: it said so in red, at every such start."""
    name = faults.namespace.name
    with Terminal("--netns", name, *words, mark=name) as program:
        program.wait_for("guard ARMED")
        program.type_until("L", "Notices")
        program.settle()
        assert "no rule added" not in program.text
        program.type("\x1b")
        program.settle()  # or the two are one key, Alt+q
        program.type("q")
        program.process.wait(20)
        assert program.process.returncode == 0
