"""Sessions with a real collector, without a screen."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.session.live.live import LiveSession


@contextmanager
def live(namespace, **options) -> Iterator[LiveSession]:
    """A session that has looked at the namespace."""
    session = LiveSession(namespace.name, **options)
    try:
        poll_until(session, lambda: session.is_ready)
        yield session
    finally:
        session.close()


def rule(seconds: int = 600, **fields) -> TraceRule:
    """A rule for datagrams that leave, unless told otherwise, with so long to its end."""
    wanted = {"chain": "OUTPUT", "family": 4, "proto": "udp", "limit": None, **fields}
    return TraceRule(**wanted)._replace(expires=int(time.time()) + seconds)


def add(session: LiveSession, wanted: TraceRule, backend: str) -> None:
    """Add a rule and wait for it, whatever it costs."""
    mine = sum(one.mine for one in session.rules)
    session.add_rules([wanted], backend, override=True)
    poll_until(session, lambda: sum(one.mine for one in session.rules) > mine)


def poll_until(session: LiveSession, is_true: Callable[[], object], seconds: float = 10.0) -> None:
    """Poll until something is true; fails with what the session has to say."""
    end = time.monotonic() + seconds
    while not is_true():
        session.poll()
        assert time.monotonic() < end, [notice.text for notice in session.take_notices()]
        time.sleep(0.01)


def poll_for(session: LiveSession, seconds: float) -> None:
    """Poll for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        session.poll()
        time.sleep(0.01)


class Told:
    """What a session told the user so far."""

    def __init__(self, session: LiveSession) -> None:
        self._session = session
        self.texts: list[str] = []

    def __contains__(self, words: str) -> bool:
        self.texts += [notice.text for notice in self._session.take_notices()]
        return any(words in text for text in self.texts)


def quiet(session: LiveSession) -> None:
    """Wait until no more hops are told."""
    hops, since = -1, time.monotonic()
    while time.monotonic() - since < 1.5:
        session.poll()
        if session.status.hops != hops:
            hops, since = session.status.hops, time.monotonic()
        time.sleep(0.02)


def send(namespace, packets: int, pause: float = 0.0) -> None:
    """So many datagrams over loopback, with a pause after each."""
    namespace.run(sys.executable, "-c", sender(packets, pause))


def sender(packets: int, pause: float = 0.0) -> str:
    """The program that does it."""
    return (
        "import socket, time\n"
        "out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        f"for number in range({packets}):\n"
        "    out.sendto(b'x' * (number % 1000), ('127.0.0.1', 9))\n"
        + (f"    time.sleep({pause})\n" if pause else "")
    )
