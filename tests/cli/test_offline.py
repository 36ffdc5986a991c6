"""What needs neither root nor a terminal."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.recorded import RECORDINGS, SEED_HOPS, unpacked

from tracetui.cli.commands.replay import LARGEST_RULESET
from tracetui.lab import recording

SEED = str(RECORDINGS / "seed-eks-forward.log")


def packets(text: str) -> list[dict]:
    return [one for one in map(json.loads, text.splitlines()) if one["kind"] == "packet"]


def test_the_seed_as_text(tracetui):
    done = tracetui("replay", SEED)
    assert done.status == 0
    heads = [line for line in done.out.splitlines() if line[0] != " "]
    counts = [int(line.split(" hops")[0].split()[-1]) for line in heads]
    assert counts == SEED_HOPS
    assert "172.31.47.174:22896 → 172.31.55.27:8090" in heads[0]


def test_the_seed_as_json_and_again_from_its_own_record(tracetui):
    first = tracetui("replay", "--format", "json", SEED)
    assert [len(one["hops"]) for one in packets(first.out)] == SEED_HOPS
    again = tracetui("replay", "--format", "json", "-", stdin=first.out.encode())
    assert packets(again.out) == packets(first.out)


def test_junk_is_skipped_and_counted(tracetui):
    junk = bytes(range(256)) * 3 + b"\nTRACE: x\n"
    done = tracetui("replay", "-", "--format", "json", stdin=junk + Path(SEED).read_bytes())
    assert done.status == 0
    assert len(packets(done.out)) == 6
    assert "without a hop" in done.err


def test_what_is_printed_is_inert(tracetui):
    first = Path(SEED).read_bytes().splitlines()[0]
    line = first.replace(b"raw:PREROUTING", b"raw:\x1b]0;x\x07")
    done = tracetui("replay", "-", stdin=line)
    assert "raw:" in done.out
    assert not {"\x1b", "\x07"} & set(done.out)


def test_a_missing_file_is_one_clear_line(tracetui):
    done = tracetui("replay", "/nowhere/kern.log")
    assert (done.status, done.out) == (1, "")
    assert done.err == "tracetui: /nowhere/kern.log: No such file or directory\n"


@pytest.mark.parametrize(
    "argv",
    [
        ["--nonsense"],
        ["explode"],
        ["replay"],
        ["replay", "--format", "xml", "x"],
        ["record", "-d", "10.0.0.300"],
        ["record", "-p", "tcp", "--dport", "65536"],
        ["record", "--dport", "80"],
        ["record", "-i", "eth 0"],
        ["record", "--limit", "many"],
        ["record", "--expire", "soon"],
        ["record", "--chain", "FORWARD"],
        ["record", "--seconds", "-1"],
        ["record", "-4", "-6"],
        ["rules", "add", "--expire", "none"],
        ["--guard", "0"],
        ["--source", "tcpdump"],
    ],
)
def test_what_cannot_be_meant_ends_with_2_and_says_why(tracetui, argv):
    # Were anything of this taken for good, it must not reach the machine's own namespace.
    done = tracetui(
        *(["--netns", "no-such-namespace"] if argv[0] in ("record", "rules") else []), *argv
    )
    assert done.status == 2
    assert done.out == ""
    assert len(done.err.splitlines()) == 1
    assert done.err.startswith("tracetui")


def test_without_a_terminal_the_screen_says_what_to_do(tracetui):
    done = tracetui()
    assert done.status == 1
    assert "terminal" in done.err
    assert "record" in done.err


@pytest.mark.parametrize("name", [SEED, "-"])
def test_a_screen_without_a_terminal_ends_at_once(tracetui, name):
    done = tracetui("replay", "--format", "tui", name)
    assert done.status == 1
    assert "terminal" in done.err


def test_keys_come_from_the_terminal_while_packets_come_through_a_pipe():
    """As ``dmesg | tracetui replay -``, in a terminal of its own."""
    child, terminal = pty.fork()
    if child == 0:
        command = f"{sys.executable} -m tracetui replay - < {SEED}"
        os.execvp("sh", ["sh", "-c", command])  # noqa: S606 - the shell is what is tested
    seen = b""
    while b"172.31.55.27" not in seen and select.select([terminal], [], [], 20)[0]:
        seen += os.read(terminal, 65536)
    os.write(terminal, b"q")
    while select.select([terminal], [], [], 20)[0]:
        try:
            if not os.read(terminal, 65536):
                break
        except OSError:
            break
    assert b"172.31.55.27" in seen
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.close(terminal)


def test_a_screen_on_which_nothing_happens_writes_little():
    """It is looked at over slow lines, on nodes that have other things to do."""
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-m", "tracetui", "replay", SEED])  # noqa: S606
    _written(terminal, 6.0)
    written = _written(terminal, 2.0)
    os.write(terminal, b"q")
    _written(terminal, 20.0)
    os.waitpid(child, 0)
    os.close(terminal)
    assert written < 25_000


def _written(terminal: int, seconds: float) -> int:
    """Bytes that a program writes within so long, or until it ends."""
    total, end = 0, time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and select.select([terminal], [], [], left)[0]:
        try:
            total += len(os.read(terminal, 65536))
        except OSError:
            break
    return total


def test_modules_of_a_node_that_was_copied(tracetui, tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/modules").write_text((RECORDINGS / "seed-proc-modules.txt").read_text())
    env = {**os.environ, "TRACETUI_ROOT": str(tmp_path)}
    assert "nf_conntrack" in tracetui("modules", env=env).out
    value = json.loads(tracetui("modules", "--json", "nf_nat", env=env).out)
    assert [one["name"] for one in value["modules"]] == ["nf_nat"]
    assert tracetui("modules", "nothing", env=env).status == 1
    (tmp_path / "proc/modules").unlink()
    done = tracetui("modules", env=env)
    assert done.status == 0
    assert "no loadable modules" in done.out


def test_modules_of_another_node_are_read_from_its_list(tracetui, tmp_path):
    listed = (RECORDINGS / "seed-proc-modules.txt").read_text()
    (tmp_path / "modules").write_text(listed)
    lsmod = "Module                  Size  Used by\nxt_theirs 16384 1 x_theirs\n"
    (tmp_path / "lsmod.txt").write_text(lsmod)
    value = json.loads(tracetui("modules", "--json", str(tmp_path / "modules")).out)
    assert len(value["modules"]) == len(listed.splitlines())
    assert {need["state"] for need in value["needs"]} <= {"loaded", "not known", "unknown"}
    for done in (
        tracetui("modules", str(tmp_path / "lsmod.txt")),
        tracetui("modules", "-", stdin=lsmod.encode()),
    ):
        assert done.status == 0
        assert [line.split()[0] for line in done.out.splitlines()[1:2]] == ["xt_theirs"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("./missing", "./missing: No such file or directory"),
        ("-", "-: not a list of modules; /proc/modules and lsmod have one"),
        ("nosuchmodule", "nosuchmodule is not known: no module of that name is loaded"),
    ],
)
def test_no_modules_there_is_said(tracetui, name, reason):
    done = tracetui("modules", name, stdin=b"no module at all\n")
    assert done.status == 1
    assert reason in done.err


def test_help_and_version(tracetui):
    for argv in (["--help"], ["record", "--help"], ["rules", "add", "--help"]):
        done = tracetui(*argv)
        assert done.status == 0
        assert "usage:" in done.out
    assert tracetui("--version").out.startswith("tracetui 0.")


@pytest.mark.parametrize("argv", [["replay", "--format", "text", SEED], ["modules"], ["--help"]])
def test_text_commands_load_no_textual(argv):
    code = (
        "import sys, tracetui.cli\n"
        f"try: tracetui.cli.main({argv!r})\n"
        "except SystemExit: pass\n"
        "assert not {'textual', 'rich'} & set(sys.modules), 'textual was loaded'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


def test_a_reader_that_leaves_is_no_error():
    command = f"{sys.executable} -m tracetui replay --format json {SEED} {SEED} {SEED} | head -1"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    assert json.loads(done.stdout)["kind"] == "hello"


def test_a_ruleset_explains_a_log(tracetui, tmp_path):
    for name in ("kmsg", "iptables-save", "ip6tables-save"):
        (tmp_path / name).write_text(unpacked(f"scenario-legacy.{name}.gz"))
    log, v4, v6 = (str(tmp_path / name) for name in ("kmsg", "iptables-save", "ip6tables-save"))
    done = tracetui("replay", log, "--ruleset", v4, "--ruleset", v6, "--format", "json")
    found = packets(done.out)
    dropped = [one for one in found if one["verdict"] == "drop"]
    rules = {one["hops"][one["decided"]]["rule"] for one in dropped}
    assert rules == {
        '-A FORWARD -p udp -m udp --dport 9999 -m comment --comment "scenario: drop 9999" -j DROP',
        "-A FORWARD -p udp -m udp --dport 9999 -j DROP",
    }
    assert sum(one["verdict"] == "reject" for one in found) == 2
    (lost,) = [one for one in found if one["verdict"] == "unknown"]
    assert lost["ttl"] == 1
    assert "TTL is 1" in lost["why"]
    without = packets(tracetui("replay", log, "--format", "json").out)
    assert {hop["rule"] for one in without for hop in one["hops"]} == {None}
    assert {one["verdict"] for one in without} <= {"accept", "unknown"}


def test_a_file_that_is_no_ruleset_is_one_clear_line(tracetui):
    done = tracetui("replay", SEED, "--ruleset", SEED)
    assert (done.status, done.out) == (1, "")
    assert "not a ruleset" in done.err
    assert "iptables-save" in done.err
    assert done.err.count("\n") == 1


def test_a_log_without_a_hop_says_why_there_may_be_none(tracetui):
    done = tracetui("replay", "-", "--format", "text", stdin=b"kernel: hello\n")
    assert done.out == ""
    assert "tracetui: 1 line, and it is not a TRACE record" in done.err
    assert "rules of iptables-nft and nft leave no hop in the kernel log" in done.err


@pytest.mark.parametrize(
    ("name", "why"),
    [("/dev/zero", "not a text file"), ("/proc/self/mem", "Input/output error"), ("/proc", "Is a")],
)
def test_what_can_t_be_a_ruleset_is_not_read_for_ever(tracetui, name, why):
    done = tracetui("replay", SEED, "--ruleset", name)
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith(f"tracetui: {name}: ")
    assert why in done.err
    assert done.err.count("\n") == 1


def test_a_ruleset_without_an_end_is_one_clear_line(tracetui):
    rules = b"-A FORWARD -j ACCEPT\n" * (LARGEST_RULESET // 20)
    done = tracetui("replay", SEED, "--ruleset", "-", stdin=rules)
    assert (done.status, done.err) == (
        1,
        "tracetui: -: larger than 64 MiB, too large for a ruleset\n",
    )


def test_our_own_hops_are_printed_when_asked_for(tracetui, tmp_path):
    file = tmp_path / "lab.ndjson"
    with recording.open_recording() as lab:
        file.write_bytes(lab.read())
    assert "-j TRACE" not in tracetui("replay", str(file)).out
    assert "-j TRACE" in tracetui("replay", "--own", str(file)).out


def test_a_filter_holds_packets_back_in_text_and_json(tracetui):
    done = tracetui("replay", SEED, "--filter", "greater 61")
    assert len([line for line in done.out.splitlines() if line[0] != " "]) == 1
    done = tracetui("replay", SEED, "--filter", "not greater 61", "--format", "json")
    assert [len(one["hops"]) for one in packets(done.out)] == [22, 6, 6, 6, 6]
    assert json.loads(done.out.splitlines()[-1])["packets"] == 5


def test_a_wrong_filter_is_shown_where_it_is_wrong(tracetui):
    done = tracetui("replay", SEED, "--filter", "tcp and port nosuchport")
    assert (done.status, done.out) == (2, "")
    first, typed, caret = done.err.splitlines()
    assert "expected a port" in first
    assert typed[len(caret) - 1 :] == "nosuchport"


def test_which_lines_held_nothing_is_said_on_request(tracetui):
    junk = b"junk\n" + Path(SEED).read_bytes() + b"more junk\n"
    assert "-:1:" not in tracetui("replay", "-", stdin=junk).err
    done = tracetui("replay", "-", "--verbose", stdin=junk)
    count = len(junk.splitlines())
    assert "-:1: " in done.err
    assert f"-:{count}: " in done.err
    assert "2 lines without a hop" in done.err


def test_several_files_are_read_in_their_order(tracetui, tmp_path):
    lines = Path(SEED).read_bytes().splitlines(keepends=True)
    (tmp_path / "2").write_bytes(gzip.compress(b"".join(lines[:30])))
    (tmp_path / "1").write_bytes(b"".join(lines[30:]))
    done = tracetui("replay", "--format", "json", str(tmp_path / "2"), str(tmp_path / "1"))
    assert [len(one["hops"]) for one in packets(done.out)] == SEED_HOPS


def test_what_grows_is_printed_while_it_grows(tmp_path):
    path = tmp_path / "kern.log"
    lines = Path(SEED).read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:22]))
    argv = [sys.executable, "-m", "tracetui", "replay", "--follow", str(path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert b"172.31.47.174:22896" in process.stdout.readline()
        for _ in range(22):
            process.stdout.readline()
        with path.open("ab") as file:
            file.write(b"".join(lines[22:28]))
        assert b"6 hops" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130


def test_a_reader_that_has_seen_enough_ends_it():
    argv = [sys.executable, "-m", "tracetui", "replay", "--format", "text", "-"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    # Nothing is held back here: it would be written, to nobody, when the pipe is closed.
    with subprocess.Popen(argv, bufsize=0, **pipes) as process:
        process.stdin.write(Path(SEED).read_bytes())
        assert process.stdout.readline()
        process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            while process.poll() is None:
                process.stdin.write(Path(SEED).read_bytes())
        assert process.wait(20) == 1
        assert process.stderr.read() == b""
