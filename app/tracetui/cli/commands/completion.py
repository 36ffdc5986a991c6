"""``tracetui completion``: a script that completes the commands in a shell."""

from __future__ import annotations

import argparse
import importlib

from tracetui.cli.grammar.grammar import commands


def run(options: argparse.Namespace) -> int:
    """Print it; the exit status."""
    shell = importlib.import_module(f"tracetui.cli.shells.{options.shell}")
    print(shell.script(tuple(commands(options.parser.top))), end="")
    return 0
