"""The collector's end of the pipe to the session: it never blocks."""

from __future__ import annotations

import json
import os
import select
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from tracetui.protocol import frames

HOP_BOUND = 64 << 20
"""Bytes waiting for the session beyond which hops are dropped and counted: a second of the fastest
flood. The collector goes before the session where they have one core, so that the kernel drops
nothing; then the session takes in what waits here.
"""
RECORDS_FRAME_BYTES = 1 << 18
"""Bytes of records after which their frame ends: the session takes one in at a time."""
HOLD_SECONDS = 0.02
"""Seconds that records wait for others, to wake the session once: no screen is that fast."""
FRAMES_BOUND = HOP_BOUND + (16 << 20)
"""Bytes waiting beyond which nothing is taken in but replies."""
REPLY_BOUND = FRAMES_BOUND + (16 << 20)
"""Bytes waiting beyond which no reply is taken in either: a session that reads nothing asks on."""


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
        self._kind = 0
        self._records: list[bytes] = []
        self._times: list[float] = []
        self._held = 0
        """Bytes of the records that wait for others."""
        self.due = float("inf")
        """Monotonic seconds at which records that wait for others are to be written."""
        os.set_blocking(fd, False)

    @property
    def is_empty(self) -> bool:
        """Whether everything that was to be written was taken."""
        return not self._waiting

    def put_hops(self, kind: int, records: list[bytes], times: list[float]) -> None:
        """Queue records of hops as frames of that kind, or count them as dropped."""
        if self._bytes > HOP_BOUND or self.broken:
            self.dropped += len(records)
            return
        if kind != self._kind or self._held >= RECORDS_FRAME_BYTES:
            self._end_hops()
        if not self._records:
            self._kind, self.due = kind, time.monotonic() + HOLD_SECONDS
        self._records += records
        self._times += times
        self._held += sum(map(len, records))

    def put(self, kind: int, value: Mapping[str, Any]) -> bool:
        """Queue a JSON frame; False if there is no room for it."""
        if self._bytes > (REPLY_BOUND if kind == frames.REPLY else FRAMES_BOUND) or self.broken:
            return False
        self._end_hops()
        self._put(frames.encode_json(kind, time.time(), value))
        return True

    def put_text(self, head: Mapping[str, Any], text: str) -> bool:
        """Queue a text and what it is; False if there is no room for it."""
        payload = json.dumps(head).encode() + b"\n" + text.encode(errors="backslashreplace")
        if self._bytes > FRAMES_BOUND or self.broken or len(payload) > frames.MAX_PAYLOAD:
            return False
        self._end_hops()
        self._put(frames.encode(frames.RULESET, time.time(), payload))
        return True

    def write(self) -> None:
        """Write what is due, as far as the pipe takes it now."""
        if time.monotonic() >= self.due:
            self._end_hops()
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
        self._end_hops()
        end = time.monotonic() + seconds
        while not self.is_empty and not self.broken and time.monotonic() < end:
            self.write()
            select.select([], [self.fd], [], max(0.0, min(0.1, end - time.monotonic())))

    def _end_hops(self) -> None:
        """Make a frame of the records that wait for others."""
        if self._records:
            self._put(frames.encode_records(self._kind, self._records, self._times))
            self._records, self._times, self._held, self.due = [], [], 0, float("inf")

    def _put(self, chunk: bytes) -> None:
        self._waiting.append(memoryview(chunk))
        self._bytes += len(chunk)
