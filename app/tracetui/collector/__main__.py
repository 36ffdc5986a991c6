"""Starts a collector and its watchdog, or sweeps what dead ones left.

It is started with ``python -I``: nothing of the directory or the environment it is started in can
come before the modules it means, for it runs as root.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys

from tracetui.collector import watchdog
from tracetui.collector.collector import Collector, CollectorOptions
from tracetui.collector.process import confinement
from tracetui.collector.rules import flushing
from tracetui.collector.sources import sources
from tracetui.errors import Failure, TracetuiError
from tracetui.kernel import netns
from tracetui.model.tracing.guard import DEFAULT_THRESHOLD


def main() -> int:
    """Run until standard input ends and nothing of ours is left; the exit status."""
    parser = argparse.ArgumentParser(prog="tracetui.collector")
    parser.add_argument("--netns")
    parser.add_argument("--source", choices=sources.SOURCE_CHOICES, default="auto")
    parser.add_argument("--guard", type=int, default=DEFAULT_THRESHOLD)
    parser.add_argument(
        "--sweep", action="store_true", help="remove what dead owners left, and end"
    )
    options = parser.parse_args()
    confinement.begin()
    try:
        if options.netns:
            netns.enter(netns.resolve(options.netns))
        if options.sweep:
            swept = flushing.sweep()
            print(*swept.lines, *swept.doubts, sep="\n")
            return 1 if swept.doubts else 0
        chosen = CollectorOptions(options.netns, options.source, options.guard)
        return watchdog.run(lambda: _serve(chosen), _sweep, _restore)
    except TracetuiError as error:
        print(error, file=sys.stderr)
        return 1


def _serve(options: CollectorOptions) -> int:
    # Nothing but frames may reach the pipe, so a stray print can't break the stream.
    stdout = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        Collector(options, sys.stdin.fileno(), stdout).run()
    except Failure as error:
        print(error, file=sys.stderr)
        return 1
    except (OSError, MemoryError, RuntimeError) as error:
        # No descriptor, thread or memory is left; the watchdog sweeps.
        print(f"the collector can't go on: {error}", file=sys.stderr)
        return 1
    return 0


def _sweep() -> None:
    """Remove what the collector left, however long that takes."""
    swept = flushing.sweep(_say, float("inf"))
    for line in swept.lines + swept.doubts:
        _say(line)


def _restore() -> None:
    """Restore nf_log, should the collector have ended without doing so."""
    for line in flushing.restore():
        _say(line)


def _say(text: str) -> None:
    # The file it goes to may be on a full disk; the sweep must go on.
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
