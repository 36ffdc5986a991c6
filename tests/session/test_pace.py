"""The rhythm of a replay, by a clock that the test sets."""

from __future__ import annotations

import io

import pytest
from tests.recorded import RECORDINGS, SEED_HOPS

from tracetui.session.replay.pace import Pace
from tracetui.session.replay.replay import ReplaySession


class Clock:
    """Stands until the test moves it."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize(("speed", "wait"), [(1.0, 3.0), (10.0, 0.3), (0.5, 6.0)])
def test_a_hop_waits_as_long_as_it_came_later(speed, wait):
    clock = Clock()
    pace = Pace(speed, clock)
    assert not pace.is_early(50.0)
    assert pace.is_early(53.0)
    assert pace.seconds_left == pytest.approx(wait)
    clock.now += wait
    assert not pace.is_early(53.0)
    assert not pace.is_waiting


def test_without_a_pace_or_a_stamp_nothing_waits():
    assert not Pace(None).is_early(5.0)
    pace = Pace(1.0, Clock())
    assert not pace.is_early(5.0)
    assert not pace.is_early(None)


def test_a_log_that_begins_anew_does_not_wait_for_its_old_days():
    clock = Clock()
    pace = Pace(1.0, clock)
    pace.is_early(5000.0)
    assert not pace.is_early(10.0)
    assert pace.is_early(12.0)
    assert pace.seconds_left == pytest.approx(2.0)


def test_packets_come_in_their_own_rhythm():
    text = (RECORDINGS / "seed-eks-forward.log").read_bytes()
    session = ReplaySession([("seed", io.BytesIO(text))], speed=2.0)
    while session.status.hops < 12:
        session.poll()
    session.poll()
    # The rest of the first packet came a second later.
    assert session.status.hops == 12
    session.read_all()
    assert [len(packet.hops) for packet in session.packets] == SEED_HOPS
