"""Packets of a replay handed on: all of them, in order, each once, however few are kept."""

from __future__ import annotations

import io

from tests.recorded import SEED_HOPS, lines

from tracetui.model.view_filter import ViewFilter
from tracetui.session.printout import Printout
from tracetui.session.replay import ReplaySession
from tracetui.session.store import PacketStore

SEED = lines("seed-eks-forward.log")


def many(packets: int) -> bytes:
    made = []
    for number in range(packets):
        made += [line.replace("ID=26039 ", f"ID={number} ") for line in SEED[:22]]
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


def test_a_filter_holds_back_those_that_go_too():
    found = printed(many(400), 500, "not host 172.31.47.174 or less 10")
    assert found == []
