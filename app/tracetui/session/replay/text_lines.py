"""Lines out of pieces of a text."""

from __future__ import annotations

from collections.abc import Iterator

from tracetui.session.recording import recording

LONGEST_LINE = 64 << 10
"""Bytes; a longer line is cut there and its rest is a line of its own: it is no log."""
LONGEST_RECORD = 64 << 20
"""Bytes of a line of our own record: a ruleset is one line, however many rules it has."""
_TELLING = 64
"""Bytes at the beginning of a line that tell whether it is one of ours."""


class TextLines:
    """Puts lines together that came in pieces; it holds no more than one line."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The lines that end in a piece, and what of the last one is too long already.

        Those with newlines between them are several.
        """
        end = piece.rfind(b"\n")
        if end < 0:
            yield from self._keep(piece)
            return
        whole = b"".join((*self._rest, piece[:end]))
        self._rest, self._size = [], 0
        if _are_short(whole):
            yield whole
        else:
            for line in whole.split(b"\n"):
                yield from _cut(line)
        yield from self._keep(piece[end + 1 :])

    def finish(self) -> Iterator[bytes]:
        """The last line, where no newline ends it."""
        line = b"".join(self._rest)
        self._rest, self._size = [], 0
        if line:
            yield from _cut(line)

    def _keep(self, part: bytes) -> Iterator[bytes]:
        if part:
            self._rest.append(part)
            self._size += len(part)
        if self._size <= LONGEST_LINE or self._size <= _longest(self._head()):
            return
        line = b"".join(self._rest)
        longest = _longest(line)
        whole = len(line) // longest * longest
        for at in range(0, whole, longest):
            yield line[at : at + longest]
        self._rest, self._size = [line[whole:]], len(line) - whole

    def _head(self) -> bytes:
        """What the line begins with, as far as it tells whose it is."""
        head = b""
        for part in self._rest:
            head += part[:_TELLING]
            if len(head) >= _TELLING:
                break
        return head


def _are_short(lines: bytes) -> bool:
    """Whether no line is longer than LONGEST_LINE."""
    at = 0
    while len(lines) - at > LONGEST_LINE:
        at = lines.rfind(b"\n", at, at + LONGEST_LINE + 1) + 1
        if at == 0:
            return False
    return True


def _cut(line: bytes) -> Iterator[bytes]:
    longest = LONGEST_LINE if len(line) <= LONGEST_LINE else _longest(line)
    for at in range(0, len(line) or 1, longest):
        yield line[at : at + longest]


def _longest(line: bytes) -> int:
    return LONGEST_RECORD if _is_ours(line) else LONGEST_LINE


def _is_ours(line: bytes) -> bool:
    return recording.is_ours(line[:_TELLING].decode("latin-1"))
