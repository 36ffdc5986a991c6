"""What comes in pieces: frames, commands, and an nf_tables ruleset in many datagrams."""

from __future__ import annotations

import contextlib
import struct

from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz import answers, damage, material, sane

from tracetui.errors import Failure
from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.protocol import commands, frames
from tracetui.protocol.commands import AddRules, CommandReader, Flush, Request, SetThreshold

STREAM = b"".join(
    (
        frames.encode_json(frames.HELLO, 1.0, {"host": "node-7"}),
        frames.encode(frames.RULESET, 2.0, b'{"what": "save"}\n*raw\nCOMMIT\n'),
        *(frames.encode(frames.NFLOG_RECORDS, 3.0, one) for one in material.NFLOG[:3]),
        frames.encode_json(frames.BYE, 4.0, {"hops": 3}),
    )
)
COMMANDS = b"".join(
    (
        commands.encode(Request(1, AddRules((TraceRule(proto="udp"),), "auto", False))),
        commands.encode(Request(2, SetThreshold(5000))),
        b"[" * 3000 + b"\n",
        commands.encode(Request(3, Flush(("ab12cd",)))),
    )
)
BIT_PATTERNS = st.binary(min_size=8, max_size=8)
SIZES = st.integers(1, 200)


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def fed(stream: list[bytes]) -> list[frames.Frame] | None:
    """The frames of a stream; None if it is refused."""
    reader = frames.FrameReader()
    try:
        return [frame for piece in stream for frame in reader.feed(piece)]
    except Failure:
        return None


@damage.few(200)
@given(damage.binaries([STREAM]) | st.binary(), SIZES)
def test_a_stream_gives_frames_or_is_refused_however_it_is_cut(data, size):
    found, got = fed([data]), fed(pieces(data, size))
    assert got == found
    for frame in found or ():
        sane.check(tuple(frame), len(data))
        for read in (frame.json, frame.text):
            with contextlib.suppress(Failure):
                read()


@damage.few(200)
@given(BIT_PATTERNS)
def test_a_frame_has_a_time_that_a_clock_can_show_or_is_refused(pattern):
    head = struct.pack("<IB", 0, frames.NFLOG_RECORDS) + pattern
    with contextlib.suppress(Failure):
        (frame,) = frames.FrameReader().feed(head)
        sane.check(frame.time, 1)
        assert frame.time >= 0


@damage.few(200)
@given(damage.binaries([COMMANDS]) | st.binary(), SIZES)
def test_commands_are_the_same_however_they_are_cut(data, size):
    whole = list(CommandReader().feed(data))
    reader = CommandReader()
    assert [one for piece in pieces(data, size) for one in reader.feed(piece)] == whole
    for one in whole:
        assert 0 <= one.id < commands.MAX_ID


@damage.few(200)
@given(st.data())
def test_an_nf_tables_ruleset_is_read_or_refused(data):
    """Each datagram of the answer may be damaged, missing, or there twice."""
    sent = []
    for one in material.DUMP:
        path = data.draw(st.integers(0, 9))
        damaged = data.draw(damage.binaries(material.DUMP)) if path == 0 else one
        sent += [damaged] * (path != 1) + [one] * (path == 2)
    with contextlib.suppress(Failure):
        sane.check(answers.outline(sent), sum(map(len, sent)))


@damage.few(200)
@given(st.integers(0, len(material.DUMP) - 1), st.data())
def test_an_attribute_of_any_size_is_read_or_refused(at, data):
    """The size of one attribute, at whatever depth, says something else."""
    damaged = bytearray(material.DUMP[at])
    place = data.draw(st.integers(0, len(damaged) // 4 - 1)) * 4
    size = data.draw(st.integers(0, 64) | st.integers(0, 0xFFFF))
    damaged[place : place + 2] = struct.pack("=H", size)
    sent = [*material.DUMP[:at], bytes(damaged), *material.DUMP[at + 1 :]]
    with contextlib.suppress(Failure):
        sane.check(answers.outline(sent), sum(map(len, sent)))
