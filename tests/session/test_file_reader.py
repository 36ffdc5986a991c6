"""Files as they come: packed in any way, cut, growing, rotated, through a pipe."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import shutil
import sys
import time

import pytest
import zstandard
from tests.recorded import RECORDINGS, SEED_HOPS

from tracetui.session.replay.compressed import plain
from tracetui.session.replay.file_reader import END, FileReader
from tracetui.session.replay.replay import ReplaySession
from tracetui.session.replay.text_lines import LONGEST_LINE, LONGEST_RECORD, TextLines

SEED = (RECORDINGS / "seed-eks-forward.log").read_bytes()
PACKED = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}
PATIENCE = 20.0


def replayed(*files, follow=False):
    session = ReplaySession([(f"file {at}", file) for at, file in enumerate(files)], follow=follow)
    session.read_all()
    return session


def hops(session):
    return [len(packet.hops) for packet in session.packets]


@pytest.mark.parametrize("kind", PACKED)
def test_packed_files_are_known_by_how_they_begin(kind):
    assert hops(replayed(io.BytesIO(PACKED[kind](SEED)))) == SEED_HOPS


@pytest.mark.parametrize("kind", ["gzip", "xz", "bzip2"])
def test_packed_files_one_after_the_other_in_one_are_read_whole(kind):
    half = SEED.index(b"\n", len(SEED) // 2) + 1
    both = PACKED[kind](SEED[:half]) + PACKED[kind](SEED[half:])
    assert hops(replayed(io.BytesIO(both))) == SEED_HOPS


@pytest.mark.parametrize("kind", ["gzip", "xz", "bzip2"])
def test_of_a_cut_one_what_is_there_is_read_and_the_cut_is_said(kind):
    packed = PACKED[kind](os.urandom(200_000).hex().encode() + b"\n" + SEED)
    session = replayed(io.BytesIO(packed[: len(packed) - 40]), io.BytesIO(SEED))
    (notice,) = session.take_notices()
    assert notice.severity == "error"
    assert notice.text.startswith("file 0: it ends in the middle")
    assert hops(session)[-6:] == SEED_HOPS


@pytest.mark.parametrize("kind", PACKED)
def test_a_damaged_one_is_said(kind):
    packed = bytearray(PACKED[kind](SEED * 50))
    packed[len(packed) // 2 :] = os.urandom(len(packed) - len(packed) // 2)
    session = replayed(io.BytesIO(bytes(packed)))
    assert session.take_notices()[0].severity == "error"


def test_what_this_python_cannot_unpack_is_said_with_the_remedy(monkeypatch):
    for module in ("compression.zstd", "pyzstd", "zstandard"):
        monkeypatch.setitem(sys.modules, module, None)
    session = replayed(io.BytesIO(PACKED["zstd"](SEED)))
    (notice,) = session.take_notices()
    assert "`zstdcat FILE | tracetui replay -` can" in notice.text


@pytest.mark.parametrize("head", [b"", b"\x1f", b"BZh", b"BZhello\n", b"\xfd7zXZ", b"\x1f\x8c\n"])
def test_what_only_begins_like_a_packed_file_is_text(head):
    if head == b"BZh":
        with pytest.raises(EOFError):
            plain(io.BytesIO(head)).read()
        return
    assert plain(io.BytesIO(head)).read() == head


def test_a_bomb_is_unpacked_piece_by_piece():
    feed = FileReader("bomb", io.BytesIO(gzip.compress(bytes(50 << 20))))
    sizes = []
    while (piece := feed.take(PATIENCE)) != END:
        sizes.append(len(piece))
    assert sum(sizes) == 50 << 20
    assert max(sizes) <= 1 << 18


def until(session, is_so):
    end = time.monotonic() + PATIENCE
    while not is_so():
        session.poll()
        assert time.monotonic() < end


def test_a_file_that_grows_is_followed_through_rotation_and_cutting(tmp_path):
    path = tmp_path / "kern.log"
    lines = SEED.splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:10]) + lines[10][:50])
    with path.open("rb") as file:
        session = ReplaySession([(str(path), file)], follow=True)
        until(session, lambda: session.status.hops == 10)
        with path.open("ab") as more:
            more.write(lines[10][50:] + b"".join(lines[11:22]))
        until(session, lambda: session.status.hops == 22)
        shutil.move(path, tmp_path / "kern.log.1")
        path.write_bytes(b"".join(lines[22:40]))
        until(session, lambda: session.status.hops == 40)
        path.write_bytes(b"")
        time.sleep(0.5)  # in which its reader sees that it was cut: nothing shows that it did
        path.write_bytes(b"".join(lines[40:]))
        until(session, lambda: session.status.hops == len(lines))
        assert not session.ended
        assert session.status.skipped == 0
        assert hops(session) == SEED_HOPS
        session.close()


def test_a_new_file_that_may_not_be_read_ends_it_with_a_word(tmp_path, monkeypatch):
    path = tmp_path / "kern.log"
    path.write_bytes(SEED)
    with path.open("rb") as file:
        session = ReplaySession([(str(path), file)], follow=True)
        until(session, lambda: session.status.hops == sum(SEED_HOPS))
        opened = type(path).open

        def shut(self, *args, **kwargs):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(type(path), "open", shut)
        path.unlink()
        with opened(path, "wb") as new:
            new.write(SEED)
        until(session, lambda: session.ended)
        monkeypatch.setattr(type(path), "open", opened)
    assert "was replaced by a file that this user may not read" in session.take_notices()[0].text


def test_a_pipe_that_has_nothing_holds_nobody_up():
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as file, os.fdopen(writer, "wb") as out:
        session = ReplaySession([("-", file)])
        for _ in range(3):
            session.poll()
        assert not session.ended
        out.write(SEED)
        out.flush()
        until(session, lambda: session.status.hops == sum(SEED_HOPS))
        assert not session.ended
        out.close()
        until(session, lambda: session.ended)
        assert hops(session) == SEED_HOPS


def test_lines_come_whole_however_the_pieces_are():
    text = b"one\n\ntwo three\n" + b"x" * (LONGEST_LINE + 5) + b"\nlast"
    expected = [b"one", b"", b"two three", b"x" * LONGEST_LINE, b"x" * 5, b"last"]
    for size in (1, 7, 1000, len(text)):
        lines = TextLines()
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        fed = [some for piece in pieces for some in lines.feed(piece)]
        found = [line for some in fed for line in some.split(b"\n")]
        assert [*found, *lines.finish()] == expected, size


def test_a_line_of_our_record_is_longer_and_bounded_too():
    ours = b'{"kind":"ruleset","x":"' + b"y" * (2 * LONGEST_LINE)
    lines = TextLines()
    assert list(lines.feed(ours)) == []
    assert list(lines.feed(b'"}\n')) == [ours + b'"}']
    found = 0
    for _ in range(1 + LONGEST_RECORD // len(ours)):
        found += len(list(lines.feed(ours)))
    assert found == 1


def test_how_much_was_read_is_told(tmp_path):
    (tmp_path / "log").write_bytes(SEED * 300)
    with (tmp_path / "log").open("rb") as file:
        session = ReplaySession([("log", file)])
        seen = []
        while not session.ended:
            session.poll()
            seen.append(session.status.progress)
    told = [one for one in seen if one is not None]
    assert told == sorted(told)
    assert 0 < told[0] < told[-1] <= 1
    assert session.status.progress is None
