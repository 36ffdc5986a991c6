"""Explanations of packets and of their hops."""

from __future__ import annotations

from typing import NamedTuple, Optional

from tracetui.model.rules.lookup import PENDING
from tracetui.model.rules.parsed_rule import ParsedRule, parse_rule
from tracetui.model.rules.ruleset import Chain, ListedRule
from tracetui.model.trace.path_template import Value
from tracetui.model.tracing.installed_rule import TAG


class HopExplanation(NamedTuple):
    """The explanation of one hop."""

    state: str
    """One of the history's: ``known``, ``pending``, ``changed``, ``unread``."""
    verdict: Optional[str]
    """As the kernel printed it or the ruleset proves it, in nft's words; None if neither did."""
    rule: Optional[ListedRule] = None
    """The rule of the hop; None for the end of a chain, or where the state is not ``known``."""
    number: Optional[int] = None
    """The rule's 1-based number in its chain, on nft too."""
    chain: Optional[Chain] = None
    """The chain as the hop met it; None where that is not known."""
    source: Optional[str] = None
    """NFLOG where a rule that logs may have made the hop up; else the hop's own source."""

    @property
    def parsed(self) -> Optional[ParsedRule]:
        """The rule parsed from its text; None without a rule."""
        return parse_rule(self.rule.text) if self.rule is not None and self.rule.text else None

    @property
    def comment(self) -> Optional[str]:
        """The rule's comment; None for none, and for a mere hash."""
        parsed = self.parsed
        return None if parsed is None or parsed.is_hashed else parsed.comment

    @property
    def is_own(self) -> bool:
        """Whether its rule is a TRACE rule of ours, which the packet matched once more."""
        parsed = self.parsed
        return (
            parsed is not None
            and parsed.target == "TRACE"
            and (parsed.comment or "").startswith(TAG)
        )


class FieldChange(NamedTuple):
    """A rewritten field, or an address with its port."""

    field: str
    """One of ``src dst ttl mark mac in out``; a port belongs to its address."""
    old: tuple[Value, Value]
    """Value, and for an address its port, before."""
    new: tuple[Value, Value]
    by: str
    """``rule``, ``routing`` (forwarding), ``conntrack`` (NAT of a known connection) or ``?``."""
    hop_index: int
    """The hop that did it, or for anything but a rule the first one seen with the new value."""


class PacketExplanation(NamedTuple):
    """The explanation of a packet as a whole."""

    hops: tuple[HopExplanation, ...]
    changes: tuple[FieldChange, ...]
    verdict: str
    """``accept``, ``drop``, ``reject`` or ``unknown``."""
    decided: Optional[int]
    """The hop that decided; None where none did."""
    why: str
    """One sentence; empty where the verdict says it all."""
    is_final: bool
    """Whether nothing more can become known about these hops."""
    is_accepted_so_far: bool = False
    """Whether the verdict is unknown only because the trace ends: the last hop accepted the packet,
    and nothing speaks for a loss."""

    @property
    def is_pending(self) -> bool:
        """Whether the next snapshot of the ruleset will tell more."""
        return any(hop.state == PENDING for hop in self.hops)

    def changes_at(self, index: int) -> tuple[FieldChange, ...]:
        """The changes that a hop made, or was the first to show."""
        return tuple(change for change in self.changes if change.hop_index == index)
