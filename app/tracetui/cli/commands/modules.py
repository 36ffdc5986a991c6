"""``tracetui modules``: the kernel modules with their Used-by tree, as text."""

from __future__ import annotations

import argparse

from tracetui.kernel.module_files import ModuleFiles
from tracetui.session.node import modules
from tracetui.session.node.module_reader import ModuleReader


def run(options: argparse.Namespace) -> int:
    """Print them; the exit status."""
    reader = ModuleReader(ModuleFiles())
    print(modules.report(reader, options.name, options.sort, options.json))
    return 0
