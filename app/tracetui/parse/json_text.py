"""JSON as others wrote it."""

from __future__ import annotations

import json
from typing import Any

LARGEST = 1 << 64
"""No kernel has a longer number."""


def read(text: str) -> Any:
    """The value of a JSON text; raises ValueError for what is none.

    Half a surrogate pair, which is no character, is taken: who shows or writes it makes it inert.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("JSON that is nested too deep") from None


def number(value: object) -> int:
    """A whole number of a kernel's size; raises TypeError for anything else."""
    if not isinstance(value, int) or isinstance(value, bool) or not -LARGEST < value < LARGEST:
        raise TypeError("no number")
    return value


def text(value: object) -> str:
    """A text; raises TypeError for anything else."""
    if not isinstance(value, str):
        raise TypeError("no text")
    return value
