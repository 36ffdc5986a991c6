"""The lab in a process of its own, which takes it down however this one ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tracetui.errors import Failure

_LAB_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from tracetui.lab.__main__ import main; sys.exit(main())"
)


class LabProcess:
    """A lab with traffic, from entering the context to leaving it; raises Failure."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self.node = ""
        """The name of the node's namespace."""

    def __enter__(self) -> LabProcess:
        package = str(Path(__file__).resolve().parents[2])
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _LAB_PROGRAM, package, self._kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None  # noqa: S101 - what stdout=PIPE promises
        self.node = self._process.stdout.readline().strip()
        if not self.node:
            _, stderr = self._process.communicate()
            lines = stderr.strip().splitlines()
            raise Failure(lines[-1] if lines else "the lab could not be built")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
