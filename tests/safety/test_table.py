"""The table in the README is what the run of these tests found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .conftest import RESULTS

pytestmark = pytest.mark.kernel

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- safety-table -->\n", "<!-- /safety-table -->\n"
MODULES = {path.name for path in Path(__file__).parent.glob("test_*.py")}
WRITE = "TRACETUI_WRITE_SAFETY_TABLE"


def test_the_readme_tells_what_every_fault_left(request):
    """TRACETUI_WRITE_SAFETY_TABLE=1 writes the table into the README."""
    ran = {item.path.name for item in request.session.items}
    if not ran >= MODULES:
        pytest.skip("needs a run of all of tests/safety")
    found = table(request.config.stash.get(RESULTS, {}))
    text = README.read_text()
    before, rest = text.split(BEGIN)
    now, after = rest.split(END)
    if os.environ.get(WRITE):
        README.write_text(before + BEGIN + found + END + after)
    else:
        assert now == found, f"the README's table is another one; {WRITE}=1 writes it"


def table(results: dict[str, set[str]]) -> str:
    lines = ["", "| what was done | what of ours is left on the node |", "|---|---|"]
    lines += [f"| {fault} | {', '.join(sorted(left))} |" for fault, left in sorted(results.items())]
    return "\n".join([*lines, "", ""])
