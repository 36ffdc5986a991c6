"""Lines out of pieces of a text."""

from __future__ import annotations

from collections.abc import Iterator

from tracetui.session.recording import recording_reader

LONGEST_LINE = 64 << 10
"""Bytes; a longer line is cut there and its rest is a line of its own: it is no log."""
LONGEST_RECORD = 64 << 20
"""Bytes of a line of our own record: a ruleset is one line, however many rules it has."""
_HEAD_BYTES = 64
"""First bytes of a line that tell whether it is our record."""


class TextLines:
    """Joins lines that arrive in pieces; holds one line at most."""

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
        """The beginning of the pending line, enough to tell whether it is our record."""
        head = b""
        for part in self._rest:
            head += part[:_HEAD_BYTES]
            if len(head) >= _HEAD_BYTES:
                break
        return head


def _are_short(lines: bytes) -> bool:
    """Whether no line is longer than LONGEST_LINE."""
    begin = 0
    while len(lines) - begin > LONGEST_LINE:
        begin = lines.rfind(b"\n", begin, begin + LONGEST_LINE + 1) + 1
        if begin == 0:
            return False
    return True


def _cut(line: bytes) -> Iterator[bytes]:
    longest = LONGEST_LINE if len(line) <= LONGEST_LINE else _longest(line)
    for at in range(0, len(line) or 1, longest):
        yield line[at : at + longest]


def _longest(line: bytes) -> int:
    return LONGEST_RECORD if _is_ours(line) else LONGEST_LINE


def _is_ours(line: bytes) -> bool:
    return recording_reader.is_ours(line[:_HEAD_BYTES].decode("latin-1"))
