"""The times of a packet's hops, packed into few bytes."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, Optional


def packed(times: Sequence[Optional[float]]) -> object:
    """The times as ``marshal`` writes them shortest: one for all, bytes, or a tuple.

    :func:`unpacked` reads it.
    """
    if times.count(times[0]) == len(times):
        return times[0]
    if None in times:
        return tuple(times)
    return array("d", [time for time in times if time is not None]).tobytes()


def unpacked(packed: Any, count: int) -> Sequence[Optional[float]]:
    """The times of so many hops."""
    if isinstance(packed, bytes):
        return array("d", packed)
    return packed if isinstance(packed, tuple) else (packed,) * count
