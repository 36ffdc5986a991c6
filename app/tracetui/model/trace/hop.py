"""Hops: what the kernel reports of a packet at one rule, policy or chain end."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional

from tracetui.model.trace.header import Header
from tracetui.model.trace.trace_point import FORGED, TracePoint, trace_point

KMSG, LOG, NFLOG = "kmsg", "log", "nflog"
FORGEABLE = (KMSG, LOG, NFLOG, FORGED)
"""Sources of hops that others can have made up: the kernel log, and a copy of it in a file.

No program can print there as the kernel, but a ``-j LOG`` rule of any namespace can say what TRACE
says. In the other sources only a rule of the traced namespace can (``-j NFLOG``, to our group): its
hops are of the source NFLOG where the ruleset tells of it, FORGED where the record itself does.
"""

SINCE_EPOCH = 1e8
"""Seconds; a smaller time counts from boot, as in plain dmesg."""
END_OF_CALENDAR = 253_402_300_800.0
"""Seconds since the epoch; a time from there on is damage, and no calendar here knows it."""


Interval = tuple[int, int]
"""Numbers of the two snapshots of the ruleset around a hop: the last one that was complete when the
hop was evaluated (0 for none), and the first one after it."""

new_hop = new_state = tuple.__new__
"""Makes a hop of its three parts, ``new_hop(Hop, parts)``: faster than a NamedTuple's own call."""


class PacketState(NamedTuple):
    """The packet as it was at a hop; the hops of one hook share one."""

    iif: Optional[str] = None
    oif: Optional[str] = None
    mark: Optional[int] = None
    mac: Optional[str] = None
    """``source > destination`` of the Ethernet header; None without one."""
    header: Optional[Header] = None
    """The packet as this hop saw it; None where the kernel sent none."""
    trace_id: Optional[int] = None
    """The nft trace id: a hash of the skb's address, its flow and device (nf_tables_trace.c,
    nft_trace_init), so neither unique to a packet nor constant over one."""
    interval: Optional[Interval] = None
    """The snapshots of the ruleset around the hop; None where no ruleset was read."""


class Hop(NamedTuple):
    """One TRACE event: a packet at one rule, policy or chain end."""

    point: TracePoint
    state: PacketState
    time: Optional[float] = None
    """Seconds since the epoch, or since boot (then below ``SINCE_EPOCH``); None without a stamp."""

    @classmethod
    def of(
        cls,
        backend: str,
        family: str,
        table: str,
        chain: str,
        type: str,  # noqa: A002 - as the record format has it
        rulenum: Optional[int] = None,
        handle: Optional[int] = None,
        verdict: Optional[str] = None,
        hook: Optional[str] = None,
        iif: Optional[str] = None,
        oif: Optional[str] = None,
        mark: Optional[int] = None,
        time: Optional[float] = None,
        trace_id: Optional[int] = None,
        header: Optional[Header] = None,
        mac: Optional[str] = None,
        interval: Optional[tuple[int, int]] = None,
        rule: Optional[str] = None,
        source: Optional[str] = None,
    ) -> Hop:
        """A hop out of the fields of its trace point and its packet state."""
        return cls(
            trace_point(
                backend, family, table, chain, type, rulenum, handle, verdict, hook, rule, source
            ),
            PacketState(iif, oif, mark, mac, header, trace_id, interval),
            time,
        )

    def with_(self, **changes: Any) -> Hop:
        """The hop that is the same but for these fields, whichever part they are of."""
        time = changes.pop("time", self.time)
        state = {name: changes.pop(name) for name in PacketState._fields if name in changes}
        return Hop(
            self.point.with_(**changes) if changes else self.point,
            self.state._replace(**state) if state else self.state,
            time,
        )

    @property
    def backend(self) -> str:
        """``legacy`` or ``nft``."""
        return self.point.backend

    @property
    def family(self) -> str:
        """The table's family, in nft's words."""
        return self.point.family

    @property
    def table(self) -> str:
        """The table."""
        return self.point.table

    @property
    def chain(self) -> str:
        """The chain."""
        return self.point.chain

    @property
    def type(self) -> str:
        """``rule``, ``return`` or ``policy``."""
        return self.point.type

    @property
    def rulenum(self) -> Optional[int]:
        """The rule's number (legacy)."""
        return self.point.rulenum

    @property
    def handle(self) -> Optional[int]:
        """The rule's handle (nft)."""
        return self.point.handle

    @property
    def verdict(self) -> Optional[str]:
        """The verdict that the kernel gave, in nft's words."""
        return self.point.verdict

    @property
    def hook(self) -> Optional[str]:
        """One of HOOKS, where the place tells."""
        return self.point.hook

    @property
    def is_in_base_chain(self) -> bool:
        """Whether its chain is one that iptables made."""
        return self.point.is_in_base_chain

    @property
    def place(self) -> str:
        """The trace point as the kernel prints it."""
        return self.point.text

    @property
    def rule(self) -> Optional[str]:
        """The text of its rule, where it was recorded with it."""
        return self.point.rule

    @property
    def source(self) -> Optional[str]:
        """One of FORGEABLE; None for the kernel itself."""
        return self.point.source

    @property
    def iif(self) -> Optional[str]:
        """The in-interface."""
        return self.state.iif

    @property
    def oif(self) -> Optional[str]:
        """The out-interface."""
        return self.state.oif

    @property
    def mark(self) -> Optional[int]:
        """The packet's mark; None for none."""
        return self.state.mark

    @property
    def mac(self) -> Optional[str]:
        """The Ethernet addresses."""
        return self.state.mac

    @property
    def header(self) -> Optional[Header]:
        """The packet as it was then; None where the kernel sent none."""
        return self.state.header

    @property
    def trace_id(self) -> Optional[int]:
        """The nft trace id."""
        return self.state.trace_id

    @property
    def interval(self) -> Optional[tuple[int, int]]:
        """The readings of the ruleset around it."""
        return self.state.interval
