"""``tracetui record``: a trace without a screen, as NDJSON."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TextIO

from tracetui.cli.commands import tracing
from tracetui.cli.grammar import options as shared
from tracetui.cli.start import interruption
from tracetui.cli.start.interruption import Stop
from tracetui.cli.terminal.terminal import say
from tracetui.errors import Failure, UsageError
from tracetui.kernel import privileges
from tracetui.model.filter.view_filter import ViewFilter
from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.session.live.live import LiveSession
from tracetui.session.live.recorder import Recorder
from tracetui.session.recording import output
from tracetui.session.recording.outlet import outlet_of
from tracetui.session.recording.recording import RecordingWriter
from tracetui.session.recording.rotation import RotatingWriter
from tracetui.session.state.sent_command import SentCommand

ADD_SECONDS = 30.0
"""Seconds that adding the rules may take: iptables may have to wait for its lock."""


def run(options: argparse.Namespace) -> int:
    """Record until told to stop; the exit status."""
    rules = shared.rules(options)
    tracing.check(options)
    with ExitStack() as stack:
        files = _Files(options, stack)
        writer = files.writer()
        session = tracing.start(options, keep_readings=True)
        with interruption.noted(session.leave, options.seconds) as stop:
            tripped = _record(options, session, rules, writer, stop)
            lost = _missing_end(files)
    if lost and stop.number is None:
        raise Failure(lost)
    if lost:
        say(lost)
        return 128 + (stop.number or 0)
    if tripped:
        raise Failure(tripped)
    return 0


def _record(
    options: argparse.Namespace,
    session: LiveSession,
    rules: list[TraceRule],
    writer: RecordingWriter,
    stop: Stop,
) -> str:
    """Have the rules added, and write what comes; why the guard tripped, if it did."""
    recorder = Recorder(session, writer, ViewFilter.parse(expression=options.filter))

    def tell() -> None:
        tracing.print_notices(session)

    try:
        _refuse_without_source(session, options)
        _wait_until_added(session, tracing.add_rules(session, rules, options), stop)
        writer.hello(session.status)
        recorder.run(options.seconds, options.packets, stop, tell)
    finally:
        session.close(tell)
        tell()
    recorder.finish(options.packets)
    writer.bye(session.status, recorder.packets)
    _say_totals(session, recorder.packets)
    guard = session.status.guard
    if not guard.tripped:
        return ""
    return f"the guard tripped: {guard.reason}; narrow the RULE or its --limit"


class _Files:
    """The file of a recording, or with --rotate one after the other."""

    def __init__(self, options: argparse.Namespace, stack: ExitStack) -> None:
        if options.rotate is not None and options.write == "-":
            raise UsageError("--rotate needs a file: -w FILE")
        user = privileges.invoker()
        self.name = output.expanded(options.write, user.home if user else None)
        self._options = options
        self._open = stack.enter_context(ExitStack())
        self._overwrite = options.overwrite
        self.stream: TextIO
        """The one that is written to now."""

    def writer(self) -> RecordingWriter:
        """The writer of the recording; raises Failure."""
        limit = self._options.rotate
        if limit is None:
            return RecordingWriter(self._opened())
        if not self._overwrite:
            with privileges.acting_as_invoker():
                output.refuse_older(self.name, self._options.keep)
        return RotatingWriter(self._opened(), self._next_stream, limit)

    def _opened(self) -> TextIO:
        with privileges.acting_as_invoker():
            opened = output.opened(self.name, self._overwrite)
            self.stream = self._open.enter_context(opened)
        return self.stream

    def _next_stream(self) -> TextIO:
        self._open.close()
        with privileges.acting_as_invoker():
            output.shift(self.name, self._options.keep)
        return self._opened()


def _missing_end(files: _Files) -> str:
    """The sentence about an output that was given up; empty where it took everything."""
    outlet = outlet_of(files.stream)
    if outlet is None or not outlet.is_shut:
        return ""
    name = "standard output" if files.name == "-" else files.name
    return f"{name}: writing was blocked, so the end of the recording is missing"


def _refuse_without_source(session: LiveSession, options: argparse.Namespace) -> None:
    """Raise Failure where no source of hops of the rules' backend is open, or can be opened.

    One that fails beside it is told, and the others go on.
    """
    backend = tracing.backend_of(session, options)
    serving = ("nftrace",) if backend == "nft" else ("nflog", "kmsg")
    states = [source for source in session.status.sources if source.name in serving]
    if states and all(source.state == "failed" for source in states):
        raise Failure(
            f"no source can receive the hops of {backend} rules: "
            + "; ".join(f"{source.name}: {source.detail}" for source in states)
        )


def _wait_until_added(session: LiveSession, sent: SentCommand, stopped: Callable[[], bool]) -> None:
    """Wait for the reply to the command that adds the rules; raises Failure where none was added.

    What else went wrong is told, and what works goes on.
    """
    end = time.monotonic() + ADD_SECONDS
    why = "iptables is busy"
    while sent.outcome is None and not stopped():
        session.poll()
        for notice in session.take_notices():
            if notice.command_id == sent.id and sent.is_refused:
                raise Failure(notice.text)
            if notice.severity == "error":
                why = notice.text
            say(notice.text)
        if session.ended:
            raise Failure(session.status.why_not or "the collector ended")
        if time.monotonic() > end:
            raise Failure(f"the rule was not added in time: {why}; try again")
        time.sleep(0.01)
    if sent.outcome is not None and sent.is_refused and not stopped():
        raise Failure(f"no rule added: {sent.outcome.why}")


def _say_totals(session: LiveSession, packets: int) -> None:
    status = session.status
    say(f"{packets} packets, {status.hops} hops, {status.lost} lost")
