"""Packages whose files only root may read, kept in memory for when root has been given up.

An installation under the umask 077 leaves such. Only then they are read, all of them at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import SourceLoader
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Optional, Union

_SUFFIX = ".py"


class KeptSources(SourceLoader):
    """Finds and loads the modules of a few packages."""

    def __init__(self, packages: Sequence[tuple[str, str]]) -> None:
        """Read the sources of packages, each given by its name and directory; raises OSError."""
        self._files = {name: path for package in packages for name, path in _modules(*package)}
        self._sources = {path: Path(path).read_bytes() for path in self._files.values()}

    def find_spec(
        self,
        fullname: str,
        path: Optional[Sequence[str]],
        target: Optional[ModuleType] = None,
    ) -> Optional[ModuleSpec]:
        """Return where a module is found, None for one of another package."""
        file = self._files.get(fullname)
        return spec_from_file_location(fullname, file, loader=self) if file else None

    def get_filename(self, fullname: str) -> str:
        """Return where the source was; raises ImportError for a module of another package."""
        try:
            return self._files[fullname]
        except KeyError:
            raise ImportError(fullname, name=fullname) from None

    def get_data(self, path: Union[str, bytes]) -> bytes:
        """Return a source; raises OSError where it was none, as importlib expects."""
        try:
            return self._sources[os.fsdecode(path)]
        except KeyError:
            raise FileNotFoundError(path) from None


def keep(packages: Sequence[tuple[str, str]]) -> None:
    """Import the modules of these packages from memory from now on; raises OSError."""
    sys.meta_path.insert(0, KeptSources(packages))


def _modules(package: str, directory: str) -> Iterator[tuple[str, str]]:
    """The full name and the file of each module of a package, those of packages in it too."""
    for above, below, names in os.walk(directory):
        below[:] = [name for name in below if name.isidentifier() and name != "__pycache__"]
        inner = Path(above).relative_to(directory).parts
        for name in names:
            if name.endswith(_SUFFIX):
                stem = name[: -len(_SUFFIX)]
                last = () if stem == "__init__" else (stem,)
                yield ".".join((package, *inner, *last)), f"{above}/{name}"
