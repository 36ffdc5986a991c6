"""The run of one command, from its words to its exit status or its error."""

from __future__ import annotations

import errno
import gc
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Optional

from tracetui.cli.grammar.parser import parse
from tracetui.cli.grammar.usage import Parser
from tracetui.cli.start import interruption
from tracetui.cli.terminal.terminal import have_streams, say, take_any_text
from tracetui.errors import TracetuiError, UsageError
from tracetui.session.recording.outlet import outlet_of

GARBAGE_THRESHOLDS = (5_000, 4_000, 1_000)
"""New objects after which cycles are looked for among them, such looks after which it is done among
those that stayed, and such after which it is done among all.

That is rarer than usual, and never among what was imported: hops come by the ten thousand a second,
and none of them is in a cycle. To look at them again and again took a tenth to a third of the time
that a replay took, and a screen stood still for a tenth of a second. It looks when nothing else is
to be done (``ui.garbage``).
"""
_OUTPUT_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
_TOO_LITTLE = {
    errno.EMFILE: "this process may open no more files (ulimit -n)",
    errno.ENFILE: "the node has no room for more open files (sysctl fs.file-max)",
    errno.ENOMEM: "there is not enough memory here (ulimit -v, or a cgroup's limit)",
    errno.EAGAIN: "no more processes or threads can be started here (ulimit -u, ulimit -v, or a "
    "cgroup's limit)",
}
"""Errors of a process that has too little of something, and where that is set (getrlimit(2))."""
_NO_THREAD = "can't start new thread"
"""CPython's words (Modules/_threadmodule.c)."""


def run(argv: Optional[Sequence[str]] = None) -> int:
    """Run one command; the exit status.

    Each command is a module that is imported when it runs, so that text commands load no Textual.
    """
    # What is imported is in no cycle either.
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    try:
        with interruption.ending_at_once(_shut_streams):
            have_streams()
            take_any_text()
            status = _run_and_tell(argv)
    except KeyboardInterrupt as end:
        _shut_streams()
        status = getattr(end, "status", 130)
    return status


def _run_and_tell(argv: Optional[Sequence[str]]) -> int:
    """Run the command, and say in one line why it could not be done; the exit status."""
    try:
        status = _run(argv)
        sys.stdout.flush()
    except TracetuiError as error:
        say(str(error))
        _write_what_is_left()
        return 1
    except BrokenPipeError:
        _shut_output()
        return 1
    except OSError as error:
        if error.errno in _OUTPUT_FULL:
            _shut_output()
        say(_why(error))
        return 1
    except MemoryError:
        say(_TOO_LITTLE[errno.ENOMEM])
        return 1
    except Exception as error:
        if _NO_THREAD in str(error):
            say(_TOO_LITTLE[errno.EAGAIN])
        else:
            _tell_fault(error)
        return 1
    return status


def _run(argv: Optional[Sequence[str]]) -> int:
    """Run the command that was typed, or say what is wrong with it; the exit status."""
    try:
        options = parse(argv)
        command = importlib.import_module(f"tracetui.cli.commands.{options.command}")
        gc.freeze()
        try:
            return int(command.run(options))
        except UsageError as error:
            parser: Parser = options.parser
            parser.error(str(error))
    except SystemExit as end:  # argparse's way to end
        return int(end.code or 0)


def _why(error: OSError) -> str:
    """A sentence for an error that no command expects; one of our own making is reported."""
    if error.errno in _OUTPUT_FULL:
        return f"standard output: {error.strerror}"
    if error.errno in _TOO_LITTLE:
        return _TOO_LITTLE[error.errno]
    return _report(error)


def _tell_fault(error: Exception) -> None:
    _shut_output()
    say(_report(error))


def _report(error: Exception) -> str:
    from tracetui.cli.start import fault

    return fault.report(error)


def _write_what_is_left() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        _shut_output()


def _shut_streams() -> None:
    """Have nothing wait for a reader any more that stands still, the interpreter's end included."""
    _shut_output()
    outlet = outlet_of(sys.stderr)
    if outlet is not None:
        outlet.shut()


def _shut_output() -> None:
    """Let the interpreter's flush at exit not complain of an output that takes nothing."""
    outlet = outlet_of(sys.stdout)
    if outlet is not None:
        outlet.shut()
    else:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)
