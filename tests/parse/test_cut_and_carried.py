"""Traces that copies cut, and that other formats carry."""

from __future__ import annotations

import io
import json

import pytest
from tests.recorded import RECORDINGS, assembled, hops_of

from tracetui.model.trace.assembler import Assembler
from tracetui.model.trace.batch import batches_of
from tracetui.session.replay.replay import ReplaySession

FIELD = RECORDINGS / "field"
BARE = [
    f"kernel: [ 7018.72{at}278] TRACE: {place} IN=enp9s0 ..."
    for at, place in enumerate(
        ("raw:PREROUTING:policy:2", "mangle:PREROUTING:policy:1", "filter:INPUT:policy:1")
    )
]
WHOLE = (
    "TRACE: {} IN=eth0 OUT= SRC=192.0.2.1 DST=198.51.100.1 LEN=60 TOS=0x00 PREC=0x00 TTL=64 "
    "ID=7 DF PROTO=TCP SPT=4000 DPT=80 SEQ=1 ACK=0 WINDOW=1 RES=0x00 SYN URGP=0"
)
CUT = "TRACE: {} IN=eth0 OUT= SRC=192.0.2.1 DST=198.51.100.1 LEN"


def test_neighbours_of_which_only_the_places_are_left_make_one_packet_that_is_ambiguous():
    (packet,) = assembled(hops_of(BARE))
    assert len(packet.hops) == 3
    assert packet.ambiguous
    assembler, found = Assembler(), {}
    assembler.take(batches_of(hops_of(BARE)), lambda one, _: found.setdefault(one.id, one))
    assert [len(one.hops) for one in found.values()] == [3]


def test_places_that_are_in_no_legal_order_are_of_several_packets():
    assert [len(packet.hops) for packet in assembled(hops_of(BARE * 2))] == [3, 3]
    assert [len(packet.hops) for packet in assembled(hops_of(BARE[::-1]))] == [1, 1, 1]


def test_a_last_line_that_is_cut_behind_its_addresses_joins_its_packet():
    lines = [
        WHOLE.format("raw:PREROUTING:policy:2"),
        WHOLE.format("nat:PREROUTING:rule:1"),
        CUT.format("nat:KUBE-SERVICES:rule:13"),
    ]
    (packet,) = assembled(hops_of(lines))
    assert (len(packet.hops), packet.nat, packet.header.dport) == (3, None, 80)
    lines[-1] = lines[-1].replace("DST=198.51.100.1", "DST=198.51.100.2")
    assert len(assembled(hops_of(lines))) == 2


LINE = WHOLE.format("filter:INPUT:rule:1")


@pytest.mark.parametrize(
    ("carrier", "time"),
    [
        ({"version": "1.1", "short_message": LINE, "timestamp": 1767323045.1}, 1767323045.1),
        ({"labels": {"host": "n1"}, "line": LINE, "timestamp": "2026-01-02T03:04:05Z"}, 1767323045),
        ({"stream": {"a": "b"}, "values": [["1767323045100000000", LINE]]}, 1767323045.1),
        (
            {"data": {"result": [{"stream": {}, "values": [["1767323045100000000", LINE]]}]}},
            1767323045.1,
        ),
        ({"line": LINE}, None),
        ({"short_message": LINE, "timestamp": 1e300}, None),
    ],
)
def test_a_line_that_gelf_or_loki_carries_is_read_with_its_time(carrier, time):
    (hop,) = hops_of([json.dumps(carrier)])
    assert hop.place == "filter:INPUT:rule:1"
    assert hop.time == time


def test_a_line_of_a_container_s_log_is_read():
    (hop,) = hops_of([f"2026-01-02T03:04:05.100000000Z stdout F {LINE}"])
    assert (hop.place, hop.time) == ("filter:INPUT:rule:1", 1767323045.1)


def test_trace_ids_that_are_shorter_or_say_that_they_are_hexadecimal_are_read():
    packets = assembled(hops_of((FIELD / "shortid.txt").read_text().splitlines()))
    assert [packet.hops[0].trace_id for packet in packets] == [0xA62, 0x1A2B3C4D]
    assert packets[0].header.dport == 443


def replayed(data: bytes) -> ReplaySession:
    session = ReplaySession([("a", io.BytesIO(data))])
    session.read_all()
    return session


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_in_utf_16_is_read(encoding):
    mark = "" if encoding == "utf-16" else "\ufeff"
    session = replayed((mark + LINE + "\n" + LINE.replace("ID=7", "ID=8")).encode(encoding))
    assert [packet.header.ip_id for packet in session.packets] == [7, 8]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("TRACE: filter:INPUT:jump:1 IN=eth0", "of no form that is known"),
        ("trace id 0a0b0c0d inet t c something else", "of no form that is known"),
    ],
)
def test_lines_that_begin_as_a_record_and_are_not_read_are_named_by_their_reason(line, why):
    session = replayed(f"{line}\n{line}\nsomething else\n".encode())
    (notice,) = session.take_notices()
    assert notice.text.startswith("a: 2 lines of TRACE could not be read: ")
    assert why in notice.text


def test_prose_about_traces_is_not_named():
    session = replayed(b"a TRACE target; TRACE: packets are logged\n")
    assert session.take_notices() == []
    assert session.status.skipped == 1
