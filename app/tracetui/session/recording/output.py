"""The file that a recording is written to."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Optional, TextIO

from tracetui.errors import Failure
from tracetui.session.recording.outlet import text_on

_STREAMS = ("/dev/fd/", "/dev/stdout", "/dev/stderr", "/proc/self/fd/")
"""Symbolic links that the kernel makes, to what this process has open."""


class Exists(Failure):
    """The file holds something already, and nobody said that it may be overwritten."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}; choose another name, or add --overwrite")


@contextmanager
def opened(name: str, overwrite: bool = False) -> Iterator[TextIO]:
    """Open the file, empty and readable by its owner only, or standard output for ``-``.

    Raises Failure, and Exists for a file that holds something, unless ``overwrite``. A symbolic
    link is never followed, and a file that belongs to somebody else, or has another name beside
    this one, is left alone: in a directory like /tmp others could have put it there. Devices and
    pipes are written to as they are; a FIFO that nobody reads is not waited for.
    """
    file = _standard_output() if name == "-" else _file(name, overwrite)
    try:
        yield file
    finally:
        try:
            file.close()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise Failure(f"{name}: {error.strerror}") from None


def expanded(name: str, own: Optional[str] = None) -> str:
    """A name with ``~`` or ``~user`` before its first slash replaced by that user's home.

    ``own`` is the home that ``~`` means, where it is not this process's. Raises Failure for a user
    that nobody knows.
    """
    if not name.startswith("~"):
        return name
    user, slash, rest = name.partition("/")
    if user == "~" and own is not None:
        return own + slash + rest
    home_path = os.path.expanduser(name)  # noqa: PTH111 - Path would lose a slash at the end
    if home_path == name:
        raise Failure(f"{name}: there is no user {user[1:]}; type ./{name} for a file of that name")
    return home_path


def refuse_older(name: str, keep_count: int) -> None:
    """Raise Exists where a recording that is rotated would push files away that lie there."""
    for number in range(1, keep_count + 1):
        if os.path.lexists(f"{name}.{number}"):
            raise Exists(f"{name}.{number}", "exists from an earlier recording")


def shift(name: str, keep_count: int) -> None:
    """Rename FILE to FILE.1, FILE.1 to FILE.2, and so on; the one beyond ``keep_count`` goes.

    Raises Failure.
    """
    try:
        for number in range(keep_count - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{name}.{number}").replace(f"{name}.{number + 1}")
        Path(name).replace(f"{name}.1")
    except OSError as error:
        raise Failure(f"{name}: {error.strerror}") from None


def _standard_output() -> TextIO:
    # With PYTHONUNBUFFERED, sys.stdout loses what a write left over that a signal interrupted.
    return text_on(sys.stdout.fileno(), sys.stdout.encoding, closefd=False)


def _file(name: str, overwrite: bool) -> TextIO:
    try:
        fd = os.open(name, _flags(name), 0o600)
    except (OSError, ValueError) as error:
        raise Failure(f"{name}: {_why(name, error)}") from None
    try:
        _make_ours(fd, name, overwrite)
        # Whoever opened it need not wait for a reader; what is written later does.
        os.set_blocking(fd, True)
    except OSError as error:
        os.close(fd)
        raise Failure(f"{name}: {error.strerror}") from None
    except Failure:
        os.close(fd)
        raise
    return text_on(fd)


def _flags(name: str) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    return flags if name.startswith(_STREAMS) else flags | os.O_NOFOLLOW


def _make_ours(fd: int, name: str, overwrite: bool) -> None:
    """Empty a file that is ours alone; raises Failure for another one, and OSError."""
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        return
    if status.st_uid != os.geteuid():
        raise Failure(f"{name}: belongs to another user; choose another name")
    if status.st_nlink > 1:
        raise Failure(f"{name}: has a second hard link; choose another name")
    if status.st_size and not overwrite:
        raise Exists(name, "exists and is not empty")
    os.fchmod(fd, 0o600)
    os.ftruncate(fd, 0)


def _why(name: str, error: Exception) -> object:
    if not isinstance(error, OSError):
        return error
    if error.errno == errno.ENXIO:
        return "is a FIFO without a reader; start the reader first"
    # Of one in a folder that can't be entered nothing is known.
    with contextlib.suppress(OSError):
        if Path(name).is_symlink():
            return "is a symbolic link, which is not followed"
    return error.strerror
