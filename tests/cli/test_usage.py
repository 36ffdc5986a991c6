"""Help of every command, and what is said of a command line that can't be meant."""

from __future__ import annotations

import argparse
import io
import os
import re
import shlex
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

import tracetui.cli
from tracetui.cli.grammar.manual import PAGES
from tracetui.cli.grammar.parser import parse, parser
from tracetui.cli.grammar.usage import Parser

COMMANDS = {one.prog: one for one in parser().all()}


def typed(line: str) -> list[str]:
    """The words behind ``tracetui`` in a line for a shell."""
    words = list(shlex.shlex(line, posix=True, punctuation_chars="|<>()"))
    words = words[words.index("tracetui") + 1 :]
    ends = [at for at, word in enumerate(words) if set(word) <= set("|<>()")]
    return words[: ends[0]] if ends else words


def refused(*argv: str) -> str:
    """What is said of a command line that ends with 2."""
    with redirect_stderr(io.StringIO()) as err, pytest.raises(SystemExit) as end:
        parse(argv)
    assert end.value.code == 2
    return err.getvalue().removesuffix("\n")


def test_every_command_has_a_page_and_every_page_a_command():
    assert set(COMMANDS) == set(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_help_says_what_how_and_how_it_ends(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    text = COMMANDS[name].format_help()
    assert text.startswith(f"usage: {name}")
    assert PAGES[name].about in " ".join(text.split())
    assert PAGES[name].about.count(".") == 1
    assert PAGES[name].about.endswith(".")
    examples, statuses = text.partition("\nexamples:\n")[2].split("\n\nexit status:\n")
    assert examples.count("\n  # ") + 1 == len(PAGES[name].examples) > 0
    assert [line.split()[0] for line in statuses.splitlines()] == ["0", "1", "2"]
    assert max(map(len, text.splitlines())) <= 80
    assert "\noptions:" not in text, "an option stands under no title"
    assert "positional" not in text


@pytest.mark.parametrize("columns", ["20", "40", "200"])
def test_help_is_written_at_any_width(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    for one in COMMANDS.values():
        assert "exit status:" in one.format_help()


def test_the_lists_of_commands_are_complete():
    for one in COMMANDS.values():
        below = [name for name in COMMANDS if name.rpartition(" ")[0] == one.prog]
        text = " ".join(one.format_help().split())
        assert all(f" {n.split()[-1]} {PAGES[n].summary}" in text for n in below), one.prog


@pytest.mark.parametrize("name", PAGES)
def test_every_example_is_true_and_of_its_command(name):
    for example in PAGES[name].examples:
        called = parse(typed(example.line)).parser.prog
        assert called.startswith(name), example.line
        assert len(example.line) <= 71


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ("replya x", "tracetui: no command 'replya' (did you mean replay?); see tracetui --help"),
        ("explode", "no command 'explode' (one of replay, record, rules, flush, "),
        (f"{'x' * 5000}", "tracetui: no command 'xxx"),
        ("rules ad", "tracetui rules: no action 'ad' (did you mean add?)"),
        ("replay --fromat json x", "tracetui replay: no option --fromat (did you mean --format?)"),
        ("replay --fromat", "no option --fromat (did you mean --format?)"),
        ("rules add --dp 80", "no option --dp (did you mean --dport?)"),
        ("record --destination 10.0.0.1", "no option --destination (did you mean -d?)"),
        ("record --in-interface eth0", "(did you mean -i?)"),
        ("--format json", "--format is not an option of this command, but of `tracetui replay`"),
        ("--json", "but of `tracetui modules` and `tracetui doctor`"),
        ("--netns x modules", "tracetui modules: --netns is not an option of this command; see"),
        ("-p tcp rules", "tracetui rules: -p is not an option of this command"),
        ("record tcp port 80", "'tcp' is not expected here (a RULE is options: -p tcp --dport 80)"),
        ("host 10.0.0.1", "no command 'host' (a RULE is options: -p tcp --dport 80)"),
        ("flush eth0", "tracetui flush: 'eth0' is not expected here; see tracetui flush --help"),
        ("replay", "tracetui replay: FILE is missing"),
        ("replay x --format xml", "--format: not 'xml' (one of tui, text, json)"),
        ("--guard", "tracetui: --guard needs a value: HOPS"),
        ("record -w", "-w needs a value: FILE"),
        ("record -4 -6", "-6 and -4 exclude each other"),
        ("flush --all=1", "--all takes no value"),
    ],
)
def test_bad_usage_says_what_was_meant_in_one_line(argv, said):
    err = refused(*argv.split())
    assert said in err
    assert "\n" not in err
    assert err.endswith("--help")
    assert "argument" not in err


def test_a_file_in_the_place_of_a_command_is_one_to_replay(tmp_path):
    file = tmp_path / "kern.log"
    file.touch()
    assert f"(did you mean tracetui replay {file}?)" in refused(str(file))


def test_values_that_look_like_options_or_commands_are_values():
    assert parse(["--netns", "record", "rules"]).netns == "record"
    assert parse(["record", "-w", "-"]).write == "-"
    assert parse(["replay", "-", "--filter=not nat"]).filter == "not nat"
    assert parse(["replay", "--", "--format"]).files == ["--format"]
    assert parse(["record", "-ptcp", "-4"]).proto == "tcp"


def test_options_before_a_command_reach_it():
    found = parse(["--netns", "a", "--source", "kmsg", "--filter", "nat", "record", "-p", "icmp"])
    assert (found.netns, found.source, found.filter) == ("a", "kmsg", "nat")
    assert parse(["--netns", "a", "rules", "list", "--netns", "b"]).netns == "b"


def test_a_rule_that_cannot_be_says_where_help_is(tracetui):
    done = tracetui("record", "-d", "10.0.0.300")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("tracetui record: -d: not an IP address")
    assert done.err.endswith("; see tracetui record --help\n")
    assert done.err.count("\n") == 1


def test_version():
    with redirect_stdout(io.StringIO()) as out, pytest.raises(SystemExit) as end:
        parse(["--version"])
    assert end.value.code == 0
    assert out.getvalue().startswith("tracetui 0.")


def test_nothing_of_argparse_is_used_that_it_keeps_to_itself():
    """Its private names change from Python to Python: 3.14 passed ``color`` to our parser."""
    theirs = {one for one in dir(argparse.ArgumentParser()) if re.match("_[a-z]", one)}
    assert "_actions" in theirs
    assert not theirs & set(vars(Parser))
    assert not theirs & set(dir(parser())) - set(dir(argparse.ArgumentParser()))
    for file in Path(tracetui.cli.__file__).parent.rglob("*.py"):
        source = file.read_text(encoding="utf-8")
        assert not re.search(r"\bargparse\._", source), file
        assert not theirs & set(re.findall(r"\w\.(_[a-z]\w*)", source)), file


@pytest.mark.parametrize("argv", [["flush", "--help"], ["man"], ["completion", "bash"], ["exlode"]])
def test_what_is_printed_has_no_colours_of_argparse(argv):
    """From 3.14 on it colours usage, which the man page and its own errors are made of."""
    done = subprocess.run(
        [sys.executable, "-m", "tracetui", *argv], capture_output=True, check=False,
        env={**os.environ, "FORCE_COLOR": "1", "TERM": "xterm-256color"},
    )  # fmt: skip
    assert done.returncode == (2 if argv == ["exlode"] else 0)
    assert done.stdout + done.stderr
    assert b"\x1b" not in done.stdout + done.stderr


def loaded_with(code: str) -> set[str]:
    """Every module that is there after a program has run."""
    tell = "\nimport sys\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code + tell], capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stderr.split())


@pytest.mark.parametrize("argv", [["--help"], ["modules", "--json"]])
def test_a_command_that_only_prints_loads_little(argv):
    """It answers before a finger is off the key; what argparse loads itself can't be helped.

    From Python 3.14 on, that is dataclasses too.
    """
    loaded = loaded_with(f"import tracetui.cli\ntracetui.cli.main({argv})")
    heavy = {
        "textual", "rich", "dataclasses", "asyncio", "socket", "tracetui.model.trace.packet",
        "tracetui.model.filter.expression",
    }  # fmt: skip
    assert "tracetui.cli.start.program" in loaded
    assert not heavy & (loaded - loaded_with("import argparse"))
