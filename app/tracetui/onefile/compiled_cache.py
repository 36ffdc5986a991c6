"""Compiled modules of the one file, kept for the next start in the home of the user it runs as.

Whoever can write there can have this user run anything, so nobody else may: the home is that of
the password database, whatever the environment says, no link is followed below it, and what belongs
to somebody else, or is open to others, is left alone.
"""

from __future__ import annotations

import fcntl
import marshal
import os
import pwd
import stat
import sys
import zlib
from contextlib import suppress
from importlib.util import MAGIC_NUMBER
from types import CodeType
from typing import Optional

FOLDERS = (".cache", "tracetui")
MOST_ENTRIES = 2000
"""Those of about five versions; when there are more, all of them are removed."""
_CRC_BYTES = 4
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_FIRST_FREE = 3
"""The descriptor behind standard input, output and error."""
_OPEN_FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC
_PYTHON = f"{MAGIC_NUMBER.hex()}{sys.flags.optimize}"
"""The interpreter and how it optimises: what code depends on beside its source."""


class CompiledCache:
    """The compiled modules of one user, each in a file: its CRC-32, then what marshal makes."""

    def __init__(self, uid: int) -> None:
        """Open the directory, made if need be; raises OSError, and KeyError for an unknown user."""
        self._uid = uid
        self._directory = _opened(pwd.getpwuid(uid).pw_dir, uid)
        self._is_written = not sys.dont_write_bytecode
        self._is_counted = False

    def close(self) -> None:
        """Neither load nor keep anything any more."""
        os.close(self._directory)
        self._directory, self._is_written = -1, False

    def load(self, module: str, crc: int) -> Optional[CodeType]:
        """The code of a module by the CRC-32 of its source; None where it is not there."""
        try:
            file = os.open(_entry(module, crc), os.O_RDONLY | _OPEN_FLAGS, dir_fd=self._directory)
        except OSError:
            return None
        try:
            kept = os.fstat(file)
            if kept.st_uid != self._uid or kept.st_mode & _OTHERS_WRITE:
                return None
            data = os.read(file, kept.st_size)
        except OSError:
            return None
        finally:
            os.close(file)
        compiled = data[_CRC_BYTES:]
        # Of damaged code marshal, or Python, could crash.
        if data[:_CRC_BYTES] != _crc_bytes(compiled):
            return None
        code = marshal.loads(compiled)  # noqa: S302 - nobody else could write it
        return code if isinstance(code, CodeType) else None

    def keep(self, module: str, crc: int, code: CodeType) -> None:
        """Keep the code of a module; once that fails, for want of space say, nothing more is."""
        if not self._is_written:
            return
        compiled = marshal.dumps(code)
        new = f"new-{os.getpid()}"
        try:
            self._make_room()
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN_FLAGS
            file = os.open(new, flags, 0o600, dir_fd=self._directory)
            try:
                with os.fdopen(file, "wb") as written:
                    written.write(_crc_bytes(compiled) + compiled)
                at = self._directory
                os.rename(new, _entry(module, crc), src_dir_fd=at, dst_dir_fd=at)
            except OSError:
                os.unlink(new, dir_fd=self._directory)
                raise
        except OSError:
            self._is_written = False

    def _make_room(self) -> None:
        if self._is_counted:
            return
        self._is_counted = True
        names = os.listdir(self._directory)  # noqa: PTH208 - by its descriptor
        for name in names if len(names) > MOST_ENTRIES else ():
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self._directory)


def _opened(home: str, uid: int) -> int:
    """A descriptor of the user's own directory in a home; raises OSError."""
    directory = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _check_owner(directory, uid)
        for name in FOLDERS:
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=directory)
            above = directory
            directory = os.open(name, os.O_RDONLY | os.O_DIRECTORY | _OPEN_FLAGS, dir_fd=above)
            os.close(above)
            _check_owner(directory, uid)
        if os.fstat(directory).st_mode & _OTHERS:
            raise PermissionError
        # A standard stream that is closed would be taken for open.
        return fcntl.fcntl(directory, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE)
    finally:
        os.close(directory)


def _check_owner(directory: int, uid: int) -> None:
    if os.fstat(directory).st_uid != uid:
        raise PermissionError


def _entry(module: str, crc: int) -> str:
    return f"{module}-{crc:08x}-{_PYTHON}"


def _crc_bytes(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(_CRC_BYTES, "little")
