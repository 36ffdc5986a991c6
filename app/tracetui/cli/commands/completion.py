"""``tracetui completion``: a script that completes the commands in a shell."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from tracetui.cli.grammar.grammar import commands

_NO_PROGRAMS = ("__main__.py", "-c", "")
"""Names of what Python runs by ``-m`` and ``-c``."""


def run(options: argparse.Namespace) -> int:
    """Print it; the exit status."""
    shell = importlib.import_module(f"tracetui.cli.shells.{options.shell}")
    print(shell.script(tuple(commands(options.parser.top)), _program()), end="")
    return 0


def _program() -> str:
    """The name that this program was called by, which the one file can have another of."""
    name = Path(sys.argv[0]).name
    return "tracetui" if name in _NO_PROGRAMS else name
