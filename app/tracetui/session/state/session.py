"""The trace, live or replayed, as a screen or a headless command sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Optional, Protocol

from tracetui.model.explain.explanation import PacketExplanation
from tracetui.model.node.diagnosis import Finding
from tracetui.model.trace.packet import Packet
from tracetui.model.tracing.installed_rule import InstalledRule
from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.session.rulesets.rulesets import Rulesets
from tracetui.session.state.explanations import Explanations
from tracetui.session.state.guard_state import GuardState
from tracetui.session.state.sent_command import SentCommand
from tracetui.session.state.store import PacketStore
from tracetui.session.state.trip_report import TripReport


class SourceState(NamedTuple):
    """A source of hops."""

    name: str
    """``nftrace``, ``nflog``, ``kmsg`` or a file's name."""
    state: str
    """``on``, ``waiting`` (opens with the first rule), ``off`` or ``failed``."""
    detail: str = ""
    """Why it is not on, or what it needs."""


class Node(NamedTuple):
    """The node's backends and commands as the collector found them."""

    backends: tuple[str, ...] = ()
    """Backends whose commands are installed."""
    backend: str = "nft"
    """The backend that holds the node's rules; ``auto`` means this one."""
    why: str = ""
    """Reason for that choice."""
    commands: Mapping[str, str] = {}
    """``backend/family`` (``nft/4``) to the command's name (``iptables-nft``)."""
    rules: Mapping[str, int] = {}
    """``backend`` to the number of rules in its largest table."""
    tag: str = ""
    """The comment of the rules this collector installs."""


class Status(NamedTuple):
    """Everything of a session that is neither a packet nor a rule, at one moment."""

    live: bool = True
    """Whether a node is traced; False for a replay."""
    host: str = ""
    netns: Optional[str] = None
    """The traced namespace as it was named; None for the host's own."""
    why_not: Optional[str] = None
    """Why rules can't be added here, with the remedy; None when they can."""
    node: Node = Node()
    sources: tuple[SourceState, ...] = ()
    rate: int = 0
    """Hops per second over the last second."""
    hops: int = 0
    """Hops received in all."""
    lost: int = 0
    """Records the kernel dropped before we could read them."""
    unshown: int = 0
    """Hops the collector dropped because this side did not take them in time."""
    skipped: int = 0
    """Lines or datagrams that were no TRACE hop or could not be read."""
    progress: Optional[float] = None
    """The part of the files that was read so far; None where that is not known, and at the end."""
    silence: tuple[Finding, ...] = ()
    """Why there is no packet, by what was read; empty where nothing tells."""
    guard: GuardState = GuardState()
    sysctls: Mapping[str, str] = {}
    """The routing settings of the traced namespace (``kernel.procfs.routing_sysctls``)."""
    interfaces: frozenset[str] = frozenset()
    """The interfaces of the traced namespace; empty where they are not known."""

    @property
    def is_replay(self) -> bool:
        """Whether packets come from files: then nothing can be asked of a node."""
        return not self.live and bool(self.sources)

    def with_(self, **changes: object) -> Status:
        """A copy with some fields replaced."""
        return self._replace(**changes)  # type: ignore[arg-type]


class Notice(NamedTuple):
    """One sentence for the user."""

    time: float
    """Seconds since the epoch."""
    severity: str
    """``information``, ``warning`` or ``error``."""
    text: str
    command_id: Optional[int] = None
    """The command whose outcome it tells; None for an event."""


class ChainRef(NamedTuple):
    """The backend, family, table and name of a chain."""

    backend: str
    family: str
    """The table's, in nft's words."""
    table: str
    chain: str


class ChainListing(NamedTuple):
    """A chain as its tool lists it, with counters."""

    time: float
    """Seconds since the epoch."""
    text: str
    error: Optional[str]
    """Why it could not be listed."""


POLL_SECONDS = 0.04
"""Default bound of the work of one poll."""


class Session(Protocol):
    """A trace. No method but ``close`` blocks for longer than a screen's refresh.

    Methods that ask for a change return at once; the reply comes with a later :meth:`poll`, and
    with it the notices that tell the user of it.
    """

    packets: PacketStore
    rulesets: Rulesets
    explanations: Explanations
    trip_report: TripReport
    status: Status
    rules: tuple[InstalledRule, ...]
    """TRACE rules of the node's raw tables as last listed, ours and foreign."""
    ended: bool
    """Whether no more packets can come."""

    def poll(self, seconds: float = POLL_SECONDS) -> bool:
        """Take in what arrived, for so long at most; True if anything changed.

        Returns early if nothing more has arrived.
        """
        ...

    def take_notices(self) -> list[Notice]:
        """Take the notices since the last call, oldest first."""
        ...

    def add_rules(
        self, rules: Sequence[TraceRule], backend: str, override: bool = False
    ) -> SentCommand:
        """Have rules installed, each for all of its families: all of them, or none.

        ``override`` accepts a cost that :func:`tracetui.model.tracing.cost.worst_case` refuses.
        """
        ...

    def delete_rule(self, rule_id: str) -> SentCommand:
        """Have one rule of ours removed, by :attr:`InstalledRule.id`."""
        ...

    def extend_rules(self, rule_ids: Sequence[str] = ()) -> SentCommand:
        """Have rules of this session end later, all of them if none is named."""
        ...

    def flush(self, foreign_ids: Sequence[str] = ()) -> SentCommand:
        """Have all rules of this session removed at once.

        Foreign rules go too if they are named, by :attr:`InstalledRule.id`.
        """
        ...

    def explain(self, packet: Packet) -> PacketExplanation:
        """Explain a packet with what is known now."""
        ...

    def ask_chain(self, ref: ChainRef) -> None:
        """Have a chain listed with its counters; :meth:`chain_listing` has it when it came."""
        ...

    def chain_listing(self, ref: ChainRef) -> Optional[ChainListing]:
        """The newest listing of a chain that was asked for; None before it came."""
        ...

    def arm(self) -> SentCommand:
        """Arm the guard again after a trip."""
        ...

    def set_threshold(self, hops_per_second: int) -> SentCommand:
        """Change the guard's threshold."""
        ...

    def load_module(self, name: str) -> SentCommand:
        """Have a kernel module that tracing needs loaded.

        Any other is refused, and none is ever unloaded.
        """
        ...

    def leave(self) -> None:
        """Have our rules removed without waiting for that, or for anything: the end is near."""
        ...

    def close(self, on_notices: Callable[[], None] = lambda: None) -> None:
        """End the trace; when this returns nothing of ours is left, or a notice says what is.

        ``on_notices`` is called whenever there are new notices meanwhile.
        """
        ...
