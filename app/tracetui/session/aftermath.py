"""What is known after the guard tripped: who sent the packets, and what to try instead."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice

from tracetui.model.packet import Packet
from tracetui.model.rule import TraceRule
from tracetui.model.talkers import Talkers, talkers
from tracetui.session.proposals import Proposal, proposals

RULES_REMEMBERED = 8
"""Rules asked for of which narrower ones may be proposed."""
PACKETS_LOOKED_AT = 5_000
SECONDS_LOOKED_AT = 1.0


class Aftermath:
    """The rules a session asked for, and what was traced when the guard tripped last."""

    def __init__(self) -> None:
        self.seen = Talkers()
        """What was traced in the last second before the trip."""
        self._asked: deque[tuple[TraceRule, str]] = deque(maxlen=RULES_REMEMBERED)

    def asked(self, rule: TraceRule, backend: str) -> None:
        """Note a rule that was asked for."""
        self._asked.append((rule, backend))

    def tripped(self, newest_first: Iterable[Packet]) -> None:
        """Look at the packets that came before the trip."""
        newest = list(islice(newest_first, PACKETS_LOOKED_AT))
        end = next((one.time for one in newest if one.time is not None), 0.0)
        since = end - SECONDS_LOOKED_AT
        self.seen = talkers(one for one in newest if one.time is None or one.time > since)

    def proposals(self, threshold: int) -> list[Proposal]:
        """Rules to add instead of those that were removed; ``threshold`` in hops per second."""
        return proposals(self.seen, tuple(self._asked), threshold)
