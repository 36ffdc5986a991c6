"""The next packet, or hop, that something is true of: forwards, backwards, round the end."""

from __future__ import annotations

import io
import time

from tests.recorded import RECORDINGS

from tracetui.session.replay.replay import ReplaySession
from tracetui.session.view.seek import Seek, SeekTarget, dropped, mentions

FOREVER = float("inf")


def session():
    replay = ReplaySession(
        [("seed", io.BytesIO((RECORDINGS / "seed-eks-forward.log").read_bytes()))]
    )
    replay.read_all()
    return replay


def target(replay, start, step, test):
    seek = Seek(list(replay.packets), start, step, test)
    assert seek.work(FOREVER)
    return seek.target and (seek.target.packet.id, seek.target.hop)


def test_each_place_of_a_text_is_met_once_on_the_way_round():
    replay = session()
    test = mentions("mangle:", replay.explanations)
    points = [
        (packet.id, at)
        for packet in replay.packets
        for at, hop in enumerate(packet.hops)
        if hop.table == "mangle"
    ]
    assert len(points) > 3
    for step, order in ((1, points), (-1, points[::-1])):
        start, met = None, []
        for _ in points:
            met.append(target(replay, start, step, test))
            start = SeekTarget(replay.packets.get(met[-1][0]), met[-1][1])
        assert met == order
        assert target(replay, start, step, test) == order[0]


def test_a_packet_itself_is_found_by_what_its_line_says():
    replay = session()
    first = replay.packets.get(1)
    assert target(replay, None, 1, mentions("22 hops", replay.explanations)) == (1, None)
    again = target(replay, SeekTarget(first, None), 1, mentions("22 hops", replay.explanations))
    assert again == (1, None)


def test_what_is_nowhere_is_not_found():
    replay = session()
    assert target(replay, None, 1, mentions("no such text", replay.explanations)) is None
    assert target(replay, None, -1, dropped(replay.explanations)) is None


def test_it_stops_in_time_and_goes_on_where_it_was():
    replay = session()
    packets = list(replay.packets) * 20
    looked = []
    seek = Seek(packets, None, 1, lambda packet: looked.append(packet.id) or ())
    rounds = 0
    while not seek.work(time.monotonic()):
        rounds += 1
    assert rounds > 3
    assert looked == [packet.id for packet in packets]
    assert seek.checked == len(packets)
