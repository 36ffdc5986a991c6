"""A collector that writes what a test tells it to, in the place of a real one."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from tracetui.protocol import frames
from tracetui.session.live.live import LiveSession

GUARD = {"threshold": 5000, "tripped": False, "muted": False, "trips": []}
STATUS = {
    "rate": 0, "hops": 0, "lost": 0, "unshown": 0, "guard": GUARD,
    "sources": [{"name": "nftrace", "state": "on", "detail": ""}],
}  # fmt: skip
NODE = {
    "backends": ["nft"], "backend": "nft", "why": "", "commands": {}, "rules": {"nft": 1},
    "tag": "tracetui:1.2.3",
}  # fmt: skip
RULE = {
    "backend": "nft", "family": 4, "chain": "OUTPUT", "words": ["-j", "TRACE"], "packets": 0,
    "bytes": 0, "comment": None, "expires": None, "mine": False, "is_watched": False, "position": 1,
}  # fmt: skip
RULES = {"rules": [RULE], "sysctls": {}}
BYE = {"hops": 0, "lost": 0, "removed": [], "why": None}
READING = {"backend": "nft", "reading": 1, "at": "begin"}
CHAIN = {"backend": "nft", "family": "ip", "table": "raw", "chain": "OUTPUT", "time": 1.0}
NOTICE = {"severity": "error", "text": "something else went wrong"}
REPLY = {
    "id": 1, "error": None, "text": "", "remedy": "", "rules": [RULE], "undone": [], "left": [],
}  # fmt: skip
COMMAND = "sys.stdin.buffer.readline()"
"""Python that waits for a command."""
UNTIL_TOLD = "sys.stdin.buffer.read()"
"""Python that waits until it is told to end, as a collector does."""


def json_frame(kind: int, value: Mapping[str, Any], at: float = 1.0) -> bytes:
    return frames.encode_json(kind, at, value)


def hello() -> str:
    """Python that tells who the collector is: the process itself."""
    return (
        "from tracetui.protocol import frames; import os; "
        "write(frames.encode_json(frames.HELLO, 1.0, {'host': 'node-7', 'pid': os.getpid()}))"
    )


def reply(**values: object) -> str:
    """Python that answers the first command, and with what values."""
    return f"write({json_frame(frames.REPLY, {**REPLY, **values})!r})"


def launcher(*lines: str) -> tuple[str, ...]:
    """Words that run lines of Python in which ``write`` sends bytes up the pipe."""
    begin = [
        "import signal, sys, time",
        "def write(data):",
        "    sys.stdout.buffer.write(data)",
        "    sys.stdout.buffer.flush()",
    ]
    return (sys.executable, "-c", "\n".join([*begin, *lines]))


def session(*lines: str) -> LiveSession:
    """A live session over such a collector."""
    return LiveSession(launcher=launcher(*lines))


def poll_until(one: LiveSession, is_true: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not is_true():
        one.poll()
        assert time.monotonic() < end, [notice.text for notice in one.take_notices()]
        time.sleep(0.01)
