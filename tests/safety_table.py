"""The table of docs/safety.md: what the tests of ``tests/safety`` found.

They tell it as properties of their reports, which reach the process that began the run whichever
process a test ran in. TRACETUI_WRITE_SAFETY_TABLE=1 writes the table; else it is compared.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent
DOCUMENT = HERE.parent / "docs/safety.md"
BEGIN, END = "<!-- safety-table -->\n", "<!-- /safety-table -->\n"
WRITE = "TRACETUI_WRITE_SAFETY_TABLE"


class SafetyTable:
    """A plug-in that fails a whole run whose table is not the document's."""

    def __init__(self) -> None:
        self._left: dict[str, set[str]] = {}
        self._modules: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in what a test told."""
        module = report.nodeid.partition("::")[0]
        if report.when == "call" and module.startswith("tests/safety/"):
            self._modules.add(Path(module).name)
            for name, value in report.user_properties:
                if name == "left":
                    fault, left = value
                    self._left.setdefault(fault, set()).add(left)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Compare, where all of them ran."""
        config = session.config
        is_whole = self._modules >= {path.name for path in HERE.glob("safety/test_*.py")}
        is_part = config.option.keyword or config.option.markexpr or "::" in str(config.args)
        if not is_whole or is_part or session.exitstatus:
            return
        text = DOCUMENT.read_text()
        before, rest = text.split(BEGIN)
        now, after = rest.split(END)
        found = self._table()
        if os.environ.get(WRITE):
            DOCUMENT.write_text(before + BEGIN + found + END + after)
        elif now != found:
            print(
                f"\nthe table of docs/safety.md is another one than this run's; {WRITE}=1 writes it"
            )
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _table(self) -> str:
        lines = ["", "| what was done | what of ours is left on the node |", "|---|---|"]
        lines += [
            f"| {fault} | {', '.join(sorted(left))} |" for fault, left in sorted(self._left.items())
        ]
        return "\n".join([*lines, "", ""])
