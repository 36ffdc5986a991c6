"""Remembered results, so many at most."""

from __future__ import annotations

from typing import Generic, TypeVar

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Memo(dict[_Key, _Value], Generic[_Key, _Value]):
    """Results by key. A full one forgets all: keys that still come are soon known again.

    A lookup is a dict's; keeping the order of use would cost more than most answers.
    """

    def __init__(self, most: int) -> None:
        """At most so many are remembered."""
        super().__init__()
        self._most = most

    def learn(self, key: _Key, value: _Value) -> _Value:
        """Remember it; the value."""
        if len(self) >= self._most and key not in self:
            self.clear()
        self[key] = value
        return value
