"""Settings of the kernel in /proc/sys."""

from __future__ import annotations

import contextlib
from pathlib import Path

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
