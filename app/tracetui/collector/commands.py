"""Commands of the session: each is given to the part that does it, and answered once."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from tracetui.collector.guard.alarm import Alarm
from tracetui.collector.reactor.mailbox import Mailbox
from tracetui.collector.reactor.outbox import Outbox
from tracetui.collector.reactor.reactor import Reactor
from tracetui.collector.reactor.worker import WAITING_JOBS, Job, Worker, failure_text
from tracetui.collector.rules.node_changes import NodeChanges
from tracetui.collector.snapshots.snapshots import Snapshots
from tracetui.errors import Failure, UsageError
from tracetui.kernel import modprobe
from tracetui.model.node.needs import LOADABLE
from tracetui.protocol import frames
from tracetui.protocol.commands import (
    AddRules,
    ArmGuard,
    DeleteRule,
    ExtendRules,
    Flush,
    ListChain,
    LoadModule,
    ReadRulesets,
    Request,
    SetThreshold,
)
from tracetui.protocol.replies import (
    COMMAND_DONE,
    CommandRefused,
    ErrorKind,
    Outcome,
    Reply,
    refused,
)

_GONE = Outcome(ErrorKind.GONE, "the collector ended before it was done")
Submit = Callable[[Job], bool]
"""Gives a job to a worker; False if too many wait already."""


class CommandHandler:
    """The commands that wait for their reply; used by the receive loop's thread only."""

    def __init__(
        self,
        node: NodeChanges,
        worker: Worker,
        remover: Worker,
        snapshots: Snapshots,
        alarm: Alarm,
        mailbox: Mailbox,
        outbox: Outbox,
        reactor: Reactor[Any],
    ) -> None:
        """``remover`` runs nothing but removals, so that they never wait."""
        self._node = node
        self._worker = worker
        self._remover = remover
        self._snapshots = snapshots
        self._alarm = alarm
        self._mailbox = mailbox
        self._outbox = outbox
        self._reactor = reactor
        self._numbers = itertools.count()
        self._unanswered: dict[int, int] = {}
        """Ids by numbers of our own: a session may give one id to two commands."""
        self._do: dict[type, Callable[[int, Any], None]] = {
            AddRules: self._add_rules,
            DeleteRule: self._delete_rule,
            ExtendRules: self._extend_rules,
            Flush: self._flush,
            ReadRulesets: self._read_rulesets,
            ListChain: self._list_chain,
            LoadModule: self._load_module,
            ArmGuard: self._arm_guard,
            SetThreshold: self._set_threshold,
        }

    def obey(self, request: Request) -> None:
        """Do a command, or have it done; its reply follows."""
        number = next(self._numbers)
        self._unanswered[number] = request.id
        try:
            self._do[type(request.command)](number, request.command)
        except CommandRefused as error:
            self._answer(number, error.outcome)

    def refuse(self, request: Request) -> None:
        """Answer a command that came when the collector was ending already."""
        self.send_reply(Reply(request.id, _GONE))

    def send_reply(self, reply: Reply) -> None:
        """Send the reply to what can't be done at all."""
        self._outbox.put(frames.REPLY, reply.to_json())

    def answer_rest(self) -> None:
        """Answer what will not be done any more, before the end."""
        for number in list(self._unanswered):
            self._answer(number, _GONE)

    def _answer(self, number: int, outcome: Outcome) -> None:
        command_id = self._unanswered.pop(number, None)
        if command_id is not None:
            self.send_reply(Reply(command_id, outcome))

    def _submit(self, number: int, submit: Submit, job: Callable[[], Outcome]) -> None:
        """Have a job done by a worker, and answered after it."""
        if not submit(partial(self._run, number, job)):
            why = f"{WAITING_JOBS} commands wait to be done already; more are left out"
            raise refused(ErrorKind.BUSY, why)

    def _run(self, number: int, job: Callable[[], Outcome]) -> None:
        """Do a command in a worker's thread."""
        try:
            outcome = job()
        except CommandRefused as error:
            outcome = error.outcome
        except UsageError as error:
            outcome = Outcome(ErrorKind.INVALID, str(error))
        except Failure as error:
            outcome = Outcome(ErrorKind.FAILED, str(error))
        except Exception as error:
            logging.getLogger(__name__).exception("command failed")
            outcome = Outcome(ErrorKind.INTERNAL, failure_text(error))
        self._mailbox.post(partial(self._answer, number, outcome))

    def _add_rules(self, number: int, command: AddRules) -> None:
        job = partial(self._node.add, command, self._node.removals)
        self._submit(number, self._worker.submit, job)

    def _delete_rule(self, number: int, command: DeleteRule) -> None:
        self._submit(number, self._worker.submit, partial(self._node.delete, command.rule_id))

    def _extend_rules(self, number: int, command: ExtendRules) -> None:
        job = partial(self._node.extend, command.rule_ids, self._node.removals)
        self._submit(number, self._worker.submit, job)

    def _flush(self, number: int, command: Flush) -> None:
        self._node.note_removal()
        self._submit(number, self._remover.submit, partial(self._flushed, command.foreign_ids))

    def _flushed(self, foreign_ids: tuple[str, ...]) -> Outcome:
        try:
            return self._node.flush(foreign_ids)
        finally:
            self._reactor.relist()

    def _read_rulesets(self, number: int, command: ReadRulesets) -> None:
        self._snapshots.want()
        self._answer(number, COMMAND_DONE)

    def _list_chain(self, number: int, command: ListChain) -> None:
        submit = partial(self._snapshots.submit, command.backend)
        self._submit(number, submit, partial(self._snapshots.list_chain, command))

    def _load_module(self, number: int, command: LoadModule) -> None:
        if command.module not in LOADABLE:
            raise refused(ErrorKind.REFUSED, "no module that tracing needs")
        self._submit(number, self._worker.submit, partial(self._loaded, command.module))

    def _loaded(self, module: str) -> Outcome:
        try:
            modprobe.load(module)
        finally:
            try:
                self._node.count()
            except Failure as error:
                self._reactor.say("error", str(error))
        return COMMAND_DONE

    def _arm_guard(self, number: int, command: ArmGuard) -> None:
        self._alarm.arm()
        self._answer(number, COMMAND_DONE)

    def _set_threshold(self, number: int, command: SetThreshold) -> None:
        self._alarm.set_threshold(command.hops_per_second)
        self._answer(number, COMMAND_DONE)
