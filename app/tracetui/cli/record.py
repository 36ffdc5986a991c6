"""``tracetui record``: a trace without a screen, as NDJSON."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TextIO

from tracetui.cli import options as shared
from tracetui.cli import tracing
from tracetui.cli.terminal import say
from tracetui.errors import Failure, UsageError
from tracetui.kernel import privileges
from tracetui.model.view_filter import ViewFilter
from tracetui.session import output
from tracetui.session.live import LiveSession
from tracetui.session.recorder import Recorder
from tracetui.session.recording import RecordingWriter
from tracetui.session.rotation import RotatingWriter

ADD_SECONDS = 30.0
"""How long adding the rules may take: iptables may have to wait for its lock."""


def run(options: argparse.Namespace) -> int:
    """Record until told to stop; the exit status."""
    rules = shared.rules(options)
    tracing.check(options)
    with ExitStack() as stack:
        writer = _writer(options, stack)
        stopped = stack.enter_context(tracing.stop_on_signals())
        session = tracing.start(options, keep_readings=True)
        recorder = Recorder(session, writer, ViewFilter.parse(expression=options.filter))

        def tell() -> None:
            tracing.print_notices(session)

        try:
            tracing.add_rules(session, rules, options)
            _wait_until_added(session, len(rules), stopped)
            writer.hello(session.status)
            recorder.run(options.seconds, options.packets, stopped, tell)
        finally:
            session.close(tell)
            tell()
        recorder.finish(options.packets)
        writer.bye(session.status, recorder.packets)
        _say_totals(session, recorder.packets)
        if session.status.guard.tripped:
            raise Failure(
                f"the guard tripped: {session.status.guard.reason}; narrow the RULE or its --limit"
            )
    return 0


def _writer(options: argparse.Namespace, stack: ExitStack) -> RecordingWriter:
    """What writes to the file, or with --rotate to one after the other; raises Failure."""
    files = stack.enter_context(ExitStack())

    def opened() -> TextIO:
        with privileges.acting_as_invoker():
            return files.enter_context(output.opened(options.write))

    def following() -> TextIO:
        files.close()
        with privileges.acting_as_invoker():
            output.shift(options.write, options.keep)
        return opened()

    if options.rotate is None:
        return RecordingWriter(opened())
    if options.write == "-":
        raise UsageError("--rotate needs a file: -w FILE")
    return RotatingWriter(opened(), following, options.rotate)


def _wait_until_added(session: LiveSession, rules: int, stopped: Callable[[], bool]) -> None:
    """Wait for the outcome of each rule; raises Failure with the first that was refused."""
    end = time.monotonic() + ADD_SECONDS
    outcomes = 0
    while outcomes < rules and not stopped():
        session.poll()
        for notice in session.take_notices():
            if notice.severity == "error":
                raise Failure(notice.text)
            outcomes += notice.text.startswith("added ")
            say(notice.text)
        if time.monotonic() > end:
            raise Failure(
                f"the rule was not added within {ADD_SECONDS:.0f} s: iptables is busy; try again"
            )
        time.sleep(0.01)


def _say_totals(session: LiveSession, packets: int) -> None:
    status = session.status
    say(f"{packets} packets, {status.hops} hops, {status.lost} lost")
