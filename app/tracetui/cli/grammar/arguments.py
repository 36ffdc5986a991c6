"""The options and operands of a command, as they were declared: for its help and its completion."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol


class Argument(NamedTuple):
    """An option or an operand."""

    action: argparse.Action
    title: str
    """Stands over it in the help."""
    repeats: bool
    """Whether it makes sense more than once."""

    @property
    def flags(self) -> tuple[str, ...]:
        """An option as it is typed; none for an operand."""
        return tuple(self.action.option_strings)

    @property
    def metavar(self) -> str:
        """The name of its value."""
        metavar = self.action.metavar
        return metavar if isinstance(metavar, str) else self.action.dest.upper()

    @property
    def takes_value(self) -> bool:
        """Whether a value stands behind the option."""
        return self.action.nargs != 0

    @property
    def words(self) -> tuple[str, ...]:
        """The values it may have, where they are known; empty otherwise."""
        return self.action.type.words if isinstance(self.action.type, OneOf) else ()


class OneOf:
    """A type of argument that is one of a few words."""

    def __init__(self, words: Iterable[str]) -> None:
        self.words = tuple(words)

    def __call__(self, text: str) -> str:
        """Return the word; raises argparse.ArgumentTypeError for any other."""
        if text not in self.words:
            raise argparse.ArgumentTypeError(f"not {text!r} (one of {', '.join(self.words)})")
        return text


class _Arguments(Protocol):
    """An argparse group, or one whose members exclude each other."""

    def add_argument(self, *flags: str, **rest: Any) -> argparse.Action: ...


class Group:
    """The arguments under one title."""

    def __init__(self, title: str, arguments: list[Argument], group: Any) -> None:
        """``arguments`` gets what is added; ``group`` is what add_argument_group() returns."""
        self._title = title
        self._arguments = arguments
        self._group = group

    def add_argument(self, *flags: str, **rest: Any) -> None:
        """Add one, as argparse's method of that name does."""
        self._add(self._group, *flags, **rest)

    def exclusive(self) -> Group:
        """Arguments under the same title of which only one may be typed."""
        return Group(self._title, self._arguments, self._group.add_mutually_exclusive_group())

    def _add(self, group: _Arguments, *flags: str, **rest: Any) -> None:
        action = group.add_argument(*flags, **rest)
        repeats = rest.get("action") == "append"
        self._arguments.append(Argument(action, self._title, repeats))
