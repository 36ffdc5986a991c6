"""``tracetui modules``: the kernel modules with their Used-by tree, as text."""

from __future__ import annotations

import argparse

from tracetui.kernel.procfs import ProcFs
from tracetui.session import modules


def run(options: argparse.Namespace) -> int:
    """Print them; the exit status."""
    print(modules.report(ProcFs().modules_text(), options.name, options.json))
    return 0
