"""The program as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from typing import NamedTuple

import pytest


class Done(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


@pytest.fixture
def tracetui():
    """Runs the command line; fails on any traceback."""

    def run(*argv: str, stdin: bytes = b"", env=None) -> Done:
        done = subprocess.run(
            [sys.executable, "-m", "tracetui", *argv],
            input=stdin, capture_output=True, timeout=60, env=env, check=False,
        )  # fmt: skip
        result = Done(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert "Traceback" not in result.err, result.err
        return result

    return run
