"""``tracetui flush``: removes our TRACE rules, whoever left them."""

from __future__ import annotations

import argparse

from tracetui.cli.commands.rules import enter
from tracetui.cli.terminal.terminal import say
from tracetui.collector.rules import flushing
from tracetui.errors import Failure
from tracetui.session.text.sanitize import sanitize


def run(options: argparse.Namespace) -> int:
    """Remove and name them; 1 where something may be left."""
    enter(options)
    flushed = flushing.flush(options.all, say)
    for line in flushed.lines:
        print(sanitize(line))
    if flushed.doubts:
        raise Failure("; ".join(flushed.doubts))
    if not flushed.lines:
        print("nothing to remove")
    return 0
