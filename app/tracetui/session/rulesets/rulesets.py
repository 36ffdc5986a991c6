"""The rulesets that came with a trace, put in order piece by piece.

A large one takes longer to read than a screen may wait, so the work is cut into steps.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Optional

from tracetui.model.rules.history import RulesetHistory
from tracetui.model.rules.ruleset import Ruleset
from tracetui.model.rules.snapshot import Snapshot
from tracetui.model.trace.hop import Interval
from tracetui.model.tracing.rule_fields import BACKENDS

STEPS_PER_CLOCK_CHECK = 128
"""Lines, or chains, read between two checks of the clock."""
SNAPSHOTS_WAITING = 16
"""Snapshots that may wait to be parsed: each is held as text."""
RECORDING_STRIDE = 1 << 40
"""Distance between the snapshot numbers of two recordings: no recording has so many."""


class Rulesets:
    """The histories of both backends, and the interval of the hops that arrive now."""

    def __init__(self) -> None:
        self.histories = {backend: RulesetHistory(backend) for backend in BACKENDS}
        self.version = 0
        """Grows with everything learned."""
        self.skipped = 0
        """Texts that could not be read."""
        self.unused: list[str] = []
        """Sentences about parts of the user's listings that could not be used."""
        self._intervals: dict[str, Interval] = dict.fromkeys(BACKENDS, (0, 1))
        self._parts: dict[str, list[tuple[Mapping[str, Any], str]]] = {b: [] for b in BACKENDS}
        self._jobs: deque[Iterator[None]] = deque()
        self._eras: deque[tuple[int, dict[str, int]]] = deque()
        self._recordings = 0
        self._offset = 0

    def interval(self, backend: str) -> Interval:
        """The interval of a hop that arrives now."""
        return self._intervals[backend]

    def take_text(self, head: Mapping[str, Any], text: str) -> None:
        """Take a part of the snapshot that is being read."""
        if head.get("backend") in BACKENDS:
            self._parts[str(head["backend"])].append((head, text))

    def take_mark(self, mark: Mapping[str, Any]) -> Optional[dict[str, Any]]:
        """Take the begin, end or cancelling of a snapshot; returns the record of a complete one."""
        backend, number = str(mark["backend"]), int(mark["reading"])
        after, _ = self._intervals[backend]
        if mark["at"] != "end":
            # One that began and came to nothing leaves its number to the next.
            began = mark["at"] == "begin"
            self._intervals[backend] = (after, number + 1 if began else number)
            self._parts[backend] = []
            return None
        # Unless the sources were emptied, hops of before the reading may still come.
        self._intervals[backend] = (number if mark["drained"] else after, number + 1)
        parts = None if mark["same"] else self._parts[backend]
        self._parts[backend] = []
        record = {
            "backend": backend,
            "reading": number,
            "continuous": bool(mark["continuous"]),
            "parts": None if parts is None else [{**head, "text": text} for head, text in parts],
        }
        if mark.get("more"):
            record["more"] = True
        self.take_record(record)
        return record

    def take_record(self, record: Mapping[str, Any]) -> None:
        """Take a whole snapshot; raises KeyError, TypeError or ValueError if it is not ours."""
        backend = record["backend"]
        if backend not in BACKENDS:
            raise ValueError("backend")
        parts = record["parts"]
        if parts is not None:
            parts = [(dict(part), str(part["text"])) for part in parts]
        number = int(record["reading"]) + self._offset
        snapshot = Snapshot(
            str(backend), number, bool(record["continuous"]), None, bool(record.get("more"))
        )
        self._jobs.append(self._adding(snapshot, parts))

    def begin_era(self, packet_id: int) -> None:
        """Note that packets from this id on meet nothing older than the present intervals."""
        if self._eras and self._eras[-1][0] == packet_id:
            self._eras.pop()
        self._eras.append((packet_id, {b: after for b, (after, _) in self._intervals.items()}))

    def forget_before(self, packet_id: int) -> None:
        """Forget what only packets met whose id is smaller: they are not kept any more."""
        if len(self._eras) < 2 or self._eras[1][0] > packet_id:
            return
        while len(self._eras) > 1 and self._eras[1][0] <= packet_id:
            self._eras.popleft()
        for backend, number in self._eras[0][1].items():
            self.histories[backend].forget_before(number)

    def begin_recording(self) -> None:
        """Count the snapshots that follow from 1: they belong to another recording."""
        if self._recordings:
            self._jobs.append(self._beginning(self._recordings * RECORDING_STRIDE))
            self._offset = self._recordings * RECORDING_STRIDE
        self._recordings += 1

    def shifted(self, interval: Interval) -> Interval:
        """An interval of the present recording among the snapshots of all."""
        after, before = interval
        return (after + self._offset if after else 0, before + self._offset)

    def fix(self, text: str) -> bool:
        """Explain hops by a listing that the user gave; False if it is in no known format."""
        # No listing is read before the first picture, and what reads them takes a while to import.
        from tracetui.session.rulesets import given_listings

        listings = given_listings.read(text)
        if listings is None:
            return False
        self.unused += listings.unused
        whole = {backend: Ruleset() for backend in BACKENDS}
        for backend, ruleset in listings.rulesets:
            whole[backend].add(ruleset)
        if not any(ruleset.chains for ruleset in whole.values()):
            return False
        for backend, ruleset in whole.items():
            if ruleset.chains:
                self.histories[backend].add_given(ruleset)
        self.version += 1
        return True

    @property
    def is_behind(self) -> bool:
        """Whether so much waits to be read that no more should be taken for now."""
        return len(self._jobs) > SNAPSHOTS_WAITING

    def end(self) -> None:
        """Note that no more snapshots follow, once those waiting are parsed."""
        self._jobs.append(self._ending())

    def work(self, until: float) -> bool:
        """Parse snapshots until ``until`` (monotonic seconds); True if anything was learned."""
        version, steps = self.version, 0
        while self._jobs:
            for _ in self._jobs[0]:
                steps += 1
                if steps % STEPS_PER_CLOCK_CHECK == 0 and time.monotonic() > until:
                    return self.version != version
            self._jobs.popleft()
        return self.version != version

    def work_all(self) -> None:
        """Parse every waiting snapshot."""
        while self._jobs:
            self.work(float("inf"))

    def _beginning(self, number: int) -> Iterator[None]:
        for history in self.histories.values():
            history.restart(number)
        yield

    def _ending(self) -> Iterator[None]:
        for history in self.histories.values():
            history.is_ended = True
        self.version += 1
        yield

    def _adding(
        self, snapshot: Snapshot, parts: Optional[list[tuple[dict[str, Any], str]]]
    ) -> Iterator[None]:
        # As above.
        from tracetui.session.rulesets.listings import SnapshotParts

        if parts is not None:
            snapshot_parts = SnapshotParts()
            for head, text in parts:
                yield from snapshot_parts.taking(head, text)
            self.skipped += snapshot_parts.skipped
            ruleset = yield from snapshot_parts.joining(snapshot.backend)
            snapshot = snapshot._replace(ruleset=ruleset)
        yield from self.histories[snapshot.backend].take_by_chains(snapshot)
        self.version += 1
