"""The lines of iptables-save: a comment can hold line ends (iptables/xshared.c).

A value with any but plain characters stands in quotation marks; those in it, apostrophes and
backslashes have a backslash before them.
"""

from __future__ import annotations

import re
import shlex
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Optional

LONGEST_QUOTATION = 4096
"""Characters. A comment has at most 256: in a longer one a quotation mark got lost."""
LOST = '"'
"""Stands for a line with such a mark; what follows it is read as if it was not there."""
_ESCAPED_OR_QUOTE = re.compile(r'\\.|"')


def whole_lines(printed: Iterable[str]) -> Iterator[Optional[str]]:
    """Each line as it was meant, at the step that ends it, or LOST; None at the steps before."""
    source, again = iter(printed), deque[str]()
    pieces: list[str] = []
    length, is_quoted = 0, False
    while True:
        line = again.popleft() if again else next(source, None)
        if line is not None:
            length += len(line) + 1 if pieces else 0
            pieces.append(line)
            if "-A " in pieces[0]:
                is_quoted ^= _has_odd_quotes(line)
            if is_quoted and length <= LONGEST_QUOTATION:
                yield None
                continue
        elif not pieces:
            return
        if is_quoted:
            again.extendleft(reversed(pieces[1:]))
        yield LOST if is_quoted else "\n".join(pieces).strip(" \t\r")
        pieces, length, is_quoted = [], 0, False


def words(rule: str) -> Optional[list[str]]:
    """The words of a rule as a command takes them; None for a rule that is not whole."""
    try:
        # A shell leaves the backslash before an apostrophe where it is.
        return [word.replace("\\'", "'") for word in shlex.split(rule)]
    except ValueError:
        return None


def _has_odd_quotes(line: str) -> bool:
    if '"' not in line:
        return False
    return sum(found[0] == '"' for found in _ESCAPED_OR_QUOTE.finditer(line)) % 2 == 1
