"""Packages whose sources are in memory, because their files may not be readable any more.

An installation under the umask 077 leaves files that only root may read: they are read before root
is given up, all of them at once. The one file is read when it starts (``archive_sources``).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec
from importlib.util import decode_source, spec_from_file_location
from types import CodeType, ModuleType
from typing import Optional, Union

_SUFFIX = ".py"
_PACKAGE = f"/__init__{_SUFFIX}"


class KeptSources:
    """Finds and loads the modules of a few packages, as ``importlib.abc.SourceLoader`` would.

    Importing that takes longer than the start of the one file may (``tests/bench/start.py``); so
    does pathlib.
    """

    def __init__(self, files: Mapping[str, str], contents: Mapping[str, bytes]) -> None:
        """``files`` are the paths of the modules by name, ``contents`` what was read there."""
        self._files = files
        self._contents = contents

    def find_spec(
        self,
        fullname: str,
        path: Optional[Sequence[str]],
        target: Optional[ModuleType] = None,
    ) -> Optional[ModuleSpec]:
        """Return where a module is found, None for one of another package."""
        file = self._files.get(fullname)
        if file is None:
            return None
        # What the type asks for as well, load_module, nothing calls any more.
        return spec_from_file_location(fullname, file, loader=self)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        """Have Python make an empty module."""

    def exec_module(self, module: ModuleType) -> None:
        """Fill a module; raises ImportError."""
        exec(self.get_code(module.__name__), module.__dict__)  # noqa: S102 - an import does that

    def get_code(self, fullname: str) -> CodeType:
        """Return the code of a module; raises ImportError for one of another package."""
        return compiled(self.get_data(self.get_filename(fullname)), self.get_filename(fullname))

    def get_source(self, fullname: str) -> str:
        """Return the text of a module, for tracebacks; raises ImportError as above."""
        return decode_source(self.get_data(self.get_filename(fullname)))

    def get_filename(self, fullname: str) -> str:
        """Return where the source was; raises ImportError for a module of another package."""
        try:
            return self._files[fullname]
        except KeyError:
            raise ImportError(fullname, name=fullname) from None

    def is_package(self, fullname: str) -> bool:
        """Tell packages from other modules; raises ImportError as above."""
        return self.get_filename(fullname).endswith(_PACKAGE)

    def get_data(self, path: Union[str, bytes]) -> bytes:
        """Return what was read of a file; raises OSError for another, as importlib expects."""
        try:
            return self._contents[os.fsdecode(path)]
        except KeyError:
            raise FileNotFoundError(path) from None


def compiled(source: bytes, path: str) -> CodeType:
    """Compile a module; raises SyntaxError."""
    code: CodeType = compile(source, path, "exec", dont_inherit=True)
    return code


def keep(packages: Sequence[tuple[str, str]]) -> None:
    """Import the modules of these packages from memory from now on; raises OSError.

    Each is given by its name and its directory.
    """
    files = {name: path for package in packages for name, path in _modules(*package)}
    contents = {}
    for path in files.values():
        with open(path, "rb") as file:  # noqa: PTH123
            contents[path] = file.read()
    sys.meta_path.insert(0, KeptSources(files, contents))


def module_name(parts: Sequence[str]) -> Optional[str]:
    """The full name of the module in a file, by the file's path below a directory of the search.

    None for a file that holds no module.
    """
    *packages, last = parts
    if not last.endswith(_SUFFIX):
        return None
    stem = last[: -len(_SUFFIX)]
    return ".".join([*packages, *([] if stem == "__init__" else [stem])])


def _modules(package: str, directory: str) -> Iterator[tuple[str, str]]:
    """The full name and the file of each module of a package, those of packages in it too."""
    for above, below, names in os.walk(directory):
        below[:] = [name for name in below if name.isidentifier() and name != "__pycache__"]
        inner = above[len(directory) :].strip("/")
        for name in names:
            parts = (package, *filter(None, inner.split("/")), name)
            full_name = module_name(parts)
            if full_name is not None:
                yield full_name, f"{above}/{name}"
