"""The full screen over a session, whatever its packets come from."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tracetui.cli.terminal.terminal import say
from tracetui.errors import Failure
from tracetui.kernel.module_files import ModuleFiles
from tracetui.session.node.module_reader import ModuleReader
from tracetui.session.state.session import Session
from tracetui.session.user import filter_history, settings
from tracetui.session.user.filter_history import FilterHistory
from tracetui.session.user.settings import Settings
from tracetui.ui.app import TraceApp

EXIT_SECONDS = 5.0
"""Seconds a screen may take to end: a stopped terminal (XOFF) holds it for ever."""
_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)


def show(session: Session, expression: str = "") -> int:
    """Run the screen, then close the session and say what that did; the exit status.

    ``expression`` is the filter in force at first.
    """

    def tell() -> None:
        for notice in session.take_notices():
            say(notice.text)

    path = settings.file()
    chosen, wrong = settings.load(path)
    for sentence in wrong:
        say(sentence)
    history_file = filter_history.file()
    history = filter_history.load(history_file)
    modules = ModuleReader(ModuleFiles())
    try:
        app = TraceApp(session, modules, settings=chosen, history=history, expression=expression)
        with _ended_by_signals(app, session):
            app.run()
    finally:
        session.close(tell)
        tell()
    for name in app.unfinished:
        say(f"{name}: incomplete: the screen was left before it was written")
    if app.fault is not None:
        raise app.fault
    _save_settings(app.settings, chosen, path)
    _save_filters(history, history_file)
    return app.return_code or 0


def _save_settings(now: Settings, before: Settings, path: Path) -> None:
    """Write the settings if they are others than before; a disk that can't is only told."""
    try:
        if now != before:
            settings.save(path, now)
    except Failure as error:
        say(str(error))


def _save_filters(history: FilterHistory, path: Path) -> None:
    try:
        filter_history.save(path, history)
    except Failure as error:
        say(str(error))


@contextmanager
def _ended_by_signals(app: TraceApp, session: Session) -> Iterator[None]:
    """Have a signal remove our rules at once and then end the screen, even one that hangs.

    Handlers of Python's own run while the program waits for a terminal that takes nothing; those of
    the event loop would not.
    """

    def end(number: int, _: object) -> None:
        session.leave()
        app.exit_soon()
        last = threading.Timer(EXIT_SECONDS, os._exit, [128 + number])
        last.daemon = True
        last.start()

    before = {number: signal.signal(number, end) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
