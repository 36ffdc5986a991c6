"""Rich's traceback without colours: the one file has no highlighter for Python."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Optional

from rich.text import Text


class Traceback:
    """The exception that is being handled, as Python itself prints it."""

    def __init__(self, trace: object = None, **_: Any) -> None:
        self._text = traceback.format_exc()

    @classmethod
    def from_exception(
        cls,
        exc_type: type[BaseException],
        exc_value: BaseException,
        traceback_: Optional[TracebackType],
        **_: Any,
    ) -> Traceback:
        """Print another exception."""
        made = cls()
        made._text = "".join(traceback.format_exception(exc_type, exc_value, traceback_))
        return made

    def __rich_console__(self, console: object, options: object) -> Iterator[Text]:
        yield Text(self._text)
