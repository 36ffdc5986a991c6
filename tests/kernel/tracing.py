"""A live session on a lab with one rule in place."""

from __future__ import annotations

import time
from contextlib import contextmanager

from tracetui.lab.network import Lab
from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.session.live.live import LiveSession


@contextmanager
def traced(lab: Lab, backend: str, chain: str = "PREROUTING", limit=None, **fields):
    """A session whose rule traces what ``fields`` of TraceRule say, the rulesets read before."""
    session = LiveSession(lab.node, threshold=50_000)
    try:
        wait_for(session, lambda: session.is_ready)
        rule = TraceRule(chain=chain, **fields)._replace(
            limit=limit, expires=int(time.time()) + 120
        )
        session.add_rules([rule], backend, override=True)
        wait_for(session, lambda: session.rules)
        history = session.rulesets.histories[backend]
        latest = history.latest
        wait_for(session, lambda: history.latest >= min(latest + 1, 2))
        yield session
    finally:
        session.close()


def wait_for(session: LiveSession, is_true, seconds: float = 15.0) -> None:
    """Poll the session until something is true."""
    end = time.monotonic() + seconds
    while not is_true():
        session.poll()
        assert time.monotonic() < end, [notice.text for notice in session.take_notices()]
        time.sleep(0.01)


def explained(session: LiveSession, is_meant) -> tuple:
    """The first packet that is meant, once nothing about it is pending, and its explanation."""

    def found():
        return [packet for packet in session.packets if is_meant(packet)]

    wait_for(session, found)
    quiet = time.monotonic() + 0.6
    wait_for(session, lambda: time.monotonic() > quiet)
    wait_for(session, lambda: not session.explain(found()[0]).is_pending)
    return found()[0], session.explain(found()[0])
