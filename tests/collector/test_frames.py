"""The pipe upwards: frames, and what the collector keeps of them until they are taken."""

from __future__ import annotations

import contextlib
import os
import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracetui.collector.reactor.outbox import HOLD_SECONDS, HOP_BOUND, Outbox
from tracetui.errors import Failure
from tracetui.protocol import frames
from tracetui.protocol.frames import Frame, FrameReader


@given(st.lists(st.tuples(st.integers(1, 30), st.binary(max_size=300))), st.integers(1, 64))
def test_frames_survive_any_cutting_of_the_stream(sent, size):
    expected = [Frame(kind, 1.5, payload) for kind, payload in sent]
    stream = b"".join(frames.encode(*frame[:2], frame.payload) for frame in expected)
    reader = FrameReader()
    got = [f for at in range(0, len(stream), size) for f in reader.feed(stream[at : at + size])]
    assert got == expected


@given(st.lists(st.tuples(st.binary(max_size=300), st.floats(0, 1e10)), min_size=1))
def test_records_come_out_as_they_went_in(sent):
    records, times = zip(*sent)
    stream = frames.encode_records(frames.NFLOG_RECORDS, records, times)
    (frame,) = FrameReader().feed(stream)
    assert list(frame.records()) == sent
    assert frame.time == times[-1]


@given(st.integers(0, 60), st.binary(max_size=4))
def test_records_that_were_damaged_are_refused_or_are_other_records(at, damage):
    whole = frames.encode_records(frames.NFLOG_RECORDS, [b"abc", b"defg"], [1.0, 2.0])[13:]
    payload = whole[:at] + damage + whole[at + len(damage) :]
    for one in (payload, whole[:at]):
        try:
            found = list(Frame(frames.NFLOG_RECORDS, 1.0, one).records())
        except Failure:
            continue
        assert (
            b"".join(record for record, _ in found)
            == one[len(one) - sum(len(r) for r, _ in found) :]
        )


@pytest.mark.parametrize("time", [float("nan"), float("inf"), -1.0, 1e12])
def test_a_record_of_no_time_is_not_ours(time):
    (frame,) = FrameReader().feed(
        frames.encode_records(frames.NFLOG_RECORDS, [b"a", b"b"], [time, 1.0])
    )
    with pytest.raises(Failure):
        list(frame.records())


def test_a_stream_that_is_not_ours_is_refused():
    with pytest.raises(Failure):
        FrameReader().feed(struct.pack("<IBd", 1 << 30, 1, 0.0))


PUT = 100
"""Records of a megabyte, more than may wait."""


def test_a_pipe_nobody_reads_drops_hops_and_counts_them_but_keeps_the_rest():
    out, into = os.pipe()
    box = Outbox(into)
    for number in range(PUT):
        # Records of two sources are in frames of their own.
        kind = frames.NFLOG_RECORDS if number % 2 else frames.NFTRACE_RECORDS
        box.put_hops(kind, [bytes(1 << 20)], [float(number)])
        box.write()
    kept = HOP_BOUND >> 20
    assert PUT - kept - 3 <= box.dropped <= PUT - kept
    box.put(frames.STATUS, {"hops": PUT})
    got = emptied(box, out)
    os.close(into)
    os.close(out)
    hops = [time for frame in got[:-1] for _, time in frame.records()]
    assert hops == [float(number) for number in range(PUT - box.dropped)]
    assert got[-1].json() == {"hops": PUT}


def emptied(box: Outbox, out: int) -> list[Frame]:
    reader, got = FrameReader(), []
    while not box.is_empty:
        box.write()
        got += reader.feed(os.read(out, 1 << 20))
    os.set_blocking(out, False)
    with contextlib.suppress(BlockingIOError):
        while data := os.read(out, 1 << 20):
            got += reader.feed(data)
    return got


def test_hops_wait_for_others_but_not_for_long_and_nothing_overtakes_them():
    out, into = os.pipe()
    box = Outbox(into)
    box.put_hops(frames.NFLOG_RECORDS, [b"a"], [1.0])
    box.put_hops(frames.NFLOG_RECORDS, [b"b", b"c"], [2.0, 3.0])
    box.write()
    assert box.is_empty
    assert box.due <= time.monotonic() + HOLD_SECONDS
    time.sleep(max(0.0, box.due - time.monotonic()))
    box.write()
    box.put_hops(frames.NFLOG_RECORDS, [b"d"], [4.0])
    box.put_hops(frames.NFTRACE_RECORDS, [b"e"], [5.0])
    box.put(frames.READING, {})
    first, second, third, last = emptied(box, out)
    os.close(into)
    os.close(out)
    assert list(first.records()) == [(b"a", 1.0), (b"b", 2.0), (b"c", 3.0)]
    assert list(second.records()) == [(b"d", 4.0)]
    assert (third.kind, list(third.records())) == (frames.NFTRACE_RECORDS, [(b"e", 5.0)])
    assert last.kind == frames.READING


def test_a_pipe_whose_reader_left_is_broken():
    out, into = os.pipe()
    os.close(out)
    box = Outbox(into)
    box.put(frames.STATUS, {})
    box.write()
    os.close(into)
    assert box.broken


@pytest.mark.parametrize("payload", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b"9" * 5000])
def test_a_frame_that_holds_no_object_is_refused(payload):
    frame = Frame(frames.STATUS, 1.0, payload)
    with pytest.raises(Failure):
        frame.json()
    with pytest.raises(Failure):
        frame.text()


@pytest.mark.parametrize("time", [float("nan"), float("inf"), -1.0, 1e12])
def test_a_frame_of_no_time_is_not_ours(time):
    """Such a time would be a hop's, and no distance to it could be shown."""
    with pytest.raises(Failure):
        FrameReader().feed(frames.encode(frames.NFLOG_RECORDS, time, b""))


def test_the_largest_frame_in_the_smallest_pieces_is_put_together_once():
    """Each piece made a copy of all before it: minutes."""
    stream = frames.encode(frames.RULESET, 1.0, bytes(frames.MAX_PAYLOAD))
    reader = FrameReader()
    got = [f for at in range(0, len(stream), 512) for f in reader.feed(stream[at : at + 512])]
    assert [len(frame.payload) for frame in got] == [frames.MAX_PAYLOAD]


def test_a_reply_finds_room_where_nothing_else_does():
    """A session that takes nothing in is answered all the same, up to a bound of its own."""
    out, into = os.pipe()
    box = Outbox(into)
    text = "x" * (1 << 20)
    while box.put(frames.NOTICE, {"text": text}):
        pass
    replies = 0
    while box.put(frames.REPLY, {"text": text}):
        replies += 1
    os.close(into)
    os.close(out)
    assert 10 < replies < 20
