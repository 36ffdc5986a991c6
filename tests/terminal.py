"""What the program writes to its terminal, and what of that acts there."""

from __future__ import annotations

import re
import time

from tests.safety import terminal

_TEXTUAL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\]22;[a-z]+\x07")
"""Its ways of writing, and of choosing the form of the mouse's pointer."""
_ACTING = re.compile(
    r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]"
)
QUIET_SECONDS = 0.3


class Terminal(terminal.Terminal):
    """The program in a terminal of so many cells."""

    def __init__(
        self, *argv: str | bytes, columns: int = 120, rows: int = 40, env=None, before=(), **more
    ) -> None:
        mark = f"{time.monotonic_ns()}"
        colours = {"COLORTERM": "truecolor", **(env or {})}
        super().__init__(*argv, mark=mark, env=colours, size=(columns, rows), before=before, **more)

    def press(self, keys: str, seconds: float = 0.4) -> None:
        """Type when the picture is whole, and give the program time to answer.

        On a busy machine a key that comes before finds nothing that it could change.
        """
        self.settle()
        self.type(keys)
        time.sleep(seconds)
        self.settle()

    def end(self) -> bytes:
        """Wait until the program ended; everything it wrote."""
        self.process.wait(60)
        before = b"?"
        while before != self.raw:
            before = self.raw
            time.sleep(QUIET_SECONDS)
        return before


def acting(written: bytes) -> set[str]:
    """What in the bytes acts on a terminal, Textual's own ways of writing aside.

    It clears no screen by a sequence, and uses no colour by its number.
    """
    text = written.decode()
    found = {one for one in _TEXTUAL.findall(text) if one in ("\x1b[2J", "\x1b[31m")}
    return found | set(_ACTING.findall(_TEXTUAL.sub("", text)))
