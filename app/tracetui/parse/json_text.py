"""JSON as others wrote it."""

from __future__ import annotations

import json
import re
from typing import Any

LARGEST = 1 << 64
"""No kernel has a longer number."""
_HALF = re.compile(r"\\u[dD][89a-fA-F]")


def read(text: str) -> Any:
    """The value of a JSON text; raises ValueError for what is none, or can't be shown.

    Half of a surrogate pair is no character: neither a terminal nor a file takes it.
    """
    try:
        value = json.loads(text)
        if _HALF.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("JSON that is nested too deep") from None
    return value


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
