"""Shapes of JSON values, and where a value departs from one.

A shape is a type, a tuple of types, a list with the shape of its items, an object with the shape of
each key, or one of the classes below. ``float`` admits whole numbers, and no infinity.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any


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


def fault(value: Any, shape: Any) -> str | None:
    """The keys that lead to where a value departs from a shape, a dot between; None if it fits.

    The empty text is the value itself. Keys that the shape does not name are let through.
    """
    if isinstance(shape, Maybe):
        return None if value is None else fault(value, shape.shape)
    if isinstance(shape, (type, tuple)):
        return None if _has_type(value, shape) else ""
    if not isinstance(value, list if isinstance(shape, list) else dict):
        return ""
    for key, inner_value, inner_shape in _parts(value, shape):
        below = fault(inner_value, inner_shape)
        if below is not None:
            return f"{key}.{below}" if below else key
    return None


def _parts(value: Any, shape: Any) -> Iterator[tuple[str, Any, Any]]:
    """Key, value and shape of everything in a list or an object."""
    if isinstance(shape, list):
        for index, item in enumerate(value):
            yield str(index), item, shape[0]
    elif isinstance(shape, Each):
        for key, item in value.items():
            yield key, item, shape.shape
    else:
        for key, inner in shape.items():
            if not isinstance(inner, Optionally):
                yield key, value.get(key, _MISSING), inner
            elif key in value:
                yield key, value[key], inner.shape


def _has_type(value: Any, types: Any) -> bool:
    """Return whether a value is of a type, or of one of several."""
    if isinstance(types, tuple):
        return any(_has_type(value, each) for each in types)
    if isinstance(value, bool):
        return types is bool
    if types is float:
        return isinstance(value, (int, float)) and math.isfinite(value)
    return isinstance(value, types)
