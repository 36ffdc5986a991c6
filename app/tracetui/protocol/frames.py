"""Frames: the collector's messages to the session, on the pipe upwards.

A frame is 13 bytes (payload length, kind, seconds since the epoch) and its payload: raw records of
one source, a JSON object, or a text with one before it. Objects are events (``protocol.events``) or
replies to commands (``protocol.replies``).
"""

from __future__ import annotations

import json
import struct
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tracetui.errors import Failure
from tracetui.model.trace.hop import END_OF_CALENDAR

NFLOG_RECORDS, NFTRACE_RECORDS, KMSG_RECORDS = 1, 2, 3
"""Payload: datagrams of the source, or /dev/kmsg records: see :func:`encode_records`."""
HELLO, STATUS, RULES, NOTICE, LINKS, NODE, BYE = 16, 17, 18, 19, 20, 21, 22
READING, CHAIN, REPLY = 24, 25, 26
"""Payload: a JSON object."""
RULESET = 23
"""Payload: a JSON object that says what it is, a line end, and a text."""

MAX_PAYLOAD = 16 << 20
"""Bytes; a longer one means that the stream is not ours."""

_FRAME_HEAD = struct.Struct("<IBd")
_BROKEN_STREAM = "the collector's stream is broken"
_RECORD_COUNT = struct.Struct("<I")
_TIME_SIZE, _LENGTH_SIZE = 8, 4


class Frame(NamedTuple):
    """A message from the collector."""

    kind: int
    time: float
    """Seconds since the epoch at which the payload reached the collector; of records the last."""
    payload: bytes

    @property
    def record_count(self) -> int:
        """The number of records of a NFLOG, NFTRACE or KMSG frame; raises Failure."""
        if len(self.payload) < _RECORD_COUNT.size:
            raise Failure(_BROKEN_STREAM)
        (count,) = _RECORD_COUNT.unpack_from(self.payload)
        return int(count)

    def records(self) -> Iterator[tuple[bytes, float]]:
        """Yield each record of such a frame with its time; raises Failure."""
        payload, count = self.payload, self.record_count
        lengths_at = _RECORD_COUNT.size + count * _TIME_SIZE
        at = lengths_at + count * _LENGTH_SIZE
        if at > len(payload):
            raise Failure(_BROKEN_STREAM)
        times, lengths = array("d"), array("I")
        times.frombytes(payload[_RECORD_COUNT.size : lengths_at])
        lengths.frombytes(payload[lengths_at:at])
        if at + sum(lengths) != len(payload) or not all(
            0 <= time < END_OF_CALENDAR for time in times
        ):
            raise Failure(_BROKEN_STREAM)
        for time, length in zip(times, lengths):
            yield payload[at : at + length], time
            at += length

    def json(self) -> dict[str, Any]:
        """Read the payload as the object it holds; raises Failure if it holds none."""
        return _object(self.payload)

    def text(self) -> tuple[dict[str, Any], str]:
        """Read the object and the text of a RULESET frame; raises Failure."""
        head, _, text = self.payload.partition(b"\n")
        return _object(head), text.decode(errors="backslashreplace")


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Failure("the collector sent something that is not an object")
    return value


def encode(kind: int, time: float, payload: bytes) -> bytes:
    """Encode a frame."""
    return _FRAME_HEAD.pack(len(payload), kind, time) + payload


def encode_records(kind: int, records: Sequence[bytes], times: Sequence[float]) -> bytes:
    """Encode records, at least one, as a frame: number, times and lengths go before them."""
    lengths = array("I", map(len, records))
    head = _RECORD_COUNT.pack(len(records)) + array("d", times).tobytes() + lengths.tobytes()
    return encode(kind, times[-1], head + b"".join(records))


def encode_json(kind: int, time: float, value: Mapping[str, Any]) -> bytes:
    """Encode a frame whose payload is a JSON object."""
    return encode(kind, time, json.dumps(value, separators=(",", ":")).encode())


class FrameReader:
    """Cuts a byte stream into frames."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._missing = _FRAME_HEAD.size
        """Bytes without which no frame is whole."""

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that ``data`` completes; raises Failure if the stream is not ours."""
        self._pieces.append(data)
        self._missing -= len(data)
        if self._missing > 0:
            # A long frame comes in many pieces, which are put together once.
            return []
        buffer = b"".join(self._pieces) if len(self._pieces) > 1 else data
        frames: list[Frame] = []
        at, end, whole = 0, len(buffer), _FRAME_HEAD.size
        while end - at >= _FRAME_HEAD.size:
            length, kind, time = _FRAME_HEAD.unpack_from(buffer, at)
            if length > MAX_PAYLOAD or not 0 <= time < END_OF_CALENDAR:
                raise Failure(_BROKEN_STREAM)
            start = at + _FRAME_HEAD.size
            if end - start < length:
                whole += length
                break
            frames.append(Frame(kind, time, buffer[start : start + length]))
            at = start + length
        self._pieces = [buffer[at:]] if at < end else []
        self._missing = whole - (end - at)
        return frames
