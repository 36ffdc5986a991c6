"""Starts a collector, or sweeps what dead ones left: ``python -m tracetui.collector``."""

from __future__ import annotations

import argparse
import os
import sys

from tracetui.collector import flushing, sources
from tracetui.collector.collector import Collector, Options
from tracetui.errors import TracetuiError
from tracetui.kernel import netns
from tracetui.model.guard import DEFAULT_THRESHOLD


def main() -> int:
    """Run until standard input ends; the exit status."""
    parser = argparse.ArgumentParser(prog="tracetui.collector")
    parser.add_argument("--netns")
    parser.add_argument("--source", choices=sources.CHOICES, default="auto")
    parser.add_argument("--guard", type=int, default=DEFAULT_THRESHOLD)
    parser.add_argument(
        "--sweep", action="store_true", help="remove what dead owners left, and end"
    )
    options = parser.parse_args()
    try:
        if options.netns:
            netns.enter(netns.resolve(options.netns))
        if options.sweep:
            for line in flushing.sweep():
                print(line)
            return 0
        chosen = Options(options.netns, options.source, options.guard)
        # Nothing but frames may reach the pipe, so a stray print can't break the stream.
        stdout = os.dup(sys.stdout.fileno())
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        Collector(chosen, sys.stdin.fileno(), stdout).run()
    except TracetuiError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
