"""Packets of a replay handed on: all of them, in order, each once, however few are kept."""

from __future__ import annotations

import io

import pytest
from tests.recorded import SEED_HOPS, lines

from tracetui.model.filter.view_filter import ViewFilter
from tracetui.session.replay.printout import Printout
from tracetui.session.replay.replay import ReplaySession
from tracetui.session.state.store import PacketStore

SEED = lines("seed-eks-forward.log")


STAMP = SEED[0][: SEED[0].index("TRACE: ")]


def many(packets: int, stamp: str = STAMP) -> bytes:
    made = []
    for number in range(packets):
        made += [
            line.replace("ID=26039 ", f"ID={number} ").replace(STAMP, stamp) for line in SEED[:22]
        ]
    return "\n".join(made).encode()


def printed(text: bytes, capacity: int, expression: str = ""):
    session = ReplaySession([("log", io.BytesIO(text))], PacketStore(capacity))
    found = []
    printout = Printout(
        session,
        ViewFilter.parse(expression=expression),
        lambda packet, _: found.append((packet.header.ip_id, len(packet.hops))),
    )
    printout.run()
    assert printout.packets == len(found)
    return found


def test_more_hops_than_are_kept_are_all_handed_on_in_order():
    assert printed(many(400), 500) == [(number, 22) for number in range(400)]


def test_what_is_kept_is_handed_on_at_the_end():
    text = "\n".join(SEED).encode()
    assert [hops for _, hops in printed(text, 1_000_000)] == SEED_HOPS


@pytest.mark.parametrize("stamp", [STAMP, ""])
def test_they_are_handed_on_long_before_the_end_though_no_stamp_tells_that_they_ended(stamp):
    session = ReplaySession([("log", io.BytesIO(many(1500, stamp)))], PacketStore(1_000_000))
    found, read = [], []

    def out(packet, _):
        found.append((packet.header.ip_id, len(packet.hops)))
        read.append(session.status.hops)

    Printout(session, ViewFilter.parse(), out).run()
    assert found == [(number, 22) for number in range(1500)]
    assert read[0] < 30_000 < read[-1]


def test_one_that_goes_on_after_that_is_handed_on_again():
    head, tail = "\n".join(SEED[:20]).encode(), "\n".join(SEED[20:22]).encode()
    text = head.replace(b"ID=26039 ", b"ID=9999 ") + b"\n" + many(4000)
    text += b"\n" + tail.replace(b"ID=26039 ", b"ID=9999 ")
    session = ReplaySession([("log", io.BytesIO(text))], PacketStore(1_000_000))
    found = []
    printout = Printout(
        session, ViewFilter.parse(), lambda packet, _: found.append((packet.id, len(packet.hops)))
    )
    printout.run()
    assert [hops for packet_id, hops in found if packet_id == 1] == [20, 22]
    assert printout.packets == 4001 == len(found) - 1


def test_a_filter_holds_back_those_that_go_too():
    found = printed(many(400), 500, "not host 172.31.47.174 or less 10")
    assert found == []
