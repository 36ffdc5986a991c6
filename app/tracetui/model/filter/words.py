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
_STRAY = {
    '"': "the quote is not closed",
    "&": "unexpected '&'; write 'and', or compare bytes: tcp[tcpflags] & tcp-syn != 0",
    "|": "unexpected '|'; write 'or'",
}
_NUMBER_BEGINS = re.compile(
    r"\s*(?=len(?:$|[\s<>=!&|+*/%)-])|[a-z0-9]+\s*\[|(?:0x[0-9a-f]+|[0-9]+)\s*(?:[<>=]|!=|&(?!&)))",
    re.IGNORECASE,
)
_NUMBER_PART = re.compile(
    r"\s*([a-z0-9]+\s*\[[^\[\]()]*\]|[a-z0-9][a-z0-9-]*"
    r"|<<|>>|==|!=|<=|>=|&&|\|\||[-=<>+*/%&|()])",
    re.IGNORECASE,
)
_ONE_WORD_FOLLOWS = ("chain", "table", "text", "iface", "in", "out", "mark", "host", "net", "proto")
"""Keywords behind which a word is no number, whatever it looks like."""


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
    is_numeric: bool = False
    """Whether it is of a comparison of numbers, like ``len > 100``."""

    def is_(self, *words: str) -> bool:
        """Whether it is one of these keywords."""
        return not self.quoted and self.text.lower() in words


def words(expression: str) -> Iterator[FilterWord]:
    """The words in order; raises InvalidFilter for a quote that is not closed, or a stray sign."""
    if len(expression) > LONGEST_EXPRESSION:
        raise InvalidFilter(
            "expression", f"at most {LONGEST_EXPRESSION} characters", LONGEST_EXPRESSION
        )
    position, before = 0, None
    while True:
        match = _numeric_word(expression, position, before) or _plain_word(expression, position)
        if match is None:
            return
        before, position = match
        yield before


def _numeric_word(
    expression: str, position: int, before: Optional[FilterWord]
) -> Optional[tuple[FilterWord, int]]:
    """The part of a comparison of numbers that begins there, and its end; None for none."""
    if before is None or not before.is_numeric:
        is_value = before is not None and before.is_(*_ONE_WORD_FOLLOWS)
        if is_value or not _NUMBER_BEGINS.match(expression, position):
            return None
    part = _NUMBER_PART.match(expression, position)
    if part is None or part[1].lower() in ("and", "or", "not", "&&", "||"):
        return None
    return FilterWord(part[1], part.start(1), is_numeric=True), part.end()


def _plain_word(expression: str, position: int) -> Optional[tuple[FilterWord, int]]:
    match = _WORD.match(expression, position)
    if match is None:
        return None
    sign, quoted, plain, stray = match.groups()
    begin, end = match.start(match.lastindex or 0), match.end()
    if stray is not None:
        raise InvalidFilter("expression", _STRAY.get(stray, f"unexpected {stray!r}"), begin)
    if sign is not None:
        return FilterWord(_SIGNS.get(sign, sign), begin), end
    if quoted is not None:
        return FilterWord(re.sub(r"\\(.)", r"\1", quoted), begin - 1, True), end
    return FilterWord(plain, begin), end


def quote(text: str) -> str:
    """A text as one word of an expression, whatever it has in it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
