"""The lines of files that are read one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, BinaryIO, Optional

from tracetui.parse.log.line_buffer import LineBuffer
from tracetui.session.replay.file_reader import END, FileReader, size_of
from tracetui.session.replay.text_lines import TextLines

NEED_MORE: Any = object()
"""Returned in place of a line: :meth:`LogStream.read` must be called first."""


class LogStream:
    """Lines of open files, read without blocking for longer than the caller allows."""

    def __init__(self, files: Iterable[tuple[str, BinaryIO]], follow: bool = False) -> None:
        """Read ``files``; with ``follow`` the last one is read on as it grows."""
        self._files = list(files)
        self._follow = follow
        self.block = LineBuffer.done()
        """Lines read and not taken yet."""
        self.name = ""
        """Name of the file they come from."""
        self.ended = not self._files
        self.is_idle = False
        """Whether nothing can be read now, but may be later."""
        self._errors: list[str] = []
        self._next = 0
        self._reader: Optional[FileReader] = None
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
        position = self._reader.position if self._reader is not None else 0
        return min(1.0, (self._read_bytes + position) / self._total_bytes)

    def read(self, seconds: float) -> bool:
        """Read more lines, waiting for at most ``seconds``.

        False where there are none yet (``is_idle``), or none any more (``ended``).
        """
        if self._reader is None:
            if self._next == len(self._files):
                self.ended = True
                return False
            self._begin(*self._files[self._next])
        assert self._reader is not None  # noqa: S101 - begun above
        piece = self._reader.take(seconds)
        self.is_idle = piece is None
        if piece is None:
            return False
        if piece == END:
            self._end(self._reader)
        else:
            self._lines = self._text.feed(piece)
        return True

    def next_line(self) -> Any:
        """Return the next line, None at the end of a file, NEED_MORE if more must be read first."""
        while self.block.is_done:
            lines = next(self._lines, NEED_MORE)
            if lines is None or lines is NEED_MORE:
                return lines
            self.block = LineBuffer(lines.decode(errors="backslashreplace"))
        return self.block.take()

    def take_errors(self) -> list[str]:
        """Errors that ended files early, since the last call; one sentence each."""
        errors, self._errors = self._errors, []
        return errors

    def close(self) -> None:
        """Close the files and read no more."""
        self.ended = True
        if self._reader is not None:
            self._reader.stop()
        for _, file in self._files:
            file.close()

    def _begin(self, name: str, file: BinaryIO) -> None:
        self._next += 1
        is_last = self._next == len(self._files)
        self._reader = FileReader(name, file, self._follow and is_last)
        self.name, self._text = name, TextLines()

    def _end(self, reader: FileReader) -> None:
        self._lines = chain(self._text.finish(), (None,))
        self._read_bytes += reader.size or 0
        self._reader = None
        if reader.error is not None:
            self._errors.append(reader.error)
