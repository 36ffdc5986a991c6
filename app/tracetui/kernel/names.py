"""Names that the kernel keeps as bytes of any kind, as text."""

from __future__ import annotations

import os


def text_of(name: str) -> str:
    r"""A name that Python read as it reads the names of files, as every other source has it.

    A byte that is no UTF-8 is ``\xff``, so that names can be compared, and written anywhere.
    """
    return os.fsencode(name).decode(errors="backslashreplace")
