"""The lines of iptables-save (iptables/xshared.c, xtables_save_string).

The value of a long option with any but plain characters stands in quotation marks, and those in
it, apostrophes and backslashes have a backslash before them. A comment can hold line ends. Names of
interfaces are printed as they are, whatever is in them.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Optional

LONGEST_QUOTATION = 1024
"""Characters. A comment has at most 256: in a longer one a quotation mark got lost."""
_QUOTATION_BEGINS = re.compile(r' --(?!physdev-(?:in|out) )[a-z0-9-]+ "')
_QUOTATION_ENDS = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*"')


def whole_lines(printed: Iterable[str]) -> Iterator[Optional[str]]:
    """Each line as it was meant, at the step that ends it; None at the steps before.

    A line with a quotation that is never ended is one by itself, and so are those that follow.
    """
    source, put_back = iter(printed), deque[str]()
    pieces: list[str] = []
    length, is_quoted, is_lost = 0, False, False
    while True:
        line = put_back.popleft() if put_back else next(source, None)
        if line is not None:
            length += len(line) + 1 if pieces else 0
            pieces.append(line)
            if "-A " in pieces[0]:
                is_quoted, is_lost = _quotation_behind(line, is_quoted)
            if is_quoted and not is_lost and length <= LONGEST_QUOTATION:
                yield None
                continue
        elif not pieces:
            return
        if is_quoted or is_lost:
            put_back.extendleft(reversed(pieces[1:]))
            del pieces[1:]
        yield "\n".join(pieces).strip(" \t\r")
        pieces, length, is_quoted, is_lost = [], 0, False, False


def _quotation_behind(line: str, is_quoted: bool) -> tuple[bool, bool]:
    """Whether a quotation is open behind a line; whether its end is in a word, so that it is lost.

    ``is_quoted`` is whether one is open before it.
    """
    position = 0
    while line.find('"', position) >= 0:
        quote = (_QUOTATION_ENDS.match if is_quoted else _QUOTATION_BEGINS.search)(line, position)
        if quote is None:
            break
        position = quote.end()
        if is_quoted and line[position : position + 1].strip():
            return True, True
        is_quoted = not is_quoted
    return is_quoted, False
