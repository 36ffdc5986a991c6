"""Files of /proc and /sys, as text.

TRACETUI_ROOT in the environment puts another directory in the place of ``/``, for looking at files
that were copied from another node.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional

from tracetui.errors import Failure


class ProcFs:
    """The files of one node."""

    def __init__(self, root: Optional[Path] = None) -> None:
        self._root = root or Path(os.environ.get("TRACETUI_ROOT") or "/")

    def modules_text(self) -> Optional[str]:
        """/proc/modules (proc(5)); None on a kernel without loadable modules. Raises Failure."""
        try:
            return (self._root / "proc/modules").read_text(errors="backslashreplace")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Failure(f"/proc/modules: {error.strerror}") from None
