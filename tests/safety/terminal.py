"""The program in a terminal of its own, as a user over SSH has it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

_ESCAPES = re.compile(
    rb"\x1b\[[0-9;:?<>=]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][A-Z0-9]|\x1b."
)
_MODES = re.compile(rb"\x1b\[\?([0-9;]+)([hl])")
_ON_BY_DEFAULT = (b"7", b"25")
"""Wrapping at the right edge, and the cursor."""
NEWEST = 20_000
"""Characters in which a text is looked for that may be broken into lines."""
PROGRAM = (
    (sys.executable, os.path.abspath(os.environ["TRACETUI_PROGRAM"]))  # noqa: PTH100
    if "TRACETUI_PROGRAM" in os.environ
    else (sys.executable, "-m", "tracetui")
)
"""The words that start the program: of the one file that TRACETUI_PROGRAM names, if it does."""
MARK = "TRACETUI_TEST_MARK"
"""In the environment of everything the program starts, to find it again."""


class Terminal:
    """A pseudo-terminal with ``tracetui ARGV`` in it, which sees every byte written to it."""

    def __init__(
        self,
        *argv: str,
        mark: str,
        env: Mapping[str, str] | None = None,
        size: tuple[int, int] = (100, 30),
        before: tuple[str, ...] = (),
        cwd: str | Path | None = None,
        keep: int | None = None,
        program: tuple[str, ...] = PROGRAM,
    ) -> None:
        """``before`` are the words in front of the program's: ``unshare -m``, say.

        Of what is written at least the last ``keep`` bytes are kept, or everything.
        """
        self._keep = keep
        self.mark = mark
        self._master, self.slave = pty.openpty()
        columns, rows = size
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.modes_before = termios.tcgetattr(self.slave)
        self._seen = bytearray()
        self._flowing = threading.Event()
        self._flowing.set()
        self._done = False
        # COLUMNS and LINES would count more than the terminal's own size.
        inherited = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            [*before, *program, *argv],
            stdin=self.slave, stdout=self.slave, stderr=self.slave, cwd=cwd,
            env={**inherited, **(env or {}), MARK: mark, "TERM": "xterm-256color"},
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        """Kill what is left, so that one failed test does not spoil the next."""
        for pid in self.processes():
            kill(pid, signal.SIGKILL)
        self.process.wait()
        self._done = True
        self._flowing.set()
        self._reader.join(5)
        self.hang_up()
        os.close(self.slave)

    @property
    def raw(self) -> bytes:
        """Every byte the program wrote so far."""
        return bytes(self._seen)

    @property
    def text(self) -> str:
        """The same without escape sequences."""
        return _ESCAPES.sub(b"", self.raw).decode(errors="replace")

    def modes_left(self) -> list[str]:
        """What of the terminal is not as it was before: its modes, and what sequences turned on."""
        on = dict.fromkeys(_ON_BY_DEFAULT, True)
        for numbers, how in _MODES.findall(self.raw):
            on.update(dict.fromkeys(numbers.split(b";"), how == b"h"))
        left = [
            f"terminal mode {number.decode()} {'on' if is_on else 'off'}"
            for number, is_on in on.items()
            if is_on != (number in _ON_BY_DEFAULT)
        ]
        if termios.tcgetattr(self.slave) != self.modes_before:
            left.append("terminal in raw mode")
        return left

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def type_until(self, keys: str, what: str) -> None:
        """Press keys and wait until a text is written, once more if it was before."""
        self.settle()
        before = self.text.count(what)
        self.type(keys)
        self.wait_for(lambda: self.text.count(what) > before)

    def settle(self, seconds: float = 2.0) -> None:
        """Wait for the rest of a picture, of which the text waited for may be the beginning.

        For so long at most: in a flood the program writes all the time.
        """
        end, quiet, seen = time.monotonic() + seconds, 0, -1
        while quiet < 20 and time.monotonic() < end:
            quiet = quiet + 1 if len(self._seen) == seen else 0
            seen = len(self._seen)
            time.sleep(0.01)

    def stop_reading(self) -> None:
        """Take nothing of what the program writes, like a terminal that was sent XOFF."""
        self._flowing.clear()

    def go_on_reading(self) -> None:
        """Take it again."""
        self._flowing.set()

    def hang_up(self) -> None:
        """Drop the line, as a lost SSH connection does."""
        if self._master >= 0:
            self._done = True
            self._flowing.set()
            self._reader.join(5)
            os.close(self._master)
            self._master = -1

    def has(self, words: str) -> bool:
        """Whether a text was written, on one line or broken at a blank."""
        text = self.text
        return words in text or words in " ".join(text[-NEWEST:].split())

    def wait_for(self, what: str | Callable[[], object], seconds: float = 20.0) -> None:
        """Wait until a text was written, or something is true."""
        is_true = (lambda: self.has(what)) if isinstance(what, str) else what
        end = time.monotonic() + seconds
        while not is_true():
            assert time.monotonic() < end, f"{what!r} not within {seconds} s: {self.text[-2000:]}"
            time.sleep(0.01)

    def processes(self) -> dict[int, str]:
        """Everything of the program that runs, by pid with its name.

        The commands that its collector runs get nothing of its environment.
        """
        wanted = f"{MARK}={self.mark}".encode()
        marked = {pid for pid in pids() if wanted in environment(pid).split(b"\0")}
        return {pid: comm(pid) for pid in pids() if pid in marked or parent(pid) in marked}

    def pid_of(self, name: str) -> int:
        """The process of that name, once it is there."""
        self.wait_for(lambda: name in self.processes().values())
        return next(pid for pid, comm in self.processes().items() if comm == name)

    def _read(self) -> None:
        while not self._done:
            if not self._flowing.wait(0.1):
                continue
            if select.select([self._master], [], [], 0.1)[0]:
                try:
                    self._seen += os.read(self._master, 65536)
                    if self._keep is not None and len(self._seen) > 2 * self._keep:
                        del self._seen[: -self._keep]
                except OSError:
                    return


def pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def environment(pid: int) -> bytes:
    """Empty for a process that is gone or a zombie."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def command_line(pid: int) -> bytes:
    """Empty for a process that is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def parent(pid: int) -> int:
    """Zero for a process that is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def kill(pid: int, number: int) -> None:
    """Send a signal; a process that is gone needs none."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
