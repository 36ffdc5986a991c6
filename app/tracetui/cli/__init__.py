"""The command line; the one place that wires kernel to collector and session to ui.

Exit status: 0 done, 1 it could not be done, 2 bad usage; one clear line on stderr, no traceback.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Sequence

from tracetui.cli.parser import parse
from tracetui.cli.terminal import have_streams, say, take_any_text
from tracetui.errors import Failure, TracetuiError, UsageError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status.

    Each command is a module that is imported when it runs, so that text commands load no Textual.
    """
    have_streams()
    take_any_text()
    try:
        options = parse(argv)
        command = importlib.import_module(f"tracetui.cli.{options.command}")
        status = int(command.run(options))
        sys.stdout.flush()
    except UsageError as error:
        return _complain(error, 2)
    except TracetuiError as error:
        return _complain(error, 1)
    except BrokenPipeError:
        _write_no_more()
        return 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
        _write_no_more()
        return _complain(Failure(f"standard output: {error.strerror}"), 1)
    except KeyboardInterrupt:
        return 130
    return status


def _write_no_more() -> None:
    """Let the interpreter's flush at exit not complain of an output that takes nothing."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(error: Exception, status: int) -> int:
    say(str(error))
    return status
