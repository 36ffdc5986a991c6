"""``tracetui modules``: the kernel modules with their Used-by tree, as text."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Optional

from tracetui.errors import Failure
from tracetui.kernel.module_files import ModuleFiles
from tracetui.parse.node import proc_modules
from tracetui.session.node import modules
from tracetui.session.node.given_modules import GivenModules
from tracetui.session.node.module_reader import ModuleReader

LARGEST_LIST = 1 << 20
"""Characters of a list: some 10,000 modules."""


def run(options: argparse.Namespace) -> int:
    """Print them; the exit status."""
    text = _given(options.name)
    name = options.name if text is None else None
    reader = ModuleReader(ModuleFiles() if text is None else GivenModules(text))
    print(modules.report(reader, name, options.sort, options.json))
    return 0


def _given(name: Optional[str]) -> Optional[str]:
    """The list in a file, or from standard input for ``-``; None where the name is a module's.

    Raises Failure for a file that can't be read, or holds no module.
    """
    if name is None:
        return None
    try:
        if name == "-":
            text = sys.stdin.read(LARGEST_LIST)
        elif "/" in name or Path(name).is_file():
            with Path(name).open(errors="backslashreplace") as file:
                text = file.read(LARGEST_LIST)
        else:
            return None
    except OSError as error:
        raise Failure(f"{name}: {error.strerror}") from None
    except ValueError as error:
        raise Failure(f"{name}: {error}") from None
    if not proc_modules.parse(text).modules:
        raise Failure(f"{name}: not a list of modules; /proc/modules and lsmod have one")
    return text
