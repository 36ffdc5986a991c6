"""Shapes of the collector's JSON frames, and a check of each before it is taken in.

The collector is root and its end of the pipe is ours; nevertheless nothing of a stream that went
wrong may reach the screen as if it were true. Keys that are not named here are let through: a
newer collector may send more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from tracetui.errors import Failure
from tracetui.protocol.frames import Frame


class _Composite:
    """A shape around another one."""

    def __init__(self, shape: Any) -> None:
        self.shape = shape


class Maybe(_Composite):
    """A value of a shape, or null."""


class Each(_Composite):
    """An object with any keys, whose values have a shape."""


class Optionally(_Composite):
    """A key that may be missing, with its shape."""


_MISSING = object()


RULE = {
    "backend": str, "family": int, "chain": str, "words": [str], "packets": int, "bytes": int,
    "comment": Maybe(str), "expires": Maybe(float), "mine": bool, "is_watched": bool,
    "position": int,
}  # fmt: skip
_TRIP = {
    "at": float, "reason": str, "removed": Maybe([str]), "foreign": [{"rate": int, "rule": RULE}],
}  # fmt: skip
_GUARD = {"threshold": int, "tripped": bool, "deaf": bool, "trips": [_TRIP]}
HELLO = {"host": str, "pid": int}
STATUS = {
    "rate": int, "hops": int, "lost": int, "unshown": int,
    "sources": [{"name": str, "state": str, "detail": str}], "guard": _GUARD,
}  # fmt: skip
RULES = {"rules": [RULE], "sysctls": Each(str)}
NODE = {
    "backends": [str], "backend": str, "why": str, "commands": Each(str), "rules": Each(int),
    "tag": str,
}  # fmt: skip
NOTICE = {"severity": str, "text": str}
BYE = {"hops": int, "lost": int, "removed": [str], "why": Maybe(str)}
READING = {
    "backend": str, "reading": int, "at": str, "drained": Optionally(bool),
    "same": Optionally(bool), "continuous": Optionally(bool),
}  # fmt: skip
CHAIN = {
    "backend": str, "family": str, "table": str, "chain": str, "time": (float, str),
    "text": Optionally(str), "error": Optionally(Maybe(str)),
}  # fmt: skip


def checked(frame: Frame, shape: Any) -> dict[str, Any]:
    """The object in a frame, which has this shape; raises Failure if it has not."""
    value = frame.json()
    where = _fault(value, shape)
    if where is not None:
        raise Failure(f"a frame of kind {frame.kind} is malformed{where and f' at {where}'}")
    return value


def _fault(value: Any, shape: Any) -> str | None:
    """Where a value has not the shape, as the keys that lead there; None where it has."""
    if isinstance(shape, Maybe):
        return None if value is None else _fault(value, shape.shape)
    if isinstance(shape, (type, tuple)):
        return None if _is_one(value, shape) else ""
    if not isinstance(value, list if isinstance(shape, list) else dict):
        return ""
    for key, one, inner in _parts(value, shape):
        below = _fault(one, inner)
        if below is not None:
            return f"{key}.{below}" if below else key
    return None


def _parts(value: Any, shape: Any) -> Iterator[tuple[str, Any, Any]]:
    """Key, value and shape of everything in a list or an object."""
    if isinstance(shape, list):
        for at, one in enumerate(value):
            yield str(at), one, shape[0]
    elif isinstance(shape, Each):
        for key, one in value.items():
            yield key, one, shape.shape
    else:
        for key, inner in shape.items():
            if not isinstance(inner, Optionally):
                yield key, value.get(key, _MISSING), inner
            elif key in value:
                yield key, value[key], inner.shape


def _is_one(value: Any, shape: Any) -> bool:
    """Whether a value is of a type, or of one of several."""
    if isinstance(shape, tuple):
        return any(_is_one(value, one) for one in shape)
    if isinstance(value, bool):
        return shape is bool
    if shape is float:
        return isinstance(value, (int, float)) and math.isfinite(value)
    return isinstance(value, shape)
