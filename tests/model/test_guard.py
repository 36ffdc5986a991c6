"""The rate guard: trips once above its threshold, or on a loss."""

from __future__ import annotations

from tracetui.model.guard import WINDOW, Guard


def test_a_rate_below_the_threshold_never_trips():
    guard = Guard(threshold=1000)
    assert not any(guard.count(at / 100, 9) for at in range(1000))
    assert 850 <= guard.rate(9.99) <= 900


def test_it_trips_once_as_soon_as_a_window_holds_too_many():
    guard = Guard(threshold=1000)
    trips = [at for at in range(100) if guard.count(at / 100, 50)]
    assert trips == [20]
    assert guard.tripped
    assert guard.reason == "1,050 hops/s, over 1,000"


def test_hops_leave_the_window():
    guard = Guard(threshold=1000)
    assert not guard.count(0.0, 1000)
    assert guard.rate(WINDOW - 0.1) == 1000
    assert guard.rate(WINDOW) == 0
    assert not guard.count(WINDOW, 1000)


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
    assert len(guard._steps) <= 21
