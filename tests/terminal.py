"""A program in a terminal of its own, and every byte that it writes there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
import time

TRACETUI = (sys.executable, "-m", "tracetui")
_TEXTUAL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\]22;[a-z]+\x07")
"""Its ways of writing, and of choosing the form of the mouse's pointer."""
_ACTING = re.compile(
    r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]"
)


class Terminal:
    """Runs a command for as long as the context lasts."""

    def __init__(self, *argv: str | bytes, columns: int = 120, rows: int = 40, env=None) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            [*TRACETUI, *argv], stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **(env or {})},
        )  # fmt: skip
        os.close(slave)
        self.written = b""
        """Everything so far."""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(30)
        self._reader.join(10)
        os.close(self._master)

    def press(self, keys: str, seconds: float = 0.4) -> None:
        """Type, and give the program time to answer."""
        os.write(self._master, keys.encode())
        time.sleep(seconds)

    def wait_for(self, text: str, seconds: float = 20.0) -> None:
        """Wait until it has written something."""
        end = time.monotonic() + seconds
        while text.encode() not in self.written:
            assert time.monotonic() < end, self.written[-2000:]
            time.sleep(0.05)

    def end(self) -> bytes:
        """Wait until the program ended; everything it wrote."""
        self.process.wait(60)
        self._reader.join(10)
        return self.written

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(self._master, 65536):
                self.written += data


def acting(written: bytes) -> set[str]:
    """What in the bytes acts on a terminal, Textual's own ways of writing aside.

    It clears no screen by a sequence, and uses no colour by its number.
    """
    text = written.decode()
    found = {one for one in _TEXTUAL.findall(text) if one in ("\x1b[2J", "\x1b[31m")}
    return found | set(_ACTING.findall(_TEXTUAL.sub("", text)))
