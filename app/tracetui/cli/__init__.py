"""The command line; the one place that wires kernel to collector and session to ui.

Exit status: 0 done, 1 it could not be done, 2 bad usage; one clear line on stderr, no traceback.
"""

from __future__ import annotations

import errno
import gc
import importlib
import os
import sys
from collections.abc import Sequence

from tracetui.cli.parser import parse
from tracetui.cli.terminal import have_streams, say, take_any_text
from tracetui.cli.usage import Parser
from tracetui.errors import TracetuiError, UsageError

GARBAGE = (5_000, 4_000, 1_000)
"""New objects after which cycles are looked for among them, such looks after which it is done among
those that stayed, and such after which it is done among all.

That is rarer than usual, and never among what was imported: hops come by the ten thousand a second,
and none of them is in a cycle. To look at them again and again took a tenth to a third of the time
that a replay took, and a screen stood still for a tenth of a second. It looks when nothing else is
to be done (``ui.garbage``).
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status.

    Each command is a module that is imported when it runs, so that text commands load no Textual.
    """
    # What is imported is in no cycle either.
    gc.set_threshold(*GARBAGE)
    have_streams()
    take_any_text()
    try:
        status = _run(argv)
        sys.stdout.flush()
    except TracetuiError as error:
        say(str(error))
        _write_what_is_left()
        return 1
    except BrokenPipeError:
        _write_no_more()
        return 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
        _write_no_more()
        say(f"standard output: {error.strerror}")
        return 1
    except KeyboardInterrupt:
        return 130
    return status


def _run(argv: Sequence[str] | None) -> int:
    """Run the command that was typed, or say what is wrong with it; the exit status."""
    try:
        options = parse(argv)
        command = importlib.import_module(f"tracetui.cli.{options.command}")
        gc.freeze()
        try:
            return int(command.run(options))
        except UsageError as error:
            asked: Parser = options.parser
            asked.error(str(error))
    except SystemExit as end:  # argparse's way to end
        return int(end.code or 0)


def _write_what_is_left() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        _write_no_more()


def _write_no_more() -> None:
    """Let the interpreter's flush at exit not complain of an output that takes nothing."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
