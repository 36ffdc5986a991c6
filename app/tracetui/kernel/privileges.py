"""What this process may do."""

from __future__ import annotations

from pathlib import Path

_CAP_NET_ADMIN = 12
"""include/uapi/linux/capability.h."""


def may_trace() -> bool:
    """Whether rules can be added and trace events received: CAP_NET_ADMIN is effective."""
    try:
        status = Path("/proc/self/status").read_text(errors="replace")
    except OSError:
        return False
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_NET_ADMIN & 1)
    return False
