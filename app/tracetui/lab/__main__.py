"""The lab with traffic: ``python -m tracetui.lab [legacy|nft|mixed]``.

Prints the name of the node's namespace, for ``tracetui --netns NAME``, and goes on until its
standard input ends or Ctrl+C. ``tracetui demo`` runs it in a process of its own, so that the lab
goes however the screen went.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys

from tracetui.errors import TracetuiError
from tracetui.lab.network import SERVER, Lab
from tracetui.lab.ruleset import LAB_KINDS, LabRuleset
from tracetui.lab.traffic import Traffic


def main() -> int:
    """Keep the lab until nobody needs it; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tracetui.lab")
    parser.add_argument("kind", nargs="?", choices=LAB_KINDS, default="mixed")
    parser.add_argument("--services", type=int, default=0, help="so many more, four rules each")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            _keep(LabRuleset(options.kind, SERVER, options.services))
    except TracetuiError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _keep(ruleset: LabRuleset) -> None:
    with Lab(ruleset) as lab, Traffic(lab) as traffic:
        print(lab.node, flush=True)
        traffic.keep_asking()
        while os.read(sys.stdin.fileno(), 4096):
            pass


if __name__ == "__main__":
    sys.exit(main())
