"""The lab with traffic, for development: ``python -m tracetui.lab [legacy|nft|mixed]``.

Prints the name of the node's namespace, for ``tracetui --netns NAME``, and ends with Ctrl+C.
"""

from __future__ import annotations

import argparse
import contextlib
import signal

from tracetui.lab.network import SERVER, Lab
from tracetui.lab.ruleset import KINDS, Ruleset
from tracetui.lab.traffic import Traffic


def main() -> None:
    """Keep the lab until a signal comes."""
    parser = argparse.ArgumentParser(prog="python -m tracetui.lab")
    parser.add_argument("kind", nargs="?", choices=KINDS, default="mixed")
    parser.add_argument("--services", type=int, default=0, help="so many more, four rules each")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Lab(Ruleset(options.kind, SERVER, options.services)) as lab, Traffic(lab) as traffic:
        print(lab.node, flush=True)
        traffic.keep_asking()
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    main()
