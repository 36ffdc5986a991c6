"""Common steps of the commands that trace live."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

from tracetui.cli.start import late
from tracetui.cli.terminal.terminal import say
from tracetui.errors import Failure
from tracetui.kernel import netns, privileges
from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.session.live.live import LiveSession
from tracetui.session.state.sent_command import SentCommand

COLLECTOR = "tracetui-collector"
"""The command of ``collector.command``."""
PROMPT = "tracetui: tracing needs root. Password for %p: "
"""Prompt of sudo (sudo(8), -p)."""
_QUOTED = re.compile(r"'[^']*(?: -c |tracetui-collector)[^']*'")
"""The whole command, as sudo quotes it."""
READY_SECONDS = 30.0
"""Seconds the collector may take to start: its sweep may have to wait for a lock."""


def check(options: argparse.Namespace) -> None:
    """Raise Failure where tracing can't work, before anything is started."""
    launcher()
    privileges.invoker()
    if options.netns and privileges.may_trace():
        netns.resolve(options.netns)


def launcher() -> tuple[str, ...]:
    """The words before the collector's command that make it root, if any are needed.

    Raises Failure where it can't be made root.
    """
    if privileges.may_trace():
        return ()
    sudo = shutil.which("sudo")
    if sudo is None:
        raise Failure("tracing needs root, and there is no sudo here: run it as root")
    return (sudo, "-p", PROMPT, "--")


def installed_collector() -> tuple[str, ...]:
    """The command that starts nothing but a collector, where it is beside this one.

    A line of sudoers(5) can allow that by name, and need not allow python.
    """
    for program in (Path(sys.argv[0]).absolute(), Path(sys.argv[0]).resolve()):
        collector = program.with_name(COLLECTOR)
        if program.name == "tracetui" and os.access(collector, os.X_OK):
            return (str(collector),)
    return ()


def start(
    options: argparse.Namespace,
    keep_readings: bool = False,
    called: Optional[str] = None,
    meanwhile: Optional[Callable[[], None]] = None,
) -> LiveSession:
    """A session as --netns, --source and --guard ask for, its node looked at; raises Failure.

    Without root its collector is started through sudo, which may ask for a password; with root
    this process becomes the invoking user, for the collector alone needs it. ``meanwhile`` is
    called before that, while the collector starts.
    """
    check(options)
    sudo = launcher()
    modes = _modes() if sudo else None
    session = LiveSession(
        options.netns,
        options.source,
        options.guard,
        called=called,
        keep_readings=keep_readings,
        launcher=sudo,
        program=installed_collector() if sudo else (),
    )
    try:
        if meanwhile is not None:
            meanwhile()
        late.give_up_root()
        wait_until_ready(session, may_ask=bool(sudo))
    except KeyboardInterrupt:
        session.abandon()
        # A sudo that was asked for a password may have ended without turning the echo on again.
        _restore(modes)
        raise
    except BaseException as error:
        session.close()
        if isinstance(error, Failure) and not session.has_begun and sudo:
            why = _QUOTED.sub("the collector", str(error))
            raise Failure(f"tracing needs root; {why}") from None
        raise
    return session


def _modes() -> Optional[list[Any]]:
    """The modes of the terminal; None without one (termios(3))."""
    try:
        return termios.tcgetattr(0)
    except termios.error:
        return None


def _restore(modes: Optional[list[Any]]) -> None:
    # From the background it would stop us (tcsetattr(3)).
    with contextlib.suppress(termios.error, OSError):
        if modes is not None and os.tcgetpgrp(0) == os.getpgrp():
            termios.tcsetattr(0, termios.TCSANOW, modes)


def wait_until_ready(session: LiveSession, may_ask: bool = False) -> None:
    """Wait until the node was looked at; raises Failure if the collector ends or takes too long.

    Where a password may be asked for, typing it may take any time.
    """
    end = time.monotonic() + READY_SECONDS
    while not session.is_ready:
        session.poll()
        if session.ended:
            raise Failure(session.status.why_not or "the collector ended")
        if may_ask and not session.has_begun:
            end = time.monotonic() + READY_SECONDS
        if time.monotonic() > end:
            raise Failure(f"the collector did not answer within {READY_SECONDS:.0f} s; try again")
        time.sleep(0.01)


def backend_of(session: LiveSession, options: argparse.Namespace) -> str:
    """The backend that was asked for, or for ``auto`` the node's."""
    requested: str = getattr(options, "backend", "auto")
    return session.status.node.backend if requested == "auto" else requested


def add_rules(
    session: LiveSession, rules: list[TraceRule], options: argparse.Namespace
) -> SentCommand:
    """Have the rules of RULE installed, on the backend that was asked for: all of them, or none.

    For ``auto`` the collector chooses, by what the tables hold when it adds them.
    """
    backend = getattr(options, "backend", "auto")
    return session.add_rules(rules, backend, getattr(options, "force", False))


def print_notices(session: LiveSession) -> None:
    """Print what the session has to say on standard error."""
    for notice in session.take_notices():
        say(notice.text)
