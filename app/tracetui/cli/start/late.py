"""Late steps of the start: import the screen, give up root."""

from __future__ import annotations

import importlib

from tracetui.cli.start import search_path
from tracetui.kernel import privileges

_SCREEN = "tracetui.cli.terminal.screen"


def load_screen() -> None:
    """Import the screen, while something else is waited for."""
    importlib.import_module(_SCREEN)


def give_up_root() -> None:
    """Become the invoking user for good, where there is one, and import modules as before.

    The user may not be able to read them: root may have installed them in a home of mode 0700.
    Raises Failure and NotPermitted as :func:`privileges.drop_to_invoker` does.
    """
    if privileges.invoker() is not None:
        search_path.keep_readable()
        privileges.drop_to_invoker()
