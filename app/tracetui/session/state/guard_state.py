"""The rate guard as the collector reports it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from tracetui.model.tracing.guard import DEFAULT_THRESHOLD
from tracetui.model.tracing.installed_rule import InstalledRule


class BusyRule(NamedTuple):
    """A TRACE rule that is not this session's, and what it traced after ours were gone."""

    rate: int
    """Packets per second."""
    rule: InstalledRule


class Trip(NamedTuple):
    """A trip of the guard."""

    at: float
    """Seconds since the epoch."""
    reason: str
    removed: Optional[tuple[str, ...]] = None
    """The rules it removed, one line each; None while they are being removed."""
    foreign: tuple[BusyRule, ...] = ()
    """Rules of others that went on tracing, the busiest first."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Trip:
        """Build a trip from what the collector sends."""
        removed = value["removed"]
        return cls(
            at=value["at"],
            reason=value["reason"],
            removed=None if removed is None else tuple(removed),
            foreign=tuple(
                BusyRule(rule_record["rate"], InstalledRule.from_json(rule_record["rule"]))
                for rule_record in value["foreign"]
            ),
        )


class GuardState(NamedTuple):
    """The guard at one moment."""

    threshold: int = DEFAULT_THRESHOLD
    """Hops per second."""
    tripped: bool = False
    """Whether it has tripped and was not armed since."""
    is_muted: bool = False
    """Whether the sources are closed, because the flood went on without our rules."""
    trips: tuple[Trip, ...] = ()
    """The last ones, oldest first."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> GuardState:
        """Build a state from what the collector sends."""
        trips = tuple(Trip.from_json(trip) for trip in value["trips"])
        return cls(value["threshold"], value["tripped"], value["muted"], trips)

    @property
    def trip(self) -> Optional[Trip]:
        """The trip that holds; None while the guard is armed."""
        return self.trips[-1] if self.tripped and self.trips else None

    @property
    def reason(self) -> Optional[str]:
        """Reason of the trip that holds; None while the guard is armed."""
        return self.trip.reason if self.trip else None


def removal_text(trip: Trip) -> str:
    """Say in words which of our rules were removed."""
    if trip.removed is None:
        return "removing our rules"
    count = len(trip.removed)
    if not count:
        return "no rule of ours was installed"
    return "1 rule removed" if count == 1 else f"{count} rules removed"
