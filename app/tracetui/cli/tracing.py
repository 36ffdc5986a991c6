"""What every command that traces live does first and last."""

from __future__ import annotations

import argparse
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tracetui.cli.terminal import say
from tracetui.errors import Failure
from tracetui.kernel import netns, privileges
from tracetui.model.rule import TraceRule
from tracetui.session.live import LiveSession

READY_SECONDS = 30.0
"""How long the collector may take to look at the node: its sweep may have to wait for a lock."""


def check(options: argparse.Namespace) -> None:
    """Raise Failure where tracing can't work, before anything is started."""
    if not privileges.may_trace():
        raise Failure("tracing needs root: try again with sudo")
    if options.netns:
        netns.resolve(options.netns)


def start(options: argparse.Namespace, keep_readings: bool = False) -> LiveSession:
    """A session as --netns, --source and --guard ask for; raises Failure."""
    check(options)
    return LiveSession(options.netns, options.source, options.guard, keep_readings=keep_readings)


def wait_until_ready(session: LiveSession) -> None:
    """Wait until the node was looked at; raises Failure if the collector ends or takes too long."""
    end = time.monotonic() + READY_SECONDS
    while not session.is_ready:
        session.poll()
        if session.ended:
            raise Failure(session.status.why_not or "the collector ended")
        if time.monotonic() > end:
            raise Failure("the collector did not answer")
        time.sleep(0.01)


def add_rules(session: LiveSession, rules: list[TraceRule], options: argparse.Namespace) -> None:
    """Have the rules of RULE installed, on the backend that was asked for."""
    backend = getattr(options, "backend", "auto")
    if backend == "auto":
        backend = session.status.node.backend
    for rule in rules:
        session.add_rule(rule, backend, getattr(options, "force", False))


def print_notices(session: LiveSession) -> None:
    """Print what the session has to say on standard error."""
    for notice in session.take_notices():
        say(notice.text)


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Catch the signals that end a command; what is yielded tells whether one came."""
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        signal.signal(number, lambda caught, _: came.append(caught))
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
