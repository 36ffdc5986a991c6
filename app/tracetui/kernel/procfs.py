"""Files of /proc and /sys, as text.

TRACETUI_ROOT in the environment puts another directory in the place of ``/``, for looking at files
that were copied from another node.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Optional

from tracetui.errors import Failure
from tracetui.kernel.names import text_of

_ROUTING = Path("/proc/sys/net")


def routing_sysctls() -> dict[str, str]:
    """What decides in this thread's namespace whether routing lets a packet pass.

    ``ipv4.ip_forward``, ``ipv6.forwarding``, and ``rp_filter.IFACE`` of each interface and ``all``
    (Documentation/networking/ip-sysctl.rst); what can't be read is left out.
    """
    found = {"ipv4.ip_forward": _ROUTING / "ipv4/ip_forward"}
    found["ipv6.forwarding"] = _ROUTING / "ipv6/conf/all/forwarding"
    for path in _ROUTING.glob("ipv4/conf/*/rp_filter"):
        found[f"rp_filter.{text_of(path.parent.name)}"] = path
    values: dict[str, str] = {}
    for name, path in found.items():
        with contextlib.suppress(OSError):
            values[name] = path.read_text().strip()
    return values


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
