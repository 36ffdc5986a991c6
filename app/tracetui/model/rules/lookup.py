"""Lookups in a ruleset's history: the interval that is asked for, and the answer's state."""

from __future__ import annotations

from typing import Generic, Optional, TypeVar

KNOWN, PENDING, CHANGED, NOT_READ = "known", "pending", "changed", "unread"
"""States of a lookup: known; the next snapshot will tell; changed meanwhile; never read."""

LookupValue = TypeVar("LookupValue")


class Lookup(Generic[LookupValue]):
    """The answer of a history about one interval."""

    __slots__ = ("state", "value")

    def __init__(self, state: str, value: Optional[LookupValue] = None) -> None:
        self.state = state
        """``KNOWN``, ``PENDING``, ``CHANGED`` or ``NOT_READ``."""
        self.value = value
        """There if and only if the state is known."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lookup) and (self.state, self.value) == (other.state, other.value)
