"""What the README and the documents tell to type does what it says."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tracetui.lab import recording

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
FORMATS = (ROOT / "docs/formats.md").read_text()
USAGE = (ROOT / "docs/usage.md").read_text()


def one_liners() -> list[str]:
    block = FORMATS.partition("<!-- jq -->\n```sh\n")[2].partition("```")[0]
    return [line for line in block.splitlines() if not line.startswith("#")]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (0, r"^ +\d+ 10\.200\.\d\.\d to 10\.200\.\d\.\d:9999 by -A \S.* -j DROP$"),
        (1, r"^ +\d+ 10\.96\.0\.80:80 to 10\.200\.\d\.\d:8080$"),
    ],
)
def test_the_one_liners_tell_what_they_say_of_a_record(tmp_path, at, expected):
    with recording.open_recording() as file:
        (tmp_path / "trace.ndjson").write_bytes(file.read())
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", one_liners()[at]],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert re.search(expected, done.stdout, re.MULTILINE), done.stdout


def test_there_are_two_of_them():
    assert len(one_liners()) == 2


def test_every_word_of_a_filter_is_told():
    table = USAGE.partition("## Filters")[2].partition("## Files")[0]
    words = set(re.findall(r"[a-z0-9]+", " ".join(re.findall("`([^`]+)`", table))))
    from tracetui.model.filter.expression import KEYWORDS

    rare = {"icmpv6", "sctp", "dccp", "udplite", "esp", "ah", "gre", "igmp", "arp", "pim", "vrrp"}
    assert set(KEYWORDS) - rare <= words


def test_there_are_exactly_two_commands_to_set_up_one_to_run_and_one_to_test():
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    set_up = [block for block in blocks if "apt-get" in block]
    assert [len(block.splitlines()) for block in set_up] == [1, 1]
    run, test = set_up
    assert run.rstrip().endswith(".venv/bin/tracetui")
    assert "<!-- test-command -->\n```sh\n" + test in README
    assert "pytest" in test
