"""Packs wheels into one file that Python runs: ``pack.py OUT WHEEL…`` (zipapp; zip's APPNOTE.TXT).

The same wheels make the same bytes: names are sorted, dates and modes are fixed.
"""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

OWN = Path(__file__).parent
OWN_FILES = ("__main__.py", "rich/traceback.py")
"""What is put over the packages."""
LEFT_OUT = (
    "textual/demo/", "textual/tree-sitter/",
    # These need pygments or markdown-it-py, which would double the file; no screen of ours does.
    "textual/highlight.py", "textual/widgets/_markdown.py", "textual/widgets/_markdown_viewer.py",
    "textual/_markup_playground.py", "textual/widgets/_welcome.py",
    "rich/markdown.py", "rich/syntax.py", "rich/__main__.py",
)  # fmt: skip
METADATA = ("/METADATA", "/LICENSE", "/LICENSE.txt", "/LICENSE.md")
"""What is kept of ``*.dist-info``: whose work it is, and what may be done with it."""
FIRST_LINE = b"#!/usr/bin/env python3\n"
DATE = (1980, 1, 1, 0, 0, 0)
"""The first that zip knows."""


def main(out: str, *wheels: str) -> None:
    """Write the file, for everybody to read and run."""
    contents = dict(sorted(packed(wheels).items()))
    path = Path(out)
    with path.open("wb") as file:
        file.write(FIRST_LINE)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name, data in contents.items():
                entry = zipfile.ZipInfo(name, DATE)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.create_system = 3  # Unix, of which the mode is
                entry.external_attr = 0o100644 << 16
                archive.writestr(entry, data)
    path.chmod(0o755)
    print(f"{path}: {path.stat().st_size:,} bytes, {len(contents)} files")


def packed(wheels: Iterable[str]) -> dict[str, bytes]:
    """The files by their names in the archive."""
    contents = {}
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if is_wanted(name):
                    contents[name] = archive.read(name)
    for name in OWN_FILES:
        contents[name] = (OWN / name).read_bytes()
    return contents


def is_wanted(name: str) -> bool:
    """Whether a wheel's file is packed."""
    top = name.partition("/")[0]
    if top.endswith(".dist-info"):
        return name.endswith(METADATA)
    return not (name.startswith(LEFT_OUT) or name.endswith((".pyi", "/py.typed", "/")))


if __name__ == "__main__":
    main(*sys.argv[1:])
