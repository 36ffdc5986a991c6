"""Running other programs: found in root's own folders, with little of our environment.

With a time limit, and with nothing of them left after it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Optional

from tracetui.errors import CommandFailed, NotStarted

PROGRAM_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
"""Folders where programs are looked for first: those that only root can write to."""
_KEPT = ("XTABLES_LOCKFILE",)
"""Variables that a program of ours gets of our environment, beside :data:`PROGRAM_PATH`."""


def find(name: str) -> Optional[str]:
    """Find a program: in :data:`PROGRAM_PATH`, else where the environment's PATH has it."""
    return shutil.which(name, path=PROGRAM_PATH) or shutil.which(name)


def run(
    argv: Sequence[str],
    seconds: float,
    text: str = "",
    errors: str = "backslashreplace",
    settings: Mapping[str, str] = {},
) -> str:
    """Standard output of a command that reads ``text``; raises CommandFailed, NotStarted.

    ``settings`` are more variables of its environment. A command that takes longer than ``seconds``
    is killed with everything it started. Names in its output are UTF-8 whatever the locale, and
    ``errors`` is what becomes of those that are not; by default what the other sources of names
    make of them, so that they can be compared.
    """
    process = _start(argv, subprocess.PIPE, subprocess.PIPE, errors, settings)
    with process:
        try:
            out, err = process.communicate(text, seconds)
        except subprocess.TimeoutExpired:
            _kill(process)
            raise CommandFailed(argv, None, "") from None
        except BaseException:
            # Nobody waits for it any more: what it waits for, a lock, must not let it go on.
            _kill(process)
            raise
    if process.returncode:
        raise CommandFailed(argv, process.returncode, err)
    return str(out)


def lines(argv: Sequence[str], seconds: float) -> Iterator[str]:
    """Standard output of a command line by line, as it comes; raises CommandFailed, NotStarted.

    Its exit status does not matter.
    """
    with _start(argv, subprocess.DEVNULL, subprocess.DEVNULL, "replace") as process:
        assert process.stdout is not None  # noqa: S101 - what stdout=PIPE promises
        late = threading.Event()

        def stop() -> None:
            late.set()
            _kill(process)

        timer = threading.Timer(seconds, stop)
        timer.start()
        try:
            yield from process.stdout
        finally:
            timer.cancel()
        if late.is_set():
            raise CommandFailed(argv, None, "")


def _start(
    argv: Sequence[str], stdin: int, stderr: int, errors: str, settings: Mapping[str, str] = {}
) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            [word.encode(errors="surrogateescape") for word in argv],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            encoding="utf-8",
            errors=errors,
            # A library path of the user's must not reach what runs as root.
            env={"PROGRAM_PATH": PROGRAM_PATH, "LC_ALL": "C.UTF-8", **_kept(), **settings},
            cwd="/",
            # A group of its own: a wrapper script is killed with the program it waits for.
            start_new_session=True,
        )
    except (OSError, MemoryError) as error:
        # Nothing of it has run: subprocess says so of an exec that failed too.
        why = error.strerror if isinstance(error, OSError) else "no memory left"
        raise NotStarted(f"{argv[0]} could not be started: {why}") from None


def _kept() -> dict[str, str]:
    return {name: os.environ[name] for name in _KEPT if name in os.environ}


def _kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
