"""Whether files can be written, asked without writing any."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def why_not(path: Path) -> str:
    """Tell why a file can't be written, or nothing be made in a folder; empty where it can.

    On a read-only file system root is refused too (access(2), EROFS).
    """
    if os.access(path, os.W_OK):
        return ""
    try:
        is_read_only = os.statvfs(path).f_flag & os.ST_RDONLY
    except OSError as error:
        return f"{path}: {error.strerror}"
    return f"{path}: {os.strerror(errno.EROFS if is_read_only else errno.EACCES)}"
