"""The session's end of the pipe, with a program at the other end that writes what it is told to."""

from __future__ import annotations

import sys
import time

from tracetui.protocol import frames
from tracetui.session.live.client import CollectorClient

HOPS = 1000


def test_the_state_is_known_before_the_hops_that_wait():
    """A trip of the guard must not wait until a flood was taken in, nor a reply."""
    hop = frames.encode(frames.KMSG_RECORDS, 1.0, b"x")
    status = frames.encode_json(frames.STATUS, 2.0, {"rate": 1})
    reading = frames.encode_json(frames.READING, 3.0, {"at": "end"})
    rules = frames.encode_json(frames.RULES, 2.0, {"rules": []})
    reply = frames.encode_json(frames.REPLY, 2.0, {"id": 1})
    data = hop * HOPS + status + rules + reply + reading + hop
    code = f"import sys; sys.stdout.buffer.write({data!r}); sys.stdout.flush(); sys.stdin.read()"
    client = CollectorClient([], launcher=(sys.executable, "-c", code))
    try:
        end = time.monotonic() + 20
        while len(client._queue._frames) < HOPS + 2 and time.monotonic() < end:
            time.sleep(0.01)
        kinds = []
        while len(kinds) < HOPS + 5 and time.monotonic() < end:
            frame = client.take()
            if frame is not None:
                kinds.append(frame.kind)
        assert kinds[:3] == [frames.STATUS, frames.RULES, frames.REPLY]
        # What the hops' order depends on keeps its place among them.
        assert kinds[3:] == [frames.KMSG_RECORDS] * HOPS + [frames.READING, frames.KMSG_RECORDS]
    finally:
        client.close(lambda _: None)
