"""The commands of a session without a node: each is refused, with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.protocol.commands import (
    AddRules,
    ArmGuard,
    Command,
    DeleteRule,
    ExtendRules,
    Flush,
    LoadModule,
    SetThreshold,
)
from tracetui.protocol.replies import ErrorKind, Outcome
from tracetui.session.state.sent_command import SentCommand
from tracetui.session.state.session import ChainListing, ChainRef


class NoNode:
    """Refuses every command to the node; see :class:`Session`."""

    def refuse(self) -> str:
        """Tell the user that there is no node; the reason."""
        raise NotImplementedError

    def add_rules(
        self, rules: Sequence[TraceRule], backend: str, override: bool = False
    ) -> SentCommand:
        """Refuse."""
        return self._refused(AddRules(tuple(rules), backend, override))

    def delete_rule(self, rule_id: str) -> SentCommand:
        """Refuse."""
        return self._refused(DeleteRule(rule_id))

    def extend_rules(self, rule_ids: Sequence[str] = ()) -> SentCommand:
        """Refuse."""
        return self._refused(ExtendRules(tuple(rule_ids)))

    def flush(self, foreign_ids: Sequence[str] = ()) -> SentCommand:
        """Refuse."""
        return self._refused(Flush(tuple(foreign_ids)))

    def arm(self) -> SentCommand:
        """Refuse."""
        return self._refused(ArmGuard())

    def set_threshold(self, hops_per_second: int) -> SentCommand:
        """Refuse."""
        return self._refused(SetThreshold(hops_per_second))

    def load_module(self, name: str) -> SentCommand:
        """Refuse."""
        return self._refused(LoadModule(name))

    def ask_chain(self, ref: ChainRef) -> None:
        """Do nothing: there is no node whose counters could be read."""

    def chain_listing(self, ref: ChainRef) -> Optional[ChainListing]:
        """Return None: there is no node."""
        return None

    def leave(self) -> None:
        """Do nothing: no rule of ours is installed."""

    def _refused(self, command: Command) -> SentCommand:
        sent = SentCommand(0, command)
        sent.outcome = Outcome(ErrorKind.REFUSED, self.refuse())
        return sent
