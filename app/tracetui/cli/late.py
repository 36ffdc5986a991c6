"""Modules that are imported when they are first needed, and before root is given up if it is.

The invoking user may not be able to read them: root may have installed them in a home of mode 0700.
"""

from __future__ import annotations

import importlib

from tracetui.kernel import privileges

_READERS = ("tracetui.parse.line_reader", "tracetui.session.listings", "hashlib")
_SCREEN = "tracetui.cli.screen"
_DIALOGS = ("tracetui.ui.dialogs", "textual.drivers.linux_driver")


def load() -> None:
    """Import what a command without a screen imports late, where root will be given up."""
    _load(_READERS)


def load_screen() -> None:
    """Import the screen, and where root will be given up what that imports late."""
    importlib.import_module(_SCREEN)
    _load((*_READERS, *_DIALOGS))


def _load(names: tuple[str, ...]) -> None:
    if privileges.invoker() is not None:
        for name in names:
            importlib.import_module(name)
