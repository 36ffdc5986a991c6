"""``tracetui flush``: removes our TRACE rules, whoever left them."""

from __future__ import annotations

import argparse

from tracetui.cli.rules import enter
from tracetui.cli.terminal import say
from tracetui.collector import flushing
from tracetui.session.inert import inert


def run(options: argparse.Namespace) -> int:
    """Remove and name them; the exit status."""
    enter(options)
    lines = flushing.flush(options.all, say)
    print("\n".join(inert(line) for line in lines) or "nothing to remove")
    return 0
