"""Real input, damaged: what is random from the start never gets past a parser's first check."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence

from hypothesis import settings
from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy], object]

STRANGE = (
    "\0", "\x1b[31m", "\r", "\n", "\t", "\x0b", "\x85", "\u2028", "\u202e", "\ufeff", "²", "\u0661",
    "\udc80", '"', "'", "\\", "[", "]", "(", "{", "}", ":", ";", ",", "=", "%", "/", "#", " ",
    "OPT (", "TRACE: ", "IN=", "-A X ", "COMMIT", "null", "[]", "{}", "true",
)  # fmt: skip
"""Texts that mean something to a terminal, to Python's own readers, or to a parser."""
HUGE = "9" * 5000
"""More digits than int() takes."""
NUMBERS = (
    "0", "-1", "1", "65536", "4294967295", "18446744073709551616", "0x" + "f" * 6000,
    "1e999", "NaN", "²", "\u0661\u0662", "1.5", "08",
)  # fmt: skip
"""Put in place of a number."""
_NUMBER = re.compile(r"[0-9]+")
_PART = re.compile(r"\S+\s*")


def few(percent: int) -> settings:
    """So many examples for each hundred of the profile."""
    return settings(max_examples=max(1, settings.default.max_examples * percent // 100))


@st.composite
def texts(draw: Draw, originals: Sequence[str]) -> str:
    """One of some real texts, damaged up to four times."""
    text = draw(st.sampled_from(originals))
    for damage in draw(st.lists(st.sampled_from(_TEXT_DAMAGES), min_size=1, max_size=4)):
        text = damage(draw, text, originals)
    return text


@st.composite
def binaries(draw: Draw, originals: Sequence[bytes]) -> bytes:
    """One of some real byte strings, damaged up to four times."""
    data = draw(st.sampled_from(originals))
    for damage in draw(st.lists(st.sampled_from(_BYTE_DAMAGES), min_size=1, max_size=4)):
        data = damage(draw, data, originals)
    return data


@st.composite
def datagrams(draw: Draw, originals: Sequence[bytes]) -> bytes:
    """A real netlink message whose attributes were damaged, with lengths that are right again."""
    data = draw(st.sampled_from(originals))
    found = _attributes(data)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(found) - 1))
        kind, value = found[at]
        size = draw(st.sampled_from((0, 1, 2, 3, 4, 5, 8, 9, 16, 40, 2500)))
        other = draw(
            st.binary(max_size=40)
            | st.sampled_from((bytes(size), b"\xff" * size, value[:size], value * 2, b"9" * size))
            | st.sampled_from([value for _, value in found])
            | binaries([value])
            | st.just(re.sub(rb"[0-9]+", b"9" * 5000, value))
        )
        found[at] = (draw(st.integers(0, 24)) if draw(st.booleans()) else kind, other)
        if draw(st.booleans()):
            found.insert(draw(st.integers(0, len(found))), draw(st.sampled_from(found)))
    body = b"".join(_attribute(kind, value) for kind, value in found)
    return struct.pack("=I", 20 + len(body)) + data[4:20] + body


def _span(draw: Draw, length: int) -> tuple[int, int]:
    one, other = draw(st.integers(0, length)), draw(st.integers(0, length))
    return min(one, other), max(one, other)


def _cut(draw: Draw, text: str | bytes, _: object) -> str | bytes:
    return text[: draw(st.integers(0, len(text)))]


def _left_out(draw: Draw, text: str | bytes, _: object) -> str | bytes:
    start, end = _span(draw, len(text))
    return text[:start] + text[end:]


def _doubled(draw: Draw, text: str | bytes, _: object) -> str | bytes:
    start, end = _span(draw, len(text))
    return text[:end] + text[start:]


def _joined(draw: Draw, text: str | bytes, originals: Sequence) -> str | bytes:
    other = draw(st.sampled_from(originals))
    return text[: draw(st.integers(0, len(text)))] + other[draw(st.integers(0, len(other))) :]


def _put_in(draw: Draw, text: str, _: object) -> str:
    at = draw(st.integers(0, len(text)))
    return text[:at] + draw(st.sampled_from(STRANGE) | st.text(max_size=5)) + text[at:]


def _renumbered(draw: Draw, text: str, _: object) -> str:
    return _replaced(draw, text, _NUMBER, draw(st.just(HUGE) | st.sampled_from(NUMBERS)))


def _word_replaced(draw: Draw, text: str, _: object) -> str:
    return _replaced(draw, text, _PART, draw(st.sampled_from(STRANGE) | st.text(max_size=5)))


def _word_repeated(draw: Draw, text: str, _: object) -> str:
    """One of the words comes again, here or elsewhere."""
    words = _PART.findall(text)
    if not words:
        return text
    word, at = draw(st.sampled_from(words)), draw(st.integers(0, len(words)))
    return "".join([*words[:at], word, *words[at:]])


def _replaced(draw: Draw, text: str, pattern: re.Pattern[str], new: str) -> str:
    points = list(pattern.finditer(text))
    if not points:
        return text
    found = draw(st.sampled_from(points))
    return text[: found.start()] + new + text[found.end() :]


def _bytes_changed(draw: Draw, data: bytes, _: object) -> bytes:
    damaged = bytearray(data)
    for at in draw(st.lists(st.integers(0, max(0, len(data) - 1)), max_size=6)):
        damaged[at : at + 1] = bytes([draw(st.integers(0, 255))])
    return bytes(damaged)


def _bytes_put_in(draw: Draw, data: bytes, _: object) -> bytes:
    at = draw(st.integers(0, len(data)))
    return data[:at] + draw(st.binary(max_size=9)) + data[at:]


def _length_changed(draw: Draw, data: bytes, _: object) -> bytes:
    """Two bytes that lengths are made of."""
    at = draw(st.integers(0, max(0, len(data) // 2 - 1))) * 2
    new = draw(st.sampled_from((0, 1, 3, 4, 5, 8, 0x7FFF, 0x8000, 0xFFFF)))
    return data[:at] + struct.pack("=H", new) + data[at + 2 :]


def _attributes(data: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 20
    while at + 4 <= len(data):
        size, kind = struct.unpack_from("=HH", data, at)
        found.append((kind, data[at + 4 : at + size]))
        at += (size + 3) & ~3
    return found


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


_ANY_DAMAGES = (_cut, _left_out, _doubled, _joined)
_TEXT_DAMAGES = (*_ANY_DAMAGES, _put_in, _renumbered, _word_replaced, _word_repeated)
_BYTE_DAMAGES = (*_ANY_DAMAGES, _bytes_changed, _bytes_put_in, _length_changed)
