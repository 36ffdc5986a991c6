"""Readings of the node's ruleset, as text, while hops arrive.

A hop is explained by what stood when it was evaluated. So each reading is marked twice in the
stream of hops: where it began, and where it had ended and everything evaluated before its end was
taken from the sources. A hop stands after one reading and before another; where both found the
same, that is what it saw.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from tracetui.collector.reactor.mailbox import Mailbox
from tracetui.collector.reactor.outbox import Outbox
from tracetui.collector.reactor.reactor import Reactor
from tracetui.collector.reactor.worker import Job, Worker, failure_text
from tracetui.collector.snapshots.native_texts import READING_SHARE
from tracetui.collector.snapshots.ruleset_reader import ReadOutcome, RulesetReader
from tracetui.collector.sources.receiver import HopReceiver
from tracetui.errors import Failure
from tracetui.kernel import xtables
from tracetui.kernel.xtables import Xtables
from tracetui.protocol import frames
from tracetui.protocol.commands import ListChain
from tracetui.protocol.replies import COMMAND_DONE, ErrorKind, Outcome, refused

READING_PAUSE_SECONDS = {"legacy": 1.0, "nft": 0.5}
"""Seconds between two readings at least. On nft most of them only ask for the generation."""
LONG_READING_SECONDS = 2.0
"""A reading that takes longer than this is told of: until it ends rules have no text."""


class _State:
    """The readings of one backend; used by the receive loop's thread only."""

    def __init__(self, reader: RulesetReader, worker: Worker) -> None:
        self.reader = reader
        self.worker = worker
        self.number = 0
        """Readings that succeeded."""
        self.due = 0.0
        """Monotonic seconds before which none begins."""
        self.whole_due = 0.0
        """Monotonic seconds before which none may read everything."""
        self.busy = self.wanted = False
        self.hops = 0
        """Hops received when the last one began."""
        self.refusal = ""
        self.again = float("inf")
        """Monotonic seconds at which a reading is wanted for what the last one left out."""
        self.began = 0.0
        """Monotonic seconds at which the last one began."""
        self.is_told = False
        """Whether the user was told that they take long."""


