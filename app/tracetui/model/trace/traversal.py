"""The traversal of hooks and tables by a packet: which hop can follow which.

Order of hooks and tables: include/uapi/linux/netfilter_ipv4.h (enum nf_ip_hook_priorities).
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Optional

from tracetui.model.trace.batch import HopBatch
from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import Hop
from tracetui.model.trace.memo import Memo
from tracetui.model.trace.trace_point import TABLES, TracePoint

_FOLLOWS = {
    "PREROUTING": ("INPUT", "FORWARD", "POSTROUTING"),
    "FORWARD": ("POSTROUTING",),
    "OUTPUT": ("POSTROUTING",),
    "INPUT": (),
    "POSTROUTING": (),
}
IS_LOCAL = {"OUTPUT": True, "PREROUTING": False, "INPUT": False, "FORWARD": False}
"""By hook of IP: whether packets there were sent by this node. One traversal is of one sort, and
loopback's second one begins at PREROUTING (net/ipv4/ip_output.c, net/ipv4/ip_input.c)."""
PROGRESS = {"PREROUTING": 0, "OUTPUT": 0, "INPUT": 1, "FORWARD": 1, "POSTROUTING": 2}
_TABLES = {table: rank for rank, table in enumerate(TABLES)}
_NAT_OF_SOURCE = 5
_NAT = 2


def table_rank(hook: Optional[str], table: str) -> Optional[int]:
    """The rank of a table at a hook; None for a table whose priority its name does not tell."""
    if table == "nat" and hook in ("INPUT", "POSTROUTING"):
        return _NAT_OF_SOURCE
    return _TABLES.get(table)


def position(hook: Optional[str], hop: Hop) -> Optional[tuple[int, int]]:
    """How far a packet's traversal is at a hop; None where that is not known."""
    rank = table_rank(hook, hop.table)
    return None if hook is None or rank is None else (PROGRESS[hook], rank)


class TraversalState:
    """How far the hops of one backend have brought a packet; immutable.

    What can come next follows from it and from the next trace point, whichever packet it is.
    """

    __slots__ = (
        "_base", "_base_hook", "_base_rule", "_closed", "_entered", "_last", "_table", "hook",
    )  # fmt: skip

    def __init__(
        self,
        hook: Optional[str],
        table: Optional[tuple[str, str]],
        last: Optional[TracePoint],
        closed: bool,
        base_rule: int,
        entered: frozenset[tuple[str, str, str]],
        base: Optional[tuple[str, str, str]] = None,
        base_hook: Optional[str] = None,
    ) -> None:
        self.hook = hook
        """The last hook that is known."""
        self._base = base
        """The chain that showed a header last: nft's base chain that the packet is in."""
        self._base_hook = base_hook
        """The hook of that chain, or of the last hop; None where its name tells none."""
        self._table = table
        self._last = last
        self._closed = closed
        self._base_rule = base_rule
        self._entered = entered

    @property
    def is_empty(self) -> bool:
        """Whether no hop has come yet."""
        return self._table is None

    def hook_of(self, point: TracePoint, has_header: bool) -> Optional[str]:
        """The hook at a trace point: its own, or in a user chain that of the hop before it.

        The chains of nft's own tables have names of their own, which tell no hook; and so may a
        base chain beside those that iptables-nft makes. A header tells that it is one.
        """
        if point.hook is not None or point.is_native:
            return point.hook
        if point.backend == "nft" and self._table is not None:
            if has_header:
                return None
            return self._base_hook if point.table_key == self._table else self.hook
        return self.hook

    def accepts(self, point: TracePoint, has_header: bool) -> bool:
        """Whether a hop there can be the next one of the same packet."""
        if self._table is None:
            return True
        if has_header and point.backend == "nft" and point.chain_key in self._entered:
            # Headers come with the first event of a base chain only.
            return self._is_repeated(point)
        hook = self.hook_of(point, has_header)
        if hook is None or self.hook is None:
            return True
        if hook != self.hook:
            return hook in _FOLLOWS[self.hook]
        if point.table_key == self._table:
            return self._goes_on(point)
        family, table = self._table
        now, then = table_rank(hook, table), table_rank(hook, point.table)
        return now is None or then is None or then > now or point.family != family

    def after(self, point: TracePoint, has_header: bool) -> TraversalState:
        """The state when a hop there has come."""
        hook = self.hook_of(point, has_header)
        closed, base_rule = self._closed, self._base_rule
        if hook != self.hook or point.table_key != self._table:
            closed, base_rule = False, 0
        if point.is_in_base_chain or point.backend == "nft":
            closed, base_rule = point.type == "policy", point.rulenum or 0
        entered, base = self._entered, self._base
        if has_header:
            base = point.chain_key
            if base not in entered:
                entered |= {base}
        return TraversalState(
            hook or self.hook, point.table_key, point, closed, base_rule, entered, base, hook
        )

    def can_turn(self, point: TracePoint) -> bool:
        """Whether a hop there can show another destination than the one before it.

        It changes at the nat position of PREROUTING and OUTPUT only, with a nat hop for the first
        packet of a connection and without one for all others.
        """
        here, hook = self.hook, self.hook_of(point, True)
        if hook is None or here is None:
            return True
        if here not in ("PREROUTING", "OUTPUT"):
            return False
        # nf_tables reports a rule after it ran, the legacy tables before.
        translating = point if point.backend == "nft" else self._last
        if translating is not None and _can_be_npt(translating):
            return True
        rank = table_rank(hook, point.table)
        return hook != here or rank is None or rank >= _NAT

    def _goes_on(self, point: TracePoint) -> bool:
        """Whether a trace point can follow inside one table: a base chain only goes forward, once.

        A chain of a user's is entered again only by a rule of another one.
        """
        last = self._last
        if self._closed:
            return last is not None and _follows_policy(last, point)
        is_same = last is not None and last.chain == point.chain
        if is_same and last is not None and last.rulenum is not None and point.rulenum is not None:
            return point.rulenum > last.rulenum
        is_base = point.backend == "legacy" and point.is_in_base_chain
        return not is_base or (point.rulenum or 0) > self._base_rule

    def _is_repeated(self, point: TracePoint) -> bool:
        """Whether a chain can be passed again: a program that a packet was handed to can say so.

        NF_REPEAT calls the hook that queued it once more (net/netfilter/nfnetlink_queue.c).
        """
        last = self._last
        return last is not None and last.verdict == "queue" and point.chain_key == self._base


