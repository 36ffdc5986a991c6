"""A file that is read in a thread of its own: nobody waits for a pipe, a disk or an unpacker."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import queue
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Optional

from tracetui.errors import Failure
from tracetui.session.replay.compressed import damage, plain

PIECE_BYTES = 1 << 18
READ_AHEAD_PIECES = 16
"""Read ahead: with PIECE_BYTES, 4 MiB."""
GROWTH_CHECK_SECONDS = 0.2
"""Seconds between two checks whether a followed file has grown."""
END = b""


class FileReader:
    """Pieces of one file's text, in order; follows it as ``tail -F`` does if asked to."""

    def __init__(self, name: str, file: BinaryIO, follow: bool = False) -> None:
        """Begin to read ``file``, which is called ``name``; only a plain file can be followed."""
        self.name = name
        self.size = size_of(file)
        """Bytes on the disk; None for what is no file there."""
        self.position = 0
        """Bytes read so far."""
        self.error: Optional[str] = None
        """Sentence that says why reading ended early."""
        self._file = file
        self._follow = follow and self.size is not None
        self._stopped = threading.Event()
        self._pieces: queue.Queue[bytes] = queue.Queue(READ_AHEAD_PIECES)
        threading.Thread(target=self._run, name=f"feed {name}", daemon=True).start()

    def take(self, seconds: float = 0.0) -> Optional[bytes]:
        """Return the next piece, END at the end, or None if none comes within ``seconds``."""
        try:
            return self._pieces.get(timeout=seconds) if seconds else self._pieces.get_nowait()
        except queue.Empty:
            return None

    def stop(self) -> None:
        """Read no more."""
        self._stopped.set()
        with contextlib.suppress(queue.Empty):
            while True:
                self._pieces.get_nowait()

    def _run(self) -> None:
        first_file = self._file
        try:
            while self._read(plain(self._file)):
                pass
        except Failure as error:
            self.error = f"{self.name} {error}"
        # Unpackers raise errors of their own modules, which this Python may not even have.
        except Exception as error:
            self.error = f"{self.name}: {damage(error)}"
        self._put(END)
        if self._file is not first_file:
            self._file.close()

    def _read(self, text: BinaryIO) -> bool:
        """Read a text to its end; True if another one begins there."""
        read = getattr(text, "read1", text.read)
        file = self._file
        is_followed = self._follow and isinstance(text, io.BufferedReader)
        decode: Optional[Callable[[bytes], bytes]] = None
        while not self._stopped.is_set():
            piece = read(PIECE_BYTES)
            self._note_position()
            if piece:
                decode = decode or _decoder(piece)
                # A character can be cut between two pieces.
                self._put_text(decode(piece))
            elif not (is_followed and self._wait_for_more()):
                return False
            elif self.position == 0 or self._file is not file:
                return True
        return False

    def _put_text(self, piece: bytes) -> None:
        """Hand on a piece; an empty one would be the end."""
        if piece:
            self._put(piece)

    def _put(self, piece: bytes) -> None:
        while not self._stopped.is_set():
            with contextlib.suppress(queue.Full):
                self._pieces.put(piece, timeout=GROWTH_CHECK_SECONDS)
                return

    def _note_position(self) -> None:
        if self.size is not None:
            with contextlib.suppress(OSError, ValueError):
                self.position = self._file.tell()

    def _wait_for_more(self) -> bool:
        """Wait until the file has grown, was cut, or another one has its name; False when told."""
        while not self._stopped.wait(GROWTH_CHECK_SECONDS):
            size = size_of(self._file) or 0
            if size > self.position:
                self.size = size
                return True
            if size < self.position:
                # Cut by whoever writes it, as logrotate's copytruncate does.
                self._begin_again(self._file)
                return True
            newer = self._newer()
            if newer is not None:
                self._begin_again(newer)
                return True
        return False

    def _begin_again(self, file: BinaryIO) -> None:
        self._file = file
        file.seek(0)
        self.position, self.size = 0, size_of(file)

    def _newer(self) -> Optional[BinaryIO]:
        """The file that has the name now, if it is another one; raises Failure if it is shut."""
        try:
            own, named = os.fstat(self._file.fileno()), Path(self.name).stat()
            if (own.st_dev, own.st_ino) != (named.st_dev, named.st_ino):
                return Path(self.name).open("rb")
        except PermissionError:
            # Root is given up once the first file is open.
            raise Failure("was replaced by a file that this user may not read") from None
        except (OSError, ValueError):
            # Between two files of a rotation there is none.
            return None
        return None


def size_of(file: BinaryIO) -> Optional[int]:
    """The bytes of a file on the disk; None for a pipe, and for what is no file at all."""
    try:
        status = os.fstat(file.fileno())
    except (OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _decoder(beginning: bytes) -> Callable[[bytes], bytes]:
    """Makes UTF-8 of a text's pieces: of UTF-16 that says what it is, as PowerShell writes it."""
    if not beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return bytes
    decoder = codecs.getincrementaldecoder("utf-16")("replace")
    return lambda piece: decoder.decode(piece).encode("utf-8", "replace")
