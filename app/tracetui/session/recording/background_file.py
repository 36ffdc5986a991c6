"""A file that is opened, written and closed in a thread: a screen waits for no disk and no reader.

What is written comes from the screen's own thread, piece by piece: packets and their explanations
belong to that one.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import Optional

from tracetui.errors import Failure
from tracetui.session.recording import output

QUEUED_PIECES = 64
"""Pieces queued at most."""


class BackgroundFile:
    """A file from opening to end; no method blocks."""

    def __init__(self, name: str, overwrite: bool = False) -> None:
        """Begin to open it as :func:`output.opened` does; raises Failure without a thread."""
        self.name = name
        self.is_open = False
        """Whether the file was opened."""
        self.error: Optional[Failure] = None
        """Error that kept it from being opened or written to the end."""
        self.moved = time.monotonic()
        """Time of the last write, in monotonic seconds."""
        self._overwrite = overwrite
        self._pieces: queue.Queue[Optional[str]] = queue.Queue(QUEUED_PIECES)
        self._thread = threading.Thread(target=self._run, name=f"writes {name}", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            raise Failure(f"{name}: no more threads can be started here (ulimit -u)") from None

    @property
    def is_over(self) -> bool:
        """Whether it is closed, or could not be written."""
        return not self._thread.is_alive()

    def put(self, piece: Optional[str]) -> bool:
        """Have a piece written, None for the end; False where there is no room for it yet."""
        try:
            self._pieces.put_nowait(piece)
        except queue.Full:
            return False
        return True

    def _run(self) -> None:
        try:
            with output.opened(self.name, self._overwrite) as stream:
                self.is_open = True
                while (piece := self._pieces.get()) is not None:
                    stream.write(piece)
                    self.moved = time.monotonic()
        except Failure as error:
            self.error = error
        except OSError as error:
            self.error = Failure(f"{self.name}: {error.strerror}")
