"""Lines that are read fast are read as all others are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.recorded import RECORDINGS, lines

from tracetui.parse.line_reader import LineReader
from tracetui.parse.log import record_body, trace_record
from tracetui.parse.log.line_buffer import LineBuffer
from tracetui.parse.log.plain_dmesg import KEPT, PlainDmesg, read_usual

TCP = (
    "IN=eth0 OUT=cali7 MAC=02:19:e6:40:fc:c8:02:55:96:c9:21:66:08:00 SRC=10.0.0.1 DST=10.0.0.2 "
    "LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=26039 DF PROTO=TCP SPT=20648 DPT=8090 SEQ=17 ACK=0 "
    "WINDOW=62727 RES=0x00 SYN URGP=0 OPT (0204) UID=0 GID=0 MARK=0x4000"
)
UDP = (
    "IN= OUT=lo SRC=10.0.0.1 DST=10.0.0.2 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=7 PROTO=UDP "
    "SPT=53 DPT=1024 LEN=40"
)
PLACES = ("raw:PREROUTING:rule:1", "nat:KUBE-SVC-X:return:12", "filter:FORWARD:policy:3")
RECORDED = [
    line[line.index("IN=") :]
    for name in ("seed-eks-forward.log",)
    for line in lines(name)
    if "IN=" in line
]
PUBLIC = Path(os.environ.get("TRACETUI_PUBLIC_RECORDINGS", RECORDINGS))
OTHERS = [
    path
    for directory in sorted({RECORDINGS, PUBLIC})
    for path in sorted(directory.glob("*"))
    if path.suffix in (".log", ".txt", ".dmesg")
]


def slowly(line: str):
    found = trace_record.find(line)
    return trace_record.hop(
        found, trace_record.body_of(line, found), float(line[1 : line.index("]")])
    )


def hop_of(reader: PlainDmesg, line: str):
    found = [hop for piece in reader.pieces(LineBuffer(line), 0) for hop in piece.hops]
    return found[0] if found else None


@pytest.mark.parametrize("rest", [TCP, UDP, *RECORDED])
@pytest.mark.parametrize("where", PLACES)
def test_a_line_is_the_same_hop_however_often_it_came(rest, where):
    reader = PlainDmesg()
    for stamp in ("[    1.000001] ", "[12345.678901] ", "[    1.000001] "):
        line = f"{stamp}TRACE: {where} {rest}"
        assert hop_of(reader, line) == slowly(line)


@pytest.mark.parametrize("rest", [TCP, UDP])
def test_most_lines_are_of_the_usual_kind(rest):
    assert read_usual(rest) is not None
    assert read_usual(rest) == record_body.read(rest).state
    assert read_usual(f"{rest} ") == record_body.read(rest).state


@given(st.sampled_from([TCP, UDP]), st.data())
def test_a_damaged_line_is_what_it_is_with_more_care_or_is_left_to_it(rest, data):
    text = list(rest)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at] = data.draw(st.sampled_from(["", " ", "0", "x", "=", "SRC=", "999", "."]))
    found = read_usual("".join(text))
    assert found is None or (found, True) == record_body.read("".join(text).strip())


@given(st.sampled_from([TCP, UDP]), st.data())
def test_a_stamp_or_place_that_is_none_is_none_after_any_number_of_good_ones(rest, data):
    reader = PlainDmesg()
    good = f"[    1.000001] TRACE: raw:PREROUTING:rule:1 {rest}"
    assert hop_of(reader, good) is not None
    text = list(good[: good.index("IN=")])
    at = data.draw(st.integers(0, len(text) - 1))
    text[at] = data.draw(st.sampled_from(["", "e", "_", "-", "\u0661", "]", " ", "1", ":"]))
    line = "".join(text) + rest
    found = hop_of(reader, line)
    assert found == hop_of(PlainDmesg(), line)
    if found is not None:
        assert found == slowly(line)


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.name)
@pytest.mark.parametrize("most", [0, 1000, 1 << 20])
def test_a_file_read_with_the_fast_way_is_what_it_is_without(path, most, monkeypatch):
    text = path.read_bytes().decode(errors="backslashreplace")
    fast, block, with_it = LineReader(), LineBuffer(text), []
    while not block.is_done:
        found = fast.take_plain(block, most)
        with_it += [hop for piece in found for hop in piece.hops] or fast.feed(block.take())
    with_it += fast.finish()
    monkeypatch.setattr(PlainDmesg, "pieces", lambda *_: [])
    slow = LineReader()
    without = [hop for line in text.split("\n") for hop in slow.feed(line)] + slow.finish()
    assert with_it == without
    assert (fast.lines, fast.skipped, fast.lost) == (slow.lines, slow.skipped, slow.lost)


def test_what_never_comes_again_is_forgotten():
    reader = PlainDmesg()
    for number in range(2 * KEPT):
        line = f"[    1.000001] TRACE: raw:C{number}:rule:1 {UDP.replace('ID=7', f'ID={number}')}"
        assert hop_of(reader, line).header.ip_id == number
    assert len(reader._known) <= KEPT
    assert len(reader._places["ip"]) <= KEPT


def test_a_blank_line_between_plain_ones_is_counted():
    plain = [f"[    1.00000{number}] TRACE: raw:PREROUTING:rule:1 {UDP}" for number in range(6)]
    text = "\n".join([*plain[:4], "", plain[4], "", "", plain[5], "x"])
    reader, block = LineReader(), LineBuffer(text)
    while not block.is_done:
        if not reader.take_plain(block, 1 << 16):
            reader.feed(block.take())
    assert reader.lines == text.count("\n") + 1
    assert reader.take_skipped() == [(10, "no TRACE record")]
