"""The rate guard: trips once on a flood or on a loss, and not on a burst."""

from __future__ import annotations

import pytest

from tracetui.model.tracing.guard import SUSTAINED_SECONDS, WINDOW_SECONDS, Guard


def first_trip(guard: Guard, hops_per_second: int, seconds: float) -> float | None:
    """Seconds into an even stream at which the guard trips; None if it does not."""
    for step in range(int(seconds * 1000)):
        at = step / 1000
        due = int((at + 0.001) * hops_per_second) - int(at * hops_per_second)
        if due and guard.count(1000 + at, due):
            return at
    return None


def test_a_rate_below_the_threshold_never_trips():
    guard = Guard(threshold=1000)
    assert first_trip(guard, 990, 10) is None
    assert 950 <= guard.rate(1009.999) <= 990


@pytest.mark.parametrize("times", [1.2, 2, 5, 50])
def test_a_flood_trips_before_300_milliseconds(times):
    guard = Guard(threshold=1000)
    at = first_trip(guard, int(1000 * times), 2)
    assert at is not None
    assert at < 0.3
    assert guard.tripped
    assert "over 1,000" in guard.reason


def test_what_trips_is_told():
    guard = Guard(threshold=1000)
    first_trip(guard, 2000, 1)
    rate, rest = guard.reason.split(" ", 1)
    assert 1700 <= int(rate.replace(",", "")) <= 2100
    assert rest == "hops/s for 240 ms, over 1,000"
    guard.arm()
    guard.count(5.0, 1001)
    assert guard.reason == "1,001 hops within a second, over 1,000"


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.1, 0.15])
def test_a_short_burst_passes(seconds):
    """Also one at many times the threshold's rate, as long as it is no whole second's worth."""
    guard = Guard(threshold=5000)
    for burst in range(5):
        for step in range(10):
            assert not guard.count(burst * WINDOW_SECONDS * 1.1 + step * seconds / 10, 490)


def test_bursts_with_pauses_pass_while_they_are_bearable_together():
    """One packet of nine hops every tenth of a second, and a threshold just above that."""
    guard = Guard(threshold=100)
    assert not any(guard.count(at / 10, 9) for at in range(100))


def test_it_trips_once():
    guard = Guard(threshold=1000)
    assert [at for at in range(100) if guard.count(at / 100, 50)] == [16]


def test_hops_leave_the_window():
    guard = Guard(threshold=1000)
    assert not guard.count(0.0, 1000)
    assert guard.rate(WINDOW_SECONDS - 0.1) == 1000
    assert guard.rate(WINDOW_SECONDS) == 0
    assert not guard.count(WINDOW_SECONDS, 1000)


def test_a_pause_ends_what_lasts():
    guard = Guard(threshold=1000)
    third = SUSTAINED_SECONDS / 3
    moments = [step * third / 4 for step in range(40) if step not in range(8, 16)]
    trips = [at for at in moments if guard.count(at, 30)]
    assert len(trips) == 1
    assert (
        16 * third / 4 + SUSTAINED_SECONDS * 2 / 3 <= trips[0] <= 16 * third / 4 + SUSTAINED_SECONDS
    )


def test_any_loss_trips_it():
    guard = Guard()
    assert not guard.lose("nflog", 0)
    assert guard.lose("nflog", 3)
    assert guard.reason == "the kernel dropped 3 records of nflog"
    assert not guard.lose("nflog", 3)


def test_armed_again_it_starts_from_nothing():
    guard = Guard(threshold=10)
    guard.count(0.0, 11)
    guard.arm()
    assert not guard.tripped
    assert guard.rate(0.0) == 0
    assert guard.count(0.1, 11)


def test_a_flood_does_not_grow_its_memory():
    guard = Guard(threshold=10**9)
    for at in range(100_000):
        guard.count(at / 100_000, 1)
    assert guard.rate(1.0) > 90_000
    assert len(guard._steps) <= 51
