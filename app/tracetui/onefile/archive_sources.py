"""Modules of the one file: sources from memory, and if wanted compiled once for each user."""

from __future__ import annotations

import os
import sys
from types import CodeType
from typing import Optional

from tracetui.onefile.archive import Archive
from tracetui.onefile.compiled_cache import CompiledCache
from tracetui.onefile.kept_sources import KeptSources, compiled, module_name


class ArchiveSources(KeptSources):
    """Finds and loads every module of an archive."""

    def __init__(self, archive: Archive, is_cached: bool) -> None:
        """With ``is_cached`` compiled code is kept, and taken from where it is kept."""
        start = len(archive.path) + 1
        names = {path: module_name(path[start:].split("/")) for path in archive}
        super().__init__({name: path for path, name in names.items() if name}, archive)
        self._archive = archive
        self._is_cached = is_cached
        self._user: Optional[int] = None
        self._cache: Optional[CompiledCache] = None

    def get_code(self, fullname: str) -> CodeType:
        """Return the code of a module; raises ImportError."""
        path = self.get_filename(fullname)
        cache, crc = self._cache_of_user(), self._archive.crc(path)
        code = cache.load(fullname, crc) if cache is not None else None
        if code is None:
            # Named without the directory: the archive can be in another one the next time.
            shown = os.path.relpath(path, os.path.dirname(self._archive.path))  # noqa: PTH120
            code = compiled(self.get_data(path), shown)
            if cache is not None:
                cache.keep(fullname, crc, code)
        return code

    def _cache_of_user(self) -> Optional[CompiledCache]:
        """The cache of the user that this process is for good; None where there is none.

        A root that only acts as a user takes nothing of that user's: it will be root again.
        """
        real, effective, saved = os.getresuid()
        if not (self._is_cached and real == effective == saved):
            return None
        if effective != self._user:
            if self._cache is not None:
                self._cache.close()
            self._user, self._cache = effective, _opened_cache(effective)
        return self._cache


def _opened_cache(uid: int) -> Optional[CompiledCache]:
    try:
        return CompiledCache(uid)
    except (OSError, KeyError):
        return None


def import_from(path: str, is_cached: bool = False) -> None:
    """Import modules from an archive in memory; where that fails Python's own way is left.

    That one opens the file again for each module, and takes as long for it as for compiling. With
    ``is_cached`` code is kept for the next time, and taken from there: not for a collector, which
    is root for others.
    """
    try:
        archive = Archive(os.path.abspath(path))  # noqa: PTH100 - no link is resolved
    except (OSError, ValueError, MemoryError):
        return
    sys.meta_path.insert(0, ArchiveSources(archive, is_cached))
