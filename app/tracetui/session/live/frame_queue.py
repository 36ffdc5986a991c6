"""Frames as a thread reads them from the collector's pipe, until the session takes them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections import deque
from typing import Optional

from tracetui.errors import Failure
from tracetui.protocol import frames
from tracetui.protocol.frames import Frame, FrameReader

CHUNK = 1 << 20
"""Bytes asked for in one read."""
BACKLOG = 256 << 20
"""Bytes that wait for the session at most, about a million hops; beyond, the pipe fills and the
collector counts what it can't send. The guard ends a flood long before, unless it is told not to.
"""
URGENT_BACKLOG = 64 << 20
"""Bytes of frames that go before others, likewise."""
FRAME_OVERHEAD_BYTES = 256
"""Cost of a frame beside its payload."""
_F_SETPIPE_SZ = 1031
"""fcntl(2); the module has a name for it since Python 3.10."""
_URGENT = frozenset(
    (
        frames.HELLO,
        frames.STATUS,
        frames.RULES,
        frames.NOTICE,
        frames.NODE,
        frames.REPLY,
        frames.BYE,
    )
)
"""Frames that need not wait behind hops: a trip is known at once, whatever there is to take in."""


class FrameQueue:
    """Frames of one pipe, urgent ones first; bounded, whatever comes."""

    def __init__(self, fd: int) -> None:
        """Begin to read; raises RuntimeError where no thread can be started."""
        self.fault = ""
        """The reason why an open pipe is not read; empty while it is read, and at its end."""
        self.heard = time.monotonic()
        """The time at which something came last, in monotonic seconds."""
        self._fd = fd
        self._frames: deque[Frame] = deque()
        self._urgent: deque[Frame] = deque()
        self._room = threading.Condition()
        self._held = {False: 0, True: 0}
        """Bytes of the frames that wait, of others and of urgent ones."""
        self._is_abandoned = False
        self._reader = threading.Thread(target=self._read, name="frames", daemon=True)
        self._reader.start()

    @property
    def is_over(self) -> bool:
        """Whether nothing more is read, and all that was is taken."""
        if self._frames or self._urgent:
            return False
        return bool(self.fault) or not self._reader.is_alive()

    def take(self) -> Optional[Frame]:
        """The next frame; None where there is none."""
        if not (self._urgent or self._frames):
            return None
        with self._room:
            frame = self._urgent.popleft() if self._urgent else self._frames.popleft()
            self._held[frame.kind in _URGENT] -= FRAME_OVERHEAD_BYTES + len(frame.payload)
            self._room.notify()
        return frame

    def has_hello(self) -> bool:
        """Whether the collector told who it is, in a frame that waits."""
        return any(frame.kind == frames.HELLO for frame in tuple(self._urgent))

    def refuse(self, why: str) -> None:
        """Believe nothing any more that comes, for this reason."""
        self.fault = self.fault or why
        self.abandon()

    def abandon(self) -> None:
        """Take nothing any more: what still comes is read and thrown away."""
        with self._room:
            self._is_abandoned = True
            self._frames.clear()
            self._urgent.clear()
            self._room.notify()

    def join(self, seconds: float) -> bool:
        """Wait for the end of the pipe, for so long at most; whether it came."""
        self._reader.join(seconds)
        return not self._reader.is_alive()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            # The threads of this process have their turns milliseconds apart.
            fcntl.fcntl(self._fd, _F_SETPIPE_SZ, CHUNK)
        try:
            self._cut(FrameReader())
        except Failure as error:
            self.fault = self.fault or str(error)
        except MemoryError:
            self.fault = "there is not enough memory for what the collector sends"
        with contextlib.suppress(OSError, MemoryError):
            # The collector is not to wait for us: it has to clean up.
            while os.read(self._fd, CHUNK):
                pass

    def _cut(self, reader: FrameReader) -> None:
        """Read to the end of the pipe; raises Failure for what is no frame."""
        with contextlib.suppress(OSError):
            while data := os.read(self._fd, CHUNK):
                self.heard = time.monotonic()
                for frame in reader.feed(data):
                    self._put(frame)

    def _put(self, frame: Frame) -> None:
        is_urgent = frame.kind in _URGENT
        most = URGENT_BACKLOG if is_urgent else BACKLOG
        with self._room:
            self._room.wait_for(lambda: self._held[is_urgent] < most or self._is_abandoned)
            if self._is_abandoned:
                return
            self._held[is_urgent] += FRAME_OVERHEAD_BYTES + len(frame.payload)
            (self._urgent if is_urgent else self._frames).append(frame)
