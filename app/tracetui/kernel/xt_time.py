"""The time match of x_tables, as far as it ends a rule (include/uapi/linux/netfilter/xt_time.h)."""

from __future__ import annotations

import struct
from typing import Optional

_DATES = struct.Struct("=II")
"""The first fields of struct xt_time_info: first and last second since the epoch."""
_NO_STOP = 0x7FFFFFFF
"""The value that iptables writes for a time without an end (extensions/libxt_time.c)."""


def end_of(info: bytes) -> Optional[float]:
    """Seconds since the epoch at which a match stops; None for never, or if it can't be read."""
    if len(info) < _DATES.size:
        return None
    stop = int(_DATES.unpack_from(info)[1])
    return None if stop >= _NO_STOP else float(stop)
