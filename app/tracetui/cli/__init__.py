"""The command line; the one place that wires kernel to collector and session to ui.

Exit status: 0 done, 1 it could not be done, 2 bad usage; one clear line on stderr, no traceback.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from tracetui.cli.parser import parser
from tracetui.cli.terminal import say, take_any_text
from tracetui.errors import TracetuiError, UsageError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status.

    Each command is a module that is imported when it runs, so that text commands load no Textual.
    """
    take_any_text()
    options = parser().parse_args(argv)
    command = importlib.import_module(f"tracetui.cli.{options.command}")
    try:
        return int(command.run(options))
    except UsageError as error:
        return _complain(error, 2)
    except TracetuiError as error:
        return _complain(error, 1)
    except BrokenPipeError:
        # The reader of our output left; the interpreter's flush at exit must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130


def _complain(error: Exception, status: int) -> int:
    say(str(error))
    return status
