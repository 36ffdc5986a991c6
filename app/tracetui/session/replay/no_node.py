"""The commands of a session without a node: each is refused, with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.session.state.session import ChainListing, ChainRef


class NoNode:
    """Refuses every command to the node; see :class:`Session`."""

    def refuse(self) -> None:
        """Tell the user that there is no node."""
        raise NotImplementedError

    def add_rule(self, rule: TraceRule, backend: str, override: bool = False) -> None:
        """Refuse."""
        self.refuse()

    def delete_rule(self, rule_id: str) -> None:
        """Refuse."""
        self.refuse()

    def extend_rules(self, rule_ids: Sequence[str] = ()) -> None:
        """Refuse."""
        self.refuse()

    def flush(self, foreign_ids: Sequence[str] = ()) -> None:
        """Refuse."""
        self.refuse()

    def arm(self) -> None:
        """Refuse."""
        self.refuse()

    def set_threshold(self, hops_per_second: int) -> None:
        """Refuse."""
        self.refuse()

    def load_module(self, name: str) -> None:
        """Refuse."""
        self.refuse()

    def ask_chain(self, ref: ChainRef) -> None:
        """Do nothing: there is no node whose counters could be read."""

    def chain_listing(self, ref: ChainRef) -> Optional[ChainListing]:
        """Return None: there is no node."""
        return None

    def leave(self) -> None:
        """Do nothing: no rule of ours is installed."""
