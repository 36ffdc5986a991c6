"""Events: what the collector tells by itself, and a check of each JSON frame before it is taken in.

The collector is root and its end of the pipe is ours; nevertheless nothing of a stream that went
wrong may reach the screen as if it were true. Keys that are not named here are let through: a
newer collector may send more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tracetui.errors import Failure
from tracetui.protocol import frames
from tracetui.protocol.frames import Frame
from tracetui.protocol.shapes import Each, Maybe, Optionally, fault

INSTALLED_RULE = {
    "backend": str, "family": int, "chain": str, "words": [str], "packets": int, "bytes": int,
    "comment": Maybe(str), "expires": Maybe(float), "mine": bool, "is_watched": bool,
    "position": int,
}  # fmt: skip
_TRIP = {
    "at": float, "reason": str, "removed": Maybe([str]),
    "foreign": [{"rate": int, "rule": INSTALLED_RULE}],
}  # fmt: skip
_GUARD_STATE = {"threshold": int, "tripped": bool, "muted": bool, "trips": [_TRIP]}
_SHAPES: Mapping[int, Any] = {
    frames.HELLO: {"host": str, "pid": int},
    frames.STATUS: {
        "rate": int, "hops": int, "lost": int, "unshown": int,
        "sources": [{"name": str, "state": str, "detail": str}], "guard": _GUARD_STATE,
    },
    frames.RULES: {"rules": [INSTALLED_RULE], "sysctls": Each(str)},
    frames.NODE: {
        "backends": [str], "backend": str, "why": str, "commands": Each(str), "rules": Each(int),
        "tag": str,
    },
    frames.LINKS: Each(str),
    frames.NOTICE: {"severity": str, "text": str},
    frames.BYE: {"hops": int, "lost": int, "removed": [str], "why": Maybe(str)},
    frames.READING: {
        "backend": str, "reading": int, "at": str, "drained": Optionally(bool),
        "same": Optionally(bool), "continuous": Optionally(bool),
    },
    frames.CHAIN: {
        "backend": str, "family": str, "table": str, "chain": str, "time": float,
        "text": Optionally(str), "error": Optionally(Maybe(str)),
    },
}  # fmt: skip


def checked(frame: Frame) -> dict[str, Any]:
    """Return the object of an event's frame; raises Failure if its shape is another."""
    return checked_as(frame, _SHAPES[frame.kind])


def checked_as(frame: Frame, shape: Any) -> dict[str, Any]:
    """Return the object in a frame, which has this shape; raises Failure if it has not."""
    value = frame.json()
    where = fault(value, shape)
    if where is not None:
        raise Failure(f"a frame of kind {frame.kind} is malformed{where and f' at {where}'}")
    return value
