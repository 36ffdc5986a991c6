"""The times of some hops, as few objects or bytes as they need."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, Optional, Union

Times = Union[None, float, tuple[Optional[float], ...]]
"""One that all have, or that of each."""


def one_time(times: Sequence[Optional[float]]) -> Times:
    """The times as one where they are the same."""
    return times[0] if times.count(times[0]) == len(times) else tuple(times)


def packed(times: Sequence[Optional[float]]) -> object:
    """The times as ``marshal`` writes them shortest; :func:`unpacked` reads it."""
    found = one_time(times)
    if not isinstance(found, tuple) or None in found:
        return found
    return array("d", [time for time in found if time is not None]).tobytes()


def unpacked(packed: Any, count: int) -> Sequence[Optional[float]]:
    """The times of so many hops."""
    if isinstance(packed, bytes):
        return array("d", packed)
    return packed if isinstance(packed, tuple) else (packed,) * count