def _follows_policy(last: TracePoint, point: TracePoint) -> bool:
    """Whether a trace point can come behind the end of a base chain, at the same hook and table.

    Of nft's tables another chain can be at the hook. Of legacy's, RETURN without a match is shown
    as a policy, and then comes the policy itself (net/ipv4/netfilter/ip_tables.c, ipt_do_table).
    """
    if point.backend == "nft":
        return point.chain != last.chain
    is_same = point.chain == last.chain and point.type == "policy"
    return is_same and (point.rulenum or 0) > (last.rulenum or 0)


def _can_be_npt(point: TracePoint) -> bool:
    """Whether there can be a rule that translates prefixes (net/ipv6/netfilter/ip6t_NPT.c)."""
    return point.type == "rule" and point.table_key == ("ip6", "mangle")


BEGINNING = TraversalState(None, None, None, False, 0, frozenset())
"""The state of a packet without a hop."""
TRANSITIONS_KEPT = 8192


class Transition:
    """Hops in a row, their hooks, and the traversal state behind them; one object for the same."""

    __slots__ = ("hooks", "origins", "points", "state_numbers", "traversal")

    def __init__(
        self,
        traversal: TraversalState,
        points: tuple[TracePoint, ...],
        hooks: tuple[Optional[str], ...],
        state_numbers: tuple[int, ...],
    ) -> None:
        self.traversal = traversal
        """Where the packet is behind them."""
        self.points = points
        self.hooks = hooks
        """The hook of each hop."""
        self.origins = frozenset(
            IS_LOCAL[hook]
            for point, hook in zip(points, hooks)
            if point.layer == "ip" and hook in IS_LOCAL
        )
        """Whether this node sent the packet, by hooks of IP: both answers where they disagree."""
        self.state_numbers = state_numbers
        """The index of each hop's state among the states of its batch."""


NO_HEADER, SAME_DESTINATION, OTHER_DESTINATION = range(3)
"""How a state of a batch shows the packet's destination, against the one shown before."""


class Transitions:
    """Transitions that packets made; those of a flow make the same ones, which are found once."""

    def __init__(self) -> None:
        self._made: Memo[Hashable, Transition] = Memo(TRANSITIONS_KEPT)

    def of(self, traversal: TraversalState, batch: HopBatch, shown: tuple[int, ...]) -> Transition:
        """The transition by as many hops of a batch as surely follow each other, at least one.

        The first hop is the packet's, whatever it looks like. ``shown`` says of each state of the
        batch what it shows of the destination; it ends before one that may be another packet's.
        """
        key = (traversal, batch.points, batch.counts, shown)
        return self._made.get(key) or self._made.learn(key, _hop_by_hop(*key))


def _hop_by_hop(
    traversal: TraversalState,
    points: tuple[TracePoint, ...],
    counts: tuple[int, ...],
    shown: tuple[int, ...],
) -> Transition:
    hooks: list[Optional[str]] = []
    numbers = [number for number in range(len(shown)) for _ in range(counts[number])]
    for index, (point, number) in enumerate(zip(points, numbers)):
        has_header = shown[number] != NO_HEADER
        if index and not traversal.accepts(point, has_header):
            break
        # The hops of one state go where the first of them does.
        is_first_of_state = index and numbers[index - 1] != number
        is_turned = is_first_of_state and shown[number] == OTHER_DESTINATION
        if is_turned and not traversal.can_turn(point):
            break
        hooks.append(traversal.hook_of(point, has_header))
        traversal = traversal.after(point, has_header)
    size = len(hooks)
    return Transition(traversal, points[:size], tuple(hooks), tuple(numbers[:size]))


class BackendCursor:
    """How far the hops of one backend have brought one packet."""

    __slots__ = ("_header", "destination", "traversal")

    def __init__(self) -> None:
        self.traversal = BEGINNING
        self.destination: Optional[tuple[Optional[str], Optional[int]]] = None
        """Destination address and port at the last hop that showed them."""
        self._header: Optional[Header] = None

    def accepts(self, hop: Hop) -> bool:
        """Whether the hop can be the next one of the same packet."""
        return self.traversal.accepts(hop[0], hop[1].header is not None)

    def accepts_destination(self, hop: Hop) -> bool:
        """Whether the hop's destination is the one before it, or can have become another."""
        header = hop.state.header
        if header is None or self.destination is None:
            return True
        is_same = (header.dst, header.dport) == self.destination
        return is_same or self.traversal.can_turn(hop.point)

    def advance(self, traversal: TraversalState, header: Optional[Header]) -> None:
        """Move on to where hops brought the packet that showed this header."""
        self.traversal = traversal
        if header is not None and header is not self._header:
            self._header, self.destination = header, (header.dst, header.dport)
