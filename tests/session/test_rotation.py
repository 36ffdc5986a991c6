"""Recordings in files of a bounded size: each replays by itself, with the rules its packets met."""

from __future__ import annotations

import io
import json

import pytest

from tracetui.errors import Failure
from tracetui.lab import recording
from tracetui.session.recording import output
from tracetui.session.recording.recording_reader import read_event
from tracetui.session.recording.rotation import RotatingWriter
from tracetui.session.replay.replay import ReplaySession
from tracetui.session.state.session import Status

LIMIT = 40_000


@pytest.fixture(scope="module")
def recorded():
    with recording.open_recording() as file:
        return file.read().decode().splitlines()


def replayed(*texts):
    session = ReplaySession([(str(at), io.BytesIO(text.encode())) for at, text in enumerate(texts)])
    session.read_all()
    assert session.status.skipped == 0
    return session


def rotated(recorded, limit=LIMIT):
    """The recording once more, in files of so many characters."""
    whole = replayed("\n".join(recorded))
    files = [io.StringIO()]

    def following():
        files.append(io.StringIO())
        return files[-1]

    writer = RotatingWriter(files[0], following, limit)
    writer.hello(Status(host="node-7"))
    packets = iter(whole.packets)
    for line in recorded:
        value = json.loads(line)
        if value["kind"] == "ruleset":
            value.pop("kind")
            writer.snapshot(value)
        elif value["kind"] == "packet":
            packet = next(packets)
            writer.packet(packet, whole.explain(packet))
    return whole, [file.getvalue() for file in files]


def test_each_file_explains_its_own_packets(recorded):
    whole, files = rotated(recorded)
    assert len(files) > 2
    told = []
    for text in files:
        kinds = [json.loads(line)["kind"] for line in text.splitlines()]
        assert kinds[:2] == ["hello", "ruleset"]
        session = replayed(text)
        told += [session.explain(packet) for packet in session.packets]
    expected = [whole.explain(packet) for packet in whole.packets]
    assert [one.verdict for one in told] == [one.verdict for one in expected]
    assert [[hop.rule for hop in one.hops] for one in told] == [
        [hop.rule for hop in one.hops] for one in expected
    ]


def test_all_of_them_together_are_the_whole(recorded):
    whole, files = rotated(recorded)
    again = replayed(*files)
    assert [packet.header for packet in again.packets] == [p.header for p in whole.packets]


def test_files_are_renamed_and_the_oldest_goes(tmp_path):
    name = str(tmp_path / "trace")
    for number in range(5):
        (tmp_path / "trace").write_text(str(number))
        output.shift(name, 3)
    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert kept == {"trace.1": "4", "trace.2": "3", "trace.3": "2"}


def test_what_cannot_be_renamed_is_said(tmp_path):
    with pytest.raises(Failure, match="No such file"):
        output.shift(str(tmp_path / "none"), 3)


@pytest.mark.parametrize(
    ("line", "lost", "text"),
    [
        ('{"kind":"loss","time":1.5,"lost":3,"unshown":4}', 7, ""),
        ('{"kind":"loss","lost":3}', 3, ""),
        (
            '{"kind":"guard","state":"tripped","reason":"9 hops/s"}',
            0,
            "the guard tripped: 9 hops/s",
        ),
    ],
)
def test_losses_and_trips_are_read_back(line, lost, text):
    event = read_event(line)
    assert (event.lost, event.text) == (lost, text)


@pytest.mark.parametrize(
    "line",
    [
        '{"kind":"loss"}',
        '{"kind":"loss","lost":"x"}',
        '{"kind":"guard","state":"tripped","reason":1}',
    ],
)
def test_damaged_ones_are_damage(line):
    with pytest.raises(ValueError, match="no line of ours"):
        read_event(line)
    session = ReplaySession([("x", io.BytesIO(line.encode()))])
    session.read_all()
    assert session.status.skipped == 1


def test_other_kinds_are_nothing(recorded):
    assert read_event('{"kind":"guard","state":"armed"}') is None
    assert read_event('{"kind":"packet"}') is None
