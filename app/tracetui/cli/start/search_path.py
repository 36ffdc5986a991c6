"""Imports for a process that gives up the right to read its directories.

Rich, Textual and Python itself import modules when they first need them, each version others. So
the directories of all packages are opened before root is given up, and searched by their
descriptors from then on: a path through /proc/self/fd begins at the open directory, whoever may
walk through those above it (proc(5), path_resolution(7)). What else lies there is as readable to
the user as it is by its own mode; a program that is started inherits none of the descriptors.

What the user could not read even so, is read into memory before (``kept_sources``).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from types import ModuleType

from tracetui.kernel import privileges

_DESCRIPTORS = "/proc/self/fd"


def keep_readable() -> None:
    """Keep modules importable for the invoking user, where that needs anything to be done.

    What can't be kept is left as it is: an import may still do without.
    """
    files = {os.path.dirname(file): file for file in _files()}  # noqa: PTH120 - there are many
    # Where this process may not become another user, that is said by who tries it for good.
    with suppress(OSError):
        if not _are_readable(files.values()):
            _go_by_descriptors()
            _keep_what_is_left()


def _files() -> Iterator[str]:
    """The files of the modules that were imported; a frozen one may have none."""
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and os.path.isfile(file):  # noqa: PTH113 - there are many
            yield file


def _are_readable(files: Iterable[str]) -> bool:
    """Whether the invoking user may read them all, but for those that are not there."""
    with privileges.acting_as_invoker():
        for file in files:
            try:
                os.close(os.open(file, os.O_RDONLY | os.O_CLOEXEC))
            except PermissionError:
                return False
            except OSError:
                continue
    return True


def _go_by_descriptors() -> None:
    """Search the directories of the path, and of each package, by their descriptors."""
    sys.path[:] = [_opened(directory) for directory in sys.path]
    replaced: dict[str, str] = {}
    for name, module in sorted(sys.modules.items()):
        for path in _searched(module):
            for index, directory in enumerate(path):
                # A package in a package is found below the directory of that.
                above, last = os.path.split(directory)
                if directory not in replaced:
                    is_below = "." in name and above in replaced
                    opened = f"{replaced[above]}/{last}" if is_below else _opened(directory)
                    replaced[directory] = opened
                path[index] = replaced[directory]


def _keep_what_is_left() -> None:
    """Keep the packages in memory whose files are closed to the user by their own modes."""
    packages = [
        (name, path[0])
        for name, module in sorted(sys.modules.items())
        for path in _searched(module)
        if path and "." not in name and not _are_readable([f"{path[0]}/__init__.py"])
    ]
    if packages:
        from tracetui.onefile import kept_sources

        kept_sources.keep(packages)


def _searched(module: ModuleType) -> Iterator[list[str]]:
    """The search paths of a package: a list, or two."""
    path = getattr(module, "__path__", None)
    spec = getattr(module, "__spec__", None)
    locations = getattr(spec, "submodule_search_locations", None)
    if isinstance(path, list):
        yield path
    if isinstance(locations, list) and locations is not path:
        yield locations


def _opened(directory: str) -> str:
    """A directory by a descriptor that stays open; as it was where that can't be had."""
    with suppress(OSError):
        # A relative one is found from the working directory, which stays where it is.
        if directory.startswith("/"):
            descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            return f"{_DESCRIPTORS}/{descriptor}"
    return directory
