"""Compressed files, recognised by their first bytes and never by their names."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable
from typing import Any, BinaryIO, cast

from tracetui.errors import Failure

MAGIC = {
    b"\x1f\x8b": "gzip",
    b"\xfd7zXZ\x00": "xz",
    b"BZh": "bzip2",
    b"\x28\xb5\x2f\xfd": "zstd",
}
"""RFC 1952; xz-file-format 2.1.1.1; bzip2's own; RFC 8878, 3.1.1."""
_LONGEST_MAGIC = max(map(len, MAGIC))
_UNPACKERS = {"gzip": "zcat", "xz": "xzcat", "bzip2": "bzcat", "zstd": "zstdcat"}
_BZIP2_LEVELS = b"123456789"
"""The levels of bzip2: the character behind its magic."""


def plain(file: BinaryIO) -> BinaryIO:
    """The text of a file: unpacked where it is packed, else as it is.

    Waits for the first bytes. Raises Failure where this Python can't unpack it; what comes
    later of a damaged file raises as the unpacker does.
    """
    head = b""
    while len(head) < _LONGEST_MAGIC and (more := file.read(_LONGEST_MAGIC - len(head))):
        head += more
    whole = cast(BinaryIO, io.BufferedReader(_PrefixedStream(head, file), 1 << 18))
    packing = _kind(head)
    return whole if packing is None else _opener(packing)(whole)


def damage(error: Exception) -> str:
    """Describe why a file could not be read to its end."""
    if isinstance(error, EOFError):
        return "it ends in the middle of its compressed data"
    return (error.strerror if isinstance(error, OSError) else None) or f"damaged: {error}"


def _kind(head: bytes) -> str | None:
    for magic, kind in MAGIC.items():
        is_level = kind != "bzip2" or head[3:4] in (b"", *(bytes([x]) for x in _BZIP2_LEVELS))
        if head.startswith(magic) and is_level:
            return kind
    return None


def _opener(kind: str) -> Callable[[BinaryIO], BinaryIO]:
    if kind == "zstd":
        return _zstd()
    module, name = {
        "gzip": ("gzip", "GzipFile"), "xz": ("lzma", "LZMAFile"), "bzip2": ("bz2", "BZ2File"),
    }[kind]  # fmt: skip
    unpacker = _imported(module, kind)
    if kind == "gzip":
        return lambda file: cast(BinaryIO, unpacker.GzipFile(fileobj=file, mode="rb"))
    return lambda file: cast(BinaryIO, getattr(unpacker, name)(file))


def _zstd() -> Callable[[BinaryIO], BinaryIO]:
    """Python's own since 3.14, or one of two packages that a node may have."""
    for module in ("compression.zstd", "pyzstd", "zstandard"):
        try:
            unpacker: Any = importlib.import_module(module)
        except ImportError:
            continue
        if module == "zstandard":
            return lambda file: cast(BinaryIO, unpacker.ZstdDecompressor().stream_reader(file))
        return lambda file: cast(BinaryIO, unpacker.ZstdFile(file))
    raise _missing_unpacker("zstd")


def _imported(module: str, kind: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise _missing_unpacker(kind) from None


def _missing_unpacker(kind: str) -> Failure:
    return Failure(
        f"is compressed with {kind}, which this Python can't decompress; "
        f"`{_UNPACKERS[kind]} FILE | tracetui replay -` can"
    )


class _PrefixedStream(io.RawIOBase):
    """A stream whose first bytes were read already and come again."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        if self._head:
            part, self._head = self._head[: len(view)], self._head[len(view) :]
        else:
            read = getattr(self._rest, "read1", self._rest.read)
            part = read(len(view)) or b""
        view[: len(part)] = part
        return len(part)
