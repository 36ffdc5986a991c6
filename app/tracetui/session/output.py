"""The file that a recording is written to."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from tracetui.errors import Failure

_STREAMS = ("/dev/fd/", "/dev/stdout", "/dev/stderr", "/proc/self/fd/")
"""Symbolic links that the kernel makes, to what this process has open."""


@contextmanager
def opened(name: str) -> Iterator[TextIO]:
    """The file, empty and readable by its owner only, or standard output for ``-``.

    Raises Failure. A symbolic link is never followed, and a file that belongs to somebody else, or
    has another name beside this one, is left alone: in a directory like /tmp others could have put
    it there. Devices and pipes are written to as they are.
    """
    file = _standard_output() if name == "-" else _file(name)
    try:
        if name != "-":
            _make_ours(file.fileno(), name)
        yield file
    finally:
        try:
            file.close()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise Failure(f"{name}: {error.strerror}") from None


def shift(name: str, kept: int) -> None:
    """Rename FILE to FILE.1, FILE.1 to FILE.2, and so on; the one beyond ``kept`` goes.

    Raises Failure.
    """
    try:
        for number in range(kept - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{name}.{number}").replace(f"{name}.{number + 1}")
        Path(name).replace(f"{name}.1")
    except OSError as error:
        raise Failure(f"{name}: {error.strerror}") from None


def _standard_output() -> TextIO:
    # With PYTHONUNBUFFERED, sys.stdout loses what a write left over that a signal interrupted.
    return open(sys.stdout.fileno(), "w", encoding=sys.stdout.encoding, closefd=False)


def _file(name: str) -> TextIO:
    try:
        fd = os.open(name, _flags(name), 0o600)
    except (OSError, ValueError) as error:
        raise Failure(f"{name}: {_why(name, error)}") from None
    return os.fdopen(fd, "w", encoding="utf-8")


def _flags(name: str) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
    return flags if name.startswith(_STREAMS) else flags | os.O_NOFOLLOW


def _make_ours(fd: int, name: str) -> None:
    """Empty a file that is ours alone; raises Failure for another one."""
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        return
    if found.st_uid != os.geteuid():
        raise Failure(f"{name}: belongs to somebody else; choose another name")
    if found.st_nlink > 1:
        raise Failure(f"{name}: has another name as well; choose a new one")
    os.fchmod(fd, 0o600)
    os.ftruncate(fd, 0)


def _why(name: str, error: Exception) -> object:
    if isinstance(error, OSError):
        if Path(name).is_symlink():
            return "is a symbolic link, which is not followed"
        return error.strerror
    return error
