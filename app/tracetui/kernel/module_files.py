"""Texts of the kernel and kmod about modules.

TRACETUI_ROOT in the environment puts another directory in the place of ``/``, for looking at files
that were copied from another node.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import zlib
from pathlib import Path
from typing import NamedTuple, Optional

from tracetui.errors import Failure

_NAME_OF_MODULE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LONGEST_VALUE = 4096
"""Bytes: a sysfs file is one page at most."""
_GZIP = 31
"""``wbits`` of gzip files, for zlib."""
_MODINFO_SECONDS = 3.0


class ModuleDetails(NamedTuple):
    """The texts about one module."""

    modinfo: Optional[str]
    """The output of modinfo(8); None where there is no such command, or it knows no such module."""
    sysfs: dict[str, str]
    """The values of /sys/module/NAME: version, srcversion, taint, initstate (where loaded)."""
    parameters: dict[str, Optional[str]]
    """The values of /sys/module/NAME/parameters; None for one that only root may read."""


class ModuleFiles:
    """The files of one node."""

    def __init__(self, root: Optional[Path] = None) -> None:
        self._root = root or Path(os.environ.get("TRACETUI_ROOT") or "/")

    def modules(self) -> Optional[str]:
        """/proc/modules (proc(5)); None on a kernel without loadable modules. Raises Failure."""
        try:
            return (self._root / "proc/modules").read_text(errors="backslashreplace")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Failure(f"/proc/modules: {error.strerror}") from None

    def built_in(self) -> Optional[str]:
        """``modules.builtin`` of the running kernel; None where there is none."""
        return self._text(f"lib/modules/{os.uname().release}/modules.builtin")

    def built_in_sysfs(self) -> tuple[str, ...]:
        """The built-in ones that /sys/module has: they have parameters, but were never loaded.

        A loaded one has an ``initstate`` (kernel/module/sysfs.c).
        """
        here = self._root / "sys/module"
        return tuple(
            sorted(path.name for path in here.glob("*") if not (path / "initstate").exists())
        )

    def on_disk(self) -> Optional[str]:
        """``modules.dep`` of the running kernel; None where there is none."""
        return self._text(f"lib/modules/{os.uname().release}/modules.dep")

    def build_options(self) -> Optional[str]:
        """The kernel's .config, from /proc/config.gz or /boot; None where it is not told."""
        with contextlib.suppress(OSError, EOFError, zlib.error):
            packed = (self._root / "proc/config.gz").read_bytes()
            return zlib.decompress(packed, _GZIP).decode(errors="backslashreplace")
        return self._text(f"boot/config-{os.uname().release}")

    def loggers(self) -> Optional[str]:
        """/proc/net/netfilter/nf_log: which loggers there are, by family."""
        return self._text("proc/net/netfilter/nf_log")

    def legacy_targets(self) -> Optional[str]:
        """/proc/net/ip_tables_targets: the targets of x_tables; None where that is not loaded."""
        return self._text("proc/net/ip_tables_targets")

    def details(self, name: str) -> ModuleDetails:
        """Read the texts about one module; none where the name can't be one."""
        if not _NAME_OF_MODULE.fullmatch(name):
            return ModuleDetails(None, {}, {})
        here = self._root / "sys/module" / name
        sysfs = {}
        for key in ("version", "srcversion", "taint", "initstate"):
            if (value := _value(here / key)) is not None:
                sysfs[key] = value
        paths = sorted((here / "parameters").glob("*"))
        return ModuleDetails(_modinfo(name), sysfs, {path.name: _value(path) for path in paths})

    def _text(self, path: str) -> Optional[str]:
        try:
            return (self._root / path).read_text(errors="backslashreplace")
        except OSError:
            return None


def _value(path: Path) -> Optional[str]:
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST_VALUE).decode(errors="backslashreplace").strip()
    except OSError:
        return None


def _modinfo(name: str) -> Optional[str]:
    # Where a user's PATH does not lead (Debian).
    command = shutil.which("modinfo") or shutil.which("modinfo", path="/usr/sbin:/sbin")
    if command is None:
        return None
    try:
        done = subprocess.run(
            [command, "--", name],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_MODINFO_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="backslashreplace") if done.returncode == 0 else None
