"""The lines of files that are read one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, BinaryIO, Optional

from tracetui.parse.log.line_buffer import LineBuffer
from tracetui.session.replay.file_reader import END, FileReader, size_of
from tracetui.session.replay.text_lines import TextLines

NOTHING: Any = object()
"""In place of a line: what was read is at its end."""


class LogStream:
    """Open files, each with its name; nobody waits for a disk or a pipe longer than they want."""

    def __init__(self, files: Iterable[tuple[str, BinaryIO]], follow: bool = False) -> None:
        """Read ``files``; with ``follow`` the last one is read on as it grows."""
        self._files = list(files)
        self._follow = follow
        self.block = LineBuffer.done()
        """Whole lines that were read and not taken yet."""
        self.name = ""
        """The file that they are of."""
        self.ended = not self._files
        self.is_idle = False
        """Whether there is nothing to read at the moment, but may be later."""
        self._errors: list[str] = []
        self._next = 0
        self._feed: Optional[FileReader] = None
        self._text = TextLines()
        self._lines: Iterator[Optional[bytes]] = iter(())
        self._read_bytes = 0
        self._total_bytes = sum(size for _, file in self._files if (size := size_of(file)))

    @property
    def names(self) -> list[str]:
        """The names of all of them."""
        return [name for name, _ in self._files]

    @property
    def progress(self) -> Optional[float]:
        """The part of the files that was read; None where that is not known, and at the end."""
        if self.ended or not self._total_bytes:
            return None
        here = self._feed.position if self._feed is not None else 0
        return min(1.0, (self._read_bytes + here) / self._total_bytes)

    def read(self, seconds: float) -> bool:
        """Have more lines, waited for at most so long.

        False where there are none yet (``is_idle``), or none any more (``ended``).
        """
        if self._feed is None:
            if self._next == len(self._files):
                self.ended = True
                return False
            self._begin(*self._files[self._next])
        assert self._feed is not None  # noqa: S101 - begun above
        piece = self._feed.take(seconds)
        self.is_idle = piece is None
        if piece is None:
            return False
        if piece == END:
            self._end(self._feed)
        else:
            self._lines = self._text.feed(piece)
        return True

    def next_line(self) -> Any:
        """The next line, None for the end of a file, NOTHING where more has to be read."""
        while self.block.is_done:
            lines = next(self._lines, NOTHING)
            if lines is None or lines is NOTHING:
                return lines
            self.block = LineBuffer(lines.decode(errors="backslashreplace"))
        return self.block.take()

    def take_errors(self) -> list[str]:
        """Why files ended before their ends, since the last call; one sentence each."""
        taken, self._errors = self._errors, []
        return taken

    def close(self) -> None:
        """Close the files and read no more."""
        self.ended = True
        if self._feed is not None:
            self._feed.stop()
        for _, file in self._files:
            file.close()

    def _begin(self, name: str, file: BinaryIO) -> None:
        self._next += 1
        is_last = self._next == len(self._files)
        self._feed = FileReader(name, file, self._follow and is_last)
        self.name, self._text = name, TextLines()

    def _end(self, feed: FileReader) -> None:
        self._lines = chain(self._text.finish(), (None,))
        self._read_bytes += feed.size or 0
        self._feed = None
        if feed.error is not None:
            self._errors.append(feed.error)
