"""The man page: formatted by groff without a complaint, and nothing of the program is missing."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tracetui.cli.grammar import manual, roff
from tracetui.cli.grammar.parser import parser
from tracetui.ui.commands import COMMANDS, SCOPES
from tracetui.ui.keymap import written

SECTIONS = [
    "NAME", "SYNOPSIS", "DESCRIPTION", "PRIVILEGES", "COMMANDS", "OPTIONS", "FILTERS", "KEYS",
    "FILES", "ENVIRONMENT", "EXIT STATUS", "EXAMPLES", "SEE ALSO",
]  # fmt: skip


def formatted(page: str) -> str:
    """The page as a terminal of 80 columns shows it; groff may not warn of anything."""
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-P-cbou", "-ww", "-rLL=78n", "-rHY=0"],
        input=page, capture_output=True, text=True, encoding="utf-8", check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout


@pytest.fixture(scope="module")
def source() -> str:
    return subprocess.run(
        [sys.executable, "-m", "tracetui", "man"], capture_output=True, text=True, check=True
    ).stdout


@pytest.fixture(scope="module")
def page(source) -> str:
    return formatted(source)


def section(page: str, title: str) -> str:
    """What stands under a title, its blanks as one."""
    found = re.search(rf"^{title}\n(.*?)(?=^\S|\Z)", page, re.DOTALL | re.MULTILINE)
    return " ".join(found[1].split())


def test_the_sections_stand_in_their_order(page):
    assert re.findall(r"^([A-Z][A-Z ]+)$", page, re.MULTILINE) == SECTIONS
    assert section(page, "NAME").startswith("tracetui - show which netfilter rule")
    assert max(map(len, page.splitlines())) <= 80


def test_every_command_and_option_is_told(page):
    for command in parser().all():
        assert command.prog in section(page, "SYNOPSIS")
        assert manual.PAGES[command.prog].summary.lower() in section(page, "COMMANDS").lower() or (
            command.prog == "tracetui"
        )
        words = section(page, "OPTIONS").split()
        assert {flag for flag in command.flags() if flag not in words} <= {"-h"}


def test_every_key_is_told(page):
    text = section(page, "KEYS")
    for command in COMMANDS:
        assert " ".join(f"{written(command)} {command.help}".split()) in text
    assert all(" ".join(title.split()) in text for title in SCOPES.values())


def test_every_example_can_be_copied(page):
    for told in manual.PAGES.values():
        for example in told.examples:
            # How far it is indented, is groff's: 9 columns to 1.22, 7 from 1.23 on.
            assert re.search(rf"^ +{re.escape(example.line)}$", page, re.MULTILINE)


def test_files_variables_and_statuses_are_told(page):
    for told, title in ((manual.OWN_FILES, "FILES"), (manual.ENVIRONMENT, "ENVIRONMENT")):
        assert all(
            f"{name} {about.split()[0]}" in section(page, title) for name, about in told.items()
        )
    assert all(text in section(page, "EXIT STATUS") for text in manual.STATUSES.values())
    assert "1 something keeps it from being traced" in section(page, "EXIT STATUS")
    assert f"128+n {manual.ENDED}" in section(page, "EXIT STATUS")


def test_a_line_of_sudoers_allows_tracing_alone(page, tmp_path):
    """And names the command that lies beside the one that prints the page."""
    told = section(page, "PRIVILEGES")
    assert "%tracing ALL=(root) /usr/local/bin/tracetui-collector" in told
    assert "All of them have to be root's." in told
    program = tmp_path / "tracetui"
    program.write_text("import sys\nfrom tracetui.cli import main\nsys.exit(main())\n")
    done = subprocess.run(
        [sys.executable, str(program), "man"], capture_output=True, text=True, check=True
    )
    assert f"(root) {tmp_path}/tracetui-collector" in done.stdout.replace("\\-", "-")


def test_any_text_is_printed_as_it_is():
    hostile = ".TH x \\fB ' \" ^ ~ - → … \\(em \\n(xx"
    lines = [".TH T 8", *roff.paragraphs([hostile, "'br"]), roff.text(".so /etc")]
    shown = " ".join(formatted("\n".join(lines)).split())
    assert hostile in shown
    assert "'br .so /etc" in shown


def test_it_needs_no_textual():
    code = (
        "import sys, tracetui.cli\ntracetui.cli.main(['man'])\n"
        "assert not {'textual', 'rich'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
