"""Running other programs: with a time limit, and with nothing of them left after it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence

from tracetui.errors import CommandFailed, Failure


def run(
    argv: Sequence[str], seconds: float, text: str = "", errors: str = "backslashreplace"
) -> str:
    """Standard output of a command that reads ``text``; raises CommandFailed.

    A command that takes longer than ``seconds`` is killed with everything it started. Names in its
    output are UTF-8 whatever the locale, and ``errors`` is what becomes of those that are not; by
    default what the other sources of names make of them, so that they can be compared.
    """
    process = _start(argv, subprocess.PIPE, subprocess.PIPE, errors)
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
    """Standard output of a command line by line, as it comes; raises CommandFailed.

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


def _start(argv: Sequence[str], stdin: int, stderr: int, errors: str) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            [word.encode(errors="surrogateescape") for word in argv],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            encoding="utf-8",
            errors=errors,
            # A group of its own: a wrapper script is killed with the program it waits for.
            start_new_session=True,
        )
    except OSError as error:
        raise Failure(f"{argv[0]}: {error.strerror}") from None


def _kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