class Snapshots:
    """Reads both backends' rules, each in a thread of its own, and sends what is new."""

    def __init__(
        self,
        reactor: Reactor[Any],
        mailbox: Mailbox,
        outbox: Outbox,
        reception: HopReceiver,
        readers: Mapping[str, RulesetReader],
        commands: Xtables,
    ) -> None:
        """``readers`` by backend; ``commands`` list single chains."""
        self._reactor = reactor
        self._mailbox = mailbox
        self._outbox = outbox
        self._reception = reception
        self._commands = commands
        self._states = {
            backend: _State(reader, Worker(f"ruleset-{backend}", self._job_failed))
            for backend, reader in readers.items()
        }

    def want(self) -> None:
        """Have both rulesets read soon, whether hops arrive or not."""
        for state in self._states.values():
            state.wanted, state.due, state.whole_due = True, 0.0, 0.0

    def tick(self, now: float) -> None:
        """Begin what is due; ``now`` is monotonic seconds."""
        for backend, state in self._states.items():
            if now >= state.again:
                state.wanted, state.again = True, float("inf")
            if not state.busy and now >= state.due and self._is_wanted(backend, state):
                self._begin(backend, state)
            if state.busy and not state.is_told and now >= state.began + LONG_READING_SECONDS:
                state.is_told = True
                self._reactor.say("information", f"{backend} rules are being read: it takes long")

    def next_due(self) -> float:
        """Monotonic seconds at which :meth:`tick` has something to do; infinite for never."""
        return min(self._due(backend, state) for backend, state in self._states.items())

    def _due(self, backend: str, state: _State) -> float:
        if state.busy:
            return float("inf") if state.is_told else state.began + LONG_READING_SECONDS
        return state.due if self._is_wanted(backend, state) else max(state.due, state.again)

    def submit(self, backend: str, job: Job) -> bool:
        """Have a listing run between two readings of a backend; False if too many wait already.

        Raises CommandRefused for a backend that is none.
        """
        if backend not in self._states:
            raise refused(ErrorKind.INVALID, f"no backend {backend!r}")
        return self._states[backend].worker.submit(job)

    def list_chain(self, command: ListChain) -> Outcome:
        """Send one chain with its counters as it is now, or why it can't be listed.

        Runs in a backend's worker.
        """
        value: dict[str, Any] = {**command._asdict()}
        outcome = COMMAND_DONE
        try:
            value["text"] = self._chain_text(command)
        except Failure as error:
            value["error"] = str(error)
            outcome = Outcome(ErrorKind.FAILED, str(error))
        self._reactor.send(frames.CHAIN, {**value, "time": time.time()})
        return outcome

    def stop(self, seconds: float) -> None:
        """Let readings under way end."""
        for state in self._states.values():
            state.worker.stop(seconds)

    def _is_wanted(self, backend: str, state: _State) -> bool:
        return state.wanted or self._reception.hops_of[backend] > state.hops

    def _begin(self, backend: str, state: _State) -> None:
        if not self._mark(backend, state, "begin"):
            # A hop that nobody could place before or after it would follow.
            state.due = time.monotonic() + READING_PAUSE_SECONDS[backend]
            return
        state.busy, state.wanted, state.began = True, False, time.monotonic()
        state.hops = self._reception.hops_of[backend]
        # Never more than one: it need not wait behind listings of single chains.
        state.worker.insist(partial(self._read, backend, state))

    def _read(self, backend: str, state: _State) -> None:
        began = time.monotonic()
        outcome: ReadOutcome | Failure | None
        try:
            outcome = state.reader.read(began >= state.whole_due)
        except Failure as error:
            outcome = error
        except Exception as error:
            logging.getLogger(__name__).exception("reading failed")
            outcome = Failure(f"internal: {error!r}")
        seconds = time.monotonic() - began
        self._mailbox.post(partial(self._end, backend, state, outcome, seconds))

    def _end(
        self, backend: str, state: _State, outcome: ReadOutcome | Failure | None, seconds: float
    ) -> None:
        state.busy = False
        # Never in step with what changes the rules at fixed times.
        jitter = random.uniform(1.0, 1.2)  # noqa: S311
        now = time.monotonic()
        state.due = now + READING_PAUSE_SECONDS[backend] * jitter
        if outcome is None:
            state.wanted = True
        # A reading that found nothing new was cheap on nft, and whole on legacy.
        elif backend == "legacy" or isinstance(outcome, Failure) or not outcome.same:
            cost = seconds if isinstance(outcome, Failure) else seconds - outcome.listing
            state.whole_due = (
                now + max(READING_PAUSE_SECONDS[backend], cost / READING_SHARE) * jitter
            )
        if isinstance(outcome, ReadOutcome) and outcome.again is not None:
            state.again = outcome.again
            # What was left out the first time is not waited for.
            state.whole_due = min(state.whole_due, max(now, outcome.again))
        if not isinstance(outcome, ReadOutcome) or not self._send(backend, state, outcome):
            self._mark(backend, state, "cancel")
        if isinstance(outcome, Failure):
            self._refuse(state, str(outcome))
        elif outcome is not None and not outcome.same:
            self._refuse(state, outcome.warning)

    def _send(self, backend: str, state: _State, outcome: ReadOutcome) -> bool:
        """Send what a reading found, behind every hop of before its end; False without room."""
        drained = self._reception.drain(backend)
        sent = all(self._outbox.put_text(head, text) for head, text in outcome.parts)
        values = {
            "same": outcome.same,
            "continuous": outcome.continuous,
            "drained": drained,
            "more": outcome.again is not None,
        }
        if not sent or not self._mark(backend, state, "end", **values):
            state.reader.forget()
            return False
        state.number += 1
        return True

    def _mark(self, backend: str, state: _State, at: str, **values: Any) -> bool:
        mark = {"backend": backend, "reading": state.number + 1, "at": at, **values}
        return self._outbox.put(frames.READING, mark)

    def _refuse(self, state: _State, why: str) -> None:
        """Say why rules have no text, once."""
        if why and why != state.refusal:
            self._reactor.say("warning", f"rules can't be read: {why}")
        state.refusal = why

    def _chain_text(self, command: ListChain) -> str:
        backend, family, table, chain = command
        if xtables.is_chain_name(chain) and xtables.is_built_in(family, table):
            return self._commands.chain(backend, 6 if family == "ip6" else 4, table, chain)
        return xtables.nft_chain(family, table, chain)

    def _job_failed(self, error: Exception) -> None:
        self._reactor.say("error", failure_text(error))
