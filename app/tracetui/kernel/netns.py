"""Network namespaces: which one is meant, and going there."""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from tracetui.errors import Failure, NotPermitted

NAMED = Path("/run/netns")
"""The folder in which ``ip netns add`` keeps them (ip-netns(8))."""
_CLONE_NEWNET = 0x40000000
_SO_NETNS_COOKIE = 71
"""include/uapi/asm-generic/socket.h; since Linux 5.14."""

CallResult = TypeVar("CallResult")


def resolve(name: str) -> Path:
    """The namespace file that NAME, PATH or PID means; raises Failure if there is none."""
    if name.isascii() and name.isdigit() and not (NAMED / name).exists():
        path = Path("/proc", name, "ns", "net")
        remedy = f"no process {name}; a network namespace is meant by name, path or PID"
    elif "/" in name:
        path = Path(name)
        remedy = f"no file {name}; a network namespace is meant by name, path or PID"
    else:
        path = NAMED / name
        remedy = f"no network namespace {name!r}; `ip netns list` shows the named ones"
    try:
        path.stat()
    except PermissionError:
        raise NotPermitted(f"namespace {name}: run as root") from None
    except (OSError, ValueError):
        raise Failure(remedy) from None
    return path


def enter(path: Path) -> None:
    """Move this thread, and what it starts, into the namespace; raises Failure."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise Failure(f"namespace {path}: {error.strerror}") from None
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(fd, _CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            kind = NotPermitted if code == 1 else Failure
            raise kind(f"namespace {path}: {os.strerror(code)}")
    finally:
        os.close(fd)


def is_gone(name: str) -> bool:
    """Whether NAME, PATH or PID does not mean the namespace this thread is in any more."""
    try:
        return resolve(name).stat().st_ino != inode()
    except (OSError, Failure):
        return True


def inode() -> int:
    """The inode that names the network namespace this thread is in."""
    return os.stat("/proc/thread-self/ns/net").st_ino  # noqa: PTH116 - a magic link, no path


def name_for_ever() -> str:
    """A name of the network namespace this thread is in that no other gets while the node is up.

    Before Linux 5.14 it is its inode, which another one can get when this one is gone.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
            cookie = one.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8)
    except OSError:
        return str(inode())
    return f"cookie-{int.from_bytes(cookie, sys.byteorder)}"


def call_inside(path: Path, function: Callable[[], CallResult]) -> CallResult:
    """Return, or raise, what ``function`` does in the namespace; this thread stays here."""

    def inside() -> CallResult:
        enter(path)
        return function()

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="netns") as pool:
        return pool.submit(inside).result()
