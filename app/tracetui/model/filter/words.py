"""The words of a filter expression, each with its position in the text typed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, Optional

from tracetui.errors import UsageError

LONGEST_EXPRESSION = 2000
"""Characters of an expression."""
_WORD = re.compile(r'\s*(?:(&&|\|\||[()!])|"((?:[^"\\]|\\.)*)"|([^\s()!"&|]+)|(\S))')
_SIGNS = {"&&": "and", "||": "or", "!": "not"}


class InvalidFilter(UsageError):
    """A filter that can't be meant."""

    def __init__(self, field: str, reason: str, position: Optional[int] = None) -> None:
        self.field = field
        """``src``, ``dst``, ``port``, ``proto`` or ``expression``."""
        self.reason = reason
        self.position = position
        """The character of the expression where it went wrong."""
        super().__init__(f"{field}: {reason}")


class FilterWord(NamedTuple):
    """One word, or a sign between words."""

    text: str
    """``and``, ``or`` and ``not`` also for the signs that mean them."""
    position: int
    quoted: bool = False
    """Whether it was in quotes: then it is no keyword."""

    def is_(self, *words: str) -> bool:
        """Whether it is one of these keywords."""
        return not self.quoted and self.text.lower() in words


def words(expression: str) -> Iterator[FilterWord]:
    """The words in order; raises InvalidFilter for a quote that is not closed, or a stray sign."""
    if len(expression) > LONGEST_EXPRESSION:
        raise InvalidFilter(
            "expression", f"at most {LONGEST_EXPRESSION} characters", LONGEST_EXPRESSION
        )
    position = 0
    while match := _WORD.match(expression, position):
        sign, quoted, plain, stray = match.groups()
        begin = match.start(match.lastindex or 0)
        if stray is not None:
            why = "the quote is not closed" if stray == '"' else f"{stray!r} has no meaning here"
            raise InvalidFilter("expression", why, begin)
        if sign is not None:
            yield FilterWord(_SIGNS.get(sign, sign), begin)
        elif quoted is not None:
            yield FilterWord(re.sub(r"\\(.)", r"\1", quoted), begin - 1, True)
        else:
            yield FilterWord(plain, begin)
        position = match.end()


def quote(text: str) -> str:
    """A text as one word of an expression, whatever it has in it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
