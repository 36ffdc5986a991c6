"""``tracetui record``: a trace without a screen, as NDJSON."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from tracetui.cli import options as shared
from tracetui.cli import tracing
from tracetui.cli.terminal import say
from tracetui.errors import Failure
from tracetui.session.live import LiveSession
from tracetui.session.recorder import Recorder
from tracetui.session.recording import RecordingWriter

ADD_SECONDS = 30.0
"""How long adding the rules may take: iptables may have to wait for its lock."""


def run(options: argparse.Namespace) -> int:
    """Record until told to stop; the exit status."""
    rules = shared.rules(options)
    tracing.check(options)
    with _output(options.write) as out, tracing.stop_on_signals() as stopped:
        session = tracing.start(options, keep_readings=True)
        writer = RecordingWriter(out)
        recorder = Recorder(session, writer)
        try:
            tracing.wait_until_ready(session)
            tracing.add_rules(session, rules, options)
            _wait_until_added(session, len(rules), stopped)
            writer.hello(session.status)
            recorder.run(
                options.seconds, options.packets, stopped, lambda: tracing.print_notices(session)
            )
        finally:
            session.close()
        recorder.finish(options.packets)
        writer.bye(session.status, recorder.packets)
        tracing.print_notices(session)
        _say_totals(session, recorder.packets)
        if session.status.guard.tripped:
            raise Failure(f"the guard tripped: {session.status.guard.reason}")
    return 0


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
            raise Failure("the rules could not be added in time")
        time.sleep(0.01)


def _say_totals(session: LiveSession, packets: int) -> None:
    status = session.status
    say(f"{packets} packets, {status.hops} hops, {status.lost} lost")


@contextmanager
def _output(name: str) -> Iterator[TextIO]:
    """The file, readable by its owner only, or standard output for ``-``; raises Failure."""
    if name == "-":
        # With PYTHONUNBUFFERED, sys.stdout loses what a write left over that a signal interrupted.
        with open(sys.stdout.fileno(), "w", encoding=sys.stdout.encoding, closefd=False) as out:
            yield out
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    try:
        fd = os.open(name, flags, 0o600)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise Failure(f"{name}: {why}") from None
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        yield file
