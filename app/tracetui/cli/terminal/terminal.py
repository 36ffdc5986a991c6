"""The user's terminal: its streams, messages on it, and the screen's needs of it."""

from __future__ import annotations

import io
import os
import sys

from tracetui.cli.terminal import encoding
from tracetui.errors import Failure
from tracetui.session.recording import outlet
from tracetui.session.text.sanitize import sanitize


def have_streams() -> None:
    """Open /dev/null where standard input, output or error is closed.

    Else the next file of ours would get its number, and be read or written in its place.
    """
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            stream = os.fdopen(fd, mode, encoding="utf-8", closefd=False)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def take_any_text() -> None:
    """Have standard output and error write our marks in ASCII where their encoding lacks them.

    Any other character that it lacks is written as an escape. A write of theirs that waits for a
    reader can be given up (``session.recording.outlet``).
    """
    encoding.register()
    for fd, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if not isinstance(stream, io.TextIOWrapper):
            continue
        if stream is getattr(sys, f"__{name}__"):
            # With PYTHONUNBUFFERED every line is to be seen at once.
            by_line = stream.line_buffering or stream.write_through
            ours = outlet.text_on(fd, stream.encoding, encoding.AS_TEXT, False, by_line)
            setattr(sys, name, ours)
        else:
            stream.reconfigure(errors=encoding.AS_TEXT)


def can_draw() -> bool:
    """Whether standard output is a terminal that a screen can be drawn on."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def say(text: str) -> None:
    """Print a sentence on standard error, sanitized."""
    # Nothing depends on it that somebody hears it: what is left to do must go on.
    try:
        print(f"tracetui: {sanitize(text)}", file=sys.stderr, flush=True)
    except OSError:
        ours = outlet.outlet_of(sys.stderr)
        if ours is not None:
            with ours.dropping():
                sys.stderr.flush()


def take_terminal(instead: str) -> None:
    """Read keys from the terminal and draw on it, whatever is redirected; raises Failure.

    Packets may come through standard input, and messages may go to a file. To be called before
    anything is started for a screen: without a terminal behind it, the screen would find the end of
    its input again and again. ``instead`` is what can be done without one.
    """
    if not can_draw():
        reason = ", and TERM says that this one is dumb" if sys.stdout.isatty() else ""
        raise Failure(f"the screen needs a terminal{reason}; {instead}")
    if not sys.stderr.isatty():
        # There Textual draws (textual/drivers/linux_driver.py); messages still go to the file.
        sys.__stderr__ = os.fdopen(  # type: ignore[misc]
            os.dup(1), "w", encoding=sys.stdout.encoding, errors=encoding.BY_CELLS
        )
    elif isinstance(sys.__stderr__, io.TextIOWrapper):
        sys.__stderr__.reconfigure(errors=encoding.BY_CELLS)
    if sys.stdin.isatty():
        return
    try:
        terminal = os.open("/dev/tty", os.O_RDWR)
    except OSError:
        raise Failure(f"the screen needs a terminal to read keys from; {instead}") from None
    os.dup2(terminal, 0)
    os.close(terminal)
