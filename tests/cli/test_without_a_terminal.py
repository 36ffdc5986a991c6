"""What every command does where standard output or input is no terminal, or a dumb one."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from tests.recorded import RECORDINGS
from tests.terminal import Terminal

SEED = str(RECORDINGS / "seed-eks-forward.log")
DUMB = ("env", "TERM=dumb")
TEXTS = [
    ["replay", SEED],
    ["replay", SEED, "--format", "json"],
    ["demo"],
    ["doctor"],
    ["doctor", "--json"],
    ["modules"],
    ["modules", "--json"],
    ["man"],
    ["completion", "bash"],
    ["--help"],
    ["record", "--help"],
    ["--version"],
]
SOME = [["replay", SEED], ["replay", SEED, "--format", "json"], ["doctor"], ["man"]]
BUFFERINGS = ["", "1"]
"""With PYTHONUNBUFFERED the first write fails, else the last flush."""


def shell(line: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A line of bash, in which ``tracetui`` is the program."""
    function = f'tracetui() {{ {sys.executable} -m tracetui "$@"; }}\n'
    return subprocess.run(
        ["bash", "-c", function + line],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        env={**os.environ, **env}, check=False,
    )  # fmt: skip


def quoted(argv: list[str]) -> str:
    return " ".join(f"'{word}'" for word in argv)


@pytest.mark.parametrize("argv", [[], ["-p", "tcp", "--syn"], ["--filter", "nat"]])
def test_live_says_in_one_line_what_to_do_instead(tracetui, argv):
    done = tracetui(*argv)
    assert (done.status, done.out) == (1, "")
    assert done.err == (
        "tracetui: the screen needs a terminal; `tracetui record` traces without one\n"
    )


@pytest.mark.parametrize("argv", TEXTS, ids=" ".join)
def test_what_is_piped_is_plain_text(tracetui, argv):
    done = tracetui(*argv)
    assert done.out
    assert "\x1b" not in done.out
    assert done.status in ((0, 1) if argv[0] == "doctor" else (0,))


def test_the_demo_is_the_recording_as_text(tracetui):
    done = tracetui("demo")
    assert done.status == 0
    assert " accept" in done.out
    assert " drop" in done.out
    assert done.err.startswith("tracetui: this is a recording of the lab")
    assert done.err.count("\n") == 1


def test_a_dumb_terminal_gets_text():
    for argv in (["replay", SEED], ["demo"]):
        with Terminal(*argv, before=DUMB) as terminal:
            written = terminal.end()
        assert terminal.process.returncode == 0
        assert b" hops  " in written
        assert b"\x1b" not in written


def test_a_dumb_terminal_has_no_screen():
    for argv in ([], ["replay", "--format", "tui", SEED]):
        with Terminal(*argv, before=DUMB) as terminal:
            written = terminal.end()
        assert terminal.process.returncode == 1
        assert b"TERM says that this one is dumb; `" in written
        assert written.count(b"\n") == 1


def test_a_log_is_not_typed_into_the_screen():
    with Terminal("replay", "-") as terminal:
        written = terminal.end()
    assert terminal.process.returncode == 1
    assert b"pipe a log to it: `dmesg | tracetui replay -`" in written
    assert written.count(b"\n") == 1


@pytest.mark.parametrize("unbuffered", BUFFERINGS)
@pytest.mark.parametrize("argv", [*SOME, ["--help"]], ids=" ".join)
def test_a_reader_that_leaves_ends_it_in_silence(argv, unbuffered):
    done = shell(f"tracetui {quoted(argv)} | true", PYTHONUNBUFFERED=unbuffered)
    assert (done.stdout, done.stderr) == ("", "")


def test_the_first_line_is_enough_for_head():
    done = shell(f"tracetui replay {SEED} {SEED} --format text | head -1", PYTHONUNBUFFERED="")
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


@pytest.mark.parametrize("unbuffered", BUFFERINGS)
@pytest.mark.parametrize("argv", SOME, ids=" ".join)
def test_a_full_disk_is_said_once(argv, unbuffered):
    done = shell(f"tracetui {quoted(argv)} > /dev/full", PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("argv", [SOME[0], ["demo"], ["--help"]], ids=" ".join)
@pytest.mark.parametrize("closed", [">&-", "<&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_error(argv, closed):
    done = shell(f"tracetui {quoted(argv)} {closed}")
    assert done.returncode in ((0, 1) if argv[0] == "doctor" else (0,))
    assert "Traceback" not in done.stderr


def test_without_unicode_our_marks_are_ascii():
    done = shell(f"tracetui replay {SEED}", PYTHONIOENCODING="ascii")
    assert "172.31.47.174:22896 -> 172.31.55.27:8090  eth3 -> " in done.stdout
    assert "\\u" not in done.stdout
    told = shell("tracetui doctor", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0").stdout
    assert told.isascii()
    assert told[0] in "+xo?"
    replayed = f"sed s/KUBE-SERVICES/Kübe/ {SEED} | tracetui replay - | iconv -f latin1 -t utf8"
    assert "nat:Kübe return" in shell(replayed, PYTHONIOENCODING="latin1").stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_without_unicode_every_cell_of_the_screen_is_one_cell(encoding, tmp_path):
    file = tmp_path / "wide.ndjson"
    hop = {"us": 0, "backend": "legacy", "table": "raw", "chain": "宽c", "type": "policy"}
    file.write_text(json.dumps({"kind": "packet", "id": 1, "time": 1.7e9, "hops": [hop]}))
    env = {"PYTHONIOENCODING": encoding}
    with Terminal("replay", str(file), columns=80, rows=24, env=env) as terminal:
        terminal.wait_for("no header seen")
        terminal.press("\r")
        terminal.wait_for("??c")
        terminal.press("q")
        written = terminal.end()
    assert terminal.process.returncode == 0
    assert b"\\u" not in written
    assert "+- Packets ---" in terminal.text
