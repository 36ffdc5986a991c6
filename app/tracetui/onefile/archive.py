"""The one file in memory: what is in it is there also when the file can't be read any more."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_END = struct.Struct("<4s4H2LH")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_FILE = struct.Struct("<4s5H3L2H")
_END_MARK, _ENTRY_MARK = b"PK\5\6", b"PK\1\2"
"""The records of zip (APPNOTE.TXT 4.3.16, 4.3.12, 4.3.7) and what they begin with."""
_STORED, _DEFLATED = 0, 8
"""The ways to keep a file that zipimport knows (APPNOTE.TXT 4.4.5)."""


class ArchivedFile(NamedTuple):
    """A file in the archive."""

    crc: int
    """CRC-32 of its contents."""
    method: int
    size: int
    """Bytes it takes in the archive."""
    offset: int
    """Of its record."""


class Archive(Mapping[str, bytes]):
    """The files of a zip archive without a comment, by their paths: ``/x/tracetui.pyz/a/b.py``."""

    def __init__(self, path: str) -> None:
        """Read an archive; raises OSError, and ValueError for one that is damaged."""
        self.path = path
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib would take longer to import
            self._data = file.read()
        self._files = dict(self._listed())

    def __getitem__(self, path: str) -> bytes:
        """The contents of a file; raises KeyError, and ImportError for a damaged one."""
        file = self._files[path]
        _, *_, name_size, extra_size = _FILE.unpack_from(self._data, file.offset)
        start = file.offset + _FILE.size + name_size + extra_size
        data = self._data[start : start + file.size]
        try:
            if file.method == _DEFLATED:
                data = zlib.decompress(data, -zlib.MAX_WBITS)
        except zlib.error:
            data = b""
        if zlib.crc32(data) != file.crc:
            raise ImportError(f"{path} is damaged")
        return data

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def crc(self, path: str) -> int:
        """The CRC-32 of a file's contents, as the archive has it; raises KeyError."""
        return self._files[path].crc

    def _listed(self) -> Iterator[tuple[str, ArchivedFile]]:
        end = len(self._data) - _END.size
        if end < 0 or not self._data.startswith(_END_MARK, end):
            raise ValueError("it has no end")
        *_, count, size, offset, _ = _END.unpack_from(self._data, end)
        position = end - size
        # Python's own reader takes an archive with something before it, too.
        before = position - offset
        for _ in range(count):
            mark, *_, method, _, _, crc, kept, _, name, extra, comment, _, _, _, offset = (
                _ENTRY.unpack_from(self._data, position)
            )
            if mark != _ENTRY_MARK or method not in (_STORED, _DEFLATED):
                raise ValueError("its list is damaged")
            position += _ENTRY.size
            called = self._data[position : position + name].decode()
            yield f"{self.path}/{called}", ArchivedFile(crc, method, kept, before + offset)
            position += name + extra + comment
