"""The collector's end of the pipe to the session: it never blocks."""

from __future__ import annotations

import json
import os
import select
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from tracetui.collector import frames

HOP_BOUND = 16 << 20
"""Bytes waiting for the session beyond which hops are dropped and counted."""
BOUND = 2 * HOP_BOUND
"""Bytes waiting beyond which nothing is taken in."""


class Outbox:
    """Frames on their way out of a file descriptor that may be full for any length of time."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.dropped = 0
        """Hops thrown away because the session did not take them in time."""
        self.broken = False
        """Whether nobody reads the other end any more."""
        self._waiting: deque[memoryview] = deque()
        self._bytes = 0
        os.set_blocking(fd, False)

    @property
    def is_empty(self) -> bool:
        """Whether everything was taken."""
        return not self._waiting

    def put_hops(self, hops: int, frame: bytes) -> None:
        """Queue a frame of so many hops, or count them as dropped."""
        if self._bytes > HOP_BOUND or self.broken:
            self.dropped += hops
            return
        self._put(frame)

    def put(self, kind: int, value: Mapping[str, Any]) -> bool:
        """Queue a JSON frame; False if there is no room for it."""
        if self._bytes > BOUND or self.broken:
            return False
        self._put(frames.encode_json(kind, time.time(), value))
        return True

    def put_text(self, head: Mapping[str, Any], text: str) -> bool:
        """Queue a text and what it is; False if there is no room for it."""
        payload = json.dumps(head).encode() + b"\n" + text.encode(errors="backslashreplace")
        if self._bytes > BOUND or self.broken or len(payload) > frames.MAX_PAYLOAD:
            return False
        self._put(frames.encode(frames.RULESET, time.time(), payload))
        return True

    def write(self) -> None:
        """Write what the pipe takes now."""
        while self._waiting and not self.broken:
            chunk = self._waiting[0]
            try:
                written = os.write(self.fd, chunk)
            except BlockingIOError:
                return
            except OSError:
                self.broken = True
                self._waiting.clear()
                return
            self._bytes -= written
            if written == len(chunk):
                self._waiting.popleft()
            else:
                self._waiting[0] = chunk[written:]

    def farewell(self, seconds: float) -> None:
        """Write what is left, for at most so long."""
        end = time.monotonic() + seconds
        while not self.is_empty and not self.broken and time.monotonic() < end:
            self.write()
            select.select([], [self.fd], [], max(0.0, min(0.1, end - time.monotonic())))

    def _put(self, chunk: bytes) -> None:
        self._waiting.append(memoryview(chunk))
        self._bytes += len(chunk)
