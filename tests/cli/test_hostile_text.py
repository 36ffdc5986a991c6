"""What commands print, whatever the text, the terminal's encoding and the names of files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.recorded import RECORDINGS
from tests.stuck import wait_until_stuck
from tests.terminal import Terminal, acting

SEED = str(RECORDINGS / "seed-eks-forward.log")
HOSTILE = "\x1b]0;x\x07\x9b2J\x7f\u202e\u2028宽é"
ENCODINGS = [
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1"},
    {"LC_ALL": "C"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]


def packet(**changes) -> dict:
    """A recorded packet with one hop, as far as it must be."""
    hop = {"us": 0, "backend": "legacy", "table": "raw", "chain": "PREROUTING", "type": "policy"}
    return {"kind": "packet", "id": 1, "time": 1.7e9, "hops": [{**hop, **changes}]}


def packets(text: str | bytes) -> list[dict]:
    return [one for one in map(json.loads, text.splitlines()) if one["kind"] == "packet"]


@pytest.fixture
def hostile_file(tmp_path) -> Path:
    file = tmp_path / "hostile.ndjson"
    one = packet(
        chain=HOSTILE, rule=f'-A X -m comment --comment "{HOSTILE}" -j DROP', out="half\ud800"
    )
    file.write_text(json.dumps(one))
    return file


@pytest.mark.parametrize("env", ENCODINGS, ids=str)
@pytest.mark.parametrize(
    "argv",
    [["replay"], ["replay", "--format", "json"], ["--help"], ["replay", "--help"], ["modules"]],
)
def test_every_encoding_takes_every_text(env, argv, hostile_file):
    argv = [*argv, str(hostile_file)] if argv[0] == "replay" and "--help" not in argv else argv
    done = subprocess.run(
        [sys.executable, "-m", "tracetui", *argv],
        capture_output=True, timeout=60, env={**os.environ, **env}, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout
    if "json" in argv:
        (found,) = packets(done.stdout)
        assert found["hops"][0]["chain"] == HOSTILE
        assert found["hops"][0]["out"] == "half\ud800"


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_recording_acts_on_no_terminal(hostile_file, form):
    with Terminal("replay", "--format", form, str(hostile_file)) as terminal:
        written = terminal.end()
    assert acting(written) == set()
    assert "宽é".encode() in written


def test_json_printed_is_read_back_as_it_was(tracetui, hostile_file):
    once = tracetui("replay", "--format", "json", str(hostile_file)).out
    again = tracetui("replay", "--format", "json", "-", stdin=once.encode()).out
    assert packets(again) == packets(once)
    assert packets(once)[0]["hops"][0]["chain"] == HOSTILE


@pytest.mark.parametrize(
    "argv",
    [
        ["replay", "/nowhere/\x1b[31m\x9b2J"],
        [b"replay", b"/nowhere/\xff\x9b"],
        ["replay", SEED, "--ruleset", "\x1b[31m"],
        ["--bad\x1b[31m\u202e"],
        ["explode\x1b[31m"],
        ["--netns", "\x1b[31mx", "rules"],
        ["record", "--seconds", "\x1b[31m"],
        ["record", "-p", "tcp", "-w", "/nowhere/\x1b[31m"],
        ["modules", "\x1b[31mx"],
    ],
)
def test_what_was_typed_is_told_inert(argv):
    with Terminal(*argv) as terminal:
        written = terminal.end()
    assert terminal.process.returncode in (1, 2)
    assert acting(written) == set()
    assert written.count(b"\r\n") == 1
    assert b"Traceback" not in written


def test_a_file_of_any_name_is_replayed(tmp_path):
    file = os.fsencode(tmp_path / "x") + b"\xff\x1b[31m[bold].log"
    Path(os.fsdecode(file)).write_bytes(Path(SEED).read_bytes())
    for form, seen in (("json", b'"sources": ["/'), ("tui", b"172.31.55.27")):
        with Terminal(b"replay", b"--format", form.encode(), file) as terminal:
            if form == "tui":
                terminal.wait_for("172.31.55.27")
                terminal.press("q")
            written = terminal.end()
        assert terminal.process.returncode == 0
        assert seen in written
        assert acting(written) == set()


@pytest.mark.kernel
def test_a_node_that_was_copied_lies_in_vain(tmp_path, namespace):
    (tmp_path / "proc").mkdir()
    bad = "nf_\x1b[31mx 1 1 - Live 0x0\nnf_nat 1 1 [bold],\x1b[31m,宽, \x1b[2J 0x0 (O\x1b)\n"
    good = "nf_conntrack 143360 1 nf_nat,[red]x, Live 0x0\n"
    (tmp_path / "proc/modules").write_text(good + bad)
    env = {"TRACETUI_ROOT": str(tmp_path)}
    for argv in (["modules"], ["modules", "--json"], ["modules", "nf_nat"]):
        with Terminal(*argv, env=env) as terminal:
            written = terminal.end()
        assert b"nf_nat" in written
        assert acting(written) == set(), argv
    with Terminal("--netns", namespace.name, env=env) as terminal:
        terminal.wait_for("nf_conntrack")
        for keys in ("1", "\x1b[H", " ", "\x1b[B", " ", "q"):
            terminal.press(keys)
        written = terminal.end()
    assert acting(written) == set()


def test_a_hop_out_of_the_kernel_log_says_so_for_ever(tracetui, tmp_path):
    file = tmp_path / "kmsg.ndjson"
    file.write_text(json.dumps(packet(source="weather")))
    assert (
        "source" not in packets(tracetui("replay", "--format", "json", str(file)).out)[0]["hops"][0]
    )
    file.write_text(json.dumps(packet(source="kmsg")))
    printed = tracetui("replay", "--format", "json", str(file)).out
    assert '"source": "kmsg"' in printed
    assert "(from the kernel log)" in tracetui("replay", str(file)).out
    assert "(from the kernel log)" not in tracetui("replay", SEED).out
    assert '"source": "log"' in tracetui("replay", "--format", "json", SEED).out


def test_a_slow_reader_gets_every_line_whatever_signal_comes():
    code = (
        "import signal, sys\n"
        "from tracetui.session.recording.output import opened\n"
        "heard = lambda *_: print('heard', file=sys.stderr, flush=True)\n"
        "signal.signal(signal.SIGTERM, heard)\n"
        "print('ready', file=sys.stderr, flush=True)\n"
        "with opened('-') as out:\n"
        "    for _ in range(6): print('x' * 18000, file=out, flush=True)\n"
    )
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env
    ) as process:
        assert process.stderr.readline() == b"ready\n"
        wait_until_stuck(process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.stderr.readline() == b"heard\n"
        assert [len(line) for line in process.communicate(timeout=20)[0].splitlines()] == [
            18000
        ] * 6


def test_overlong_names_of_a_recording_end_with_an_ellipsis(tmp_path):
    """A name of a megabyte costs no more than what is shown of it."""
    file = tmp_path / "long.ndjson"
    long = "宽x" * 500_000
    file.write_text(
        json.dumps(packet(table=long, chain=long, rule=f"-A {long} -j {long}", out=long))
    )
    with Terminal("replay", str(file), columns=80, rows=24) as terminal:
        terminal.wait_for("no header seen")
        for keys in ("\x1b[H", "\r", "\x1b[B", "p", "\x1b", "q"):
            terminal.press(keys)
        written = terminal.end()
    assert terminal.process.returncode == 0
    assert "…".encode() in written
    assert len(written) < 500_000
