"""Snapshots: rulesets as read at one moment."""

from __future__ import annotations

from typing import NamedTuple, Optional

from tracetui.model.rules.ruleset import Ruleset


class Snapshot(NamedTuple):
    """One backend's ruleset as read at one moment."""

    backend: str
    number: int
    """Counts from 1 in each backend."""
    continuous: bool
    """Whether nothing can have changed and changed back since the snapshot before it."""
    ruleset: Optional[Ruleset]
    """None where it is the one of the snapshot before."""
    has_more: bool = False
    """Whether it left texts out that a later one has."""
