"""The way of a packet through hooks and tables: which hop can follow which.

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
PROGRESS = {"PREROUTING": 0, "OUTPUT": 0, "INPUT": 1, "FORWARD": 1, "POSTROUTING": 2}
_TABLES = {table: rank for rank, table in enumerate(TABLES)}
_NAT_OF_SOURCE = 5
_NAT = 2


def table_rank(hook: Optional[str], table: str) -> Optional[int]:
    """The place of a table at a hook; None for a table whose priority its name does not tell."""
    if table == "nat" and hook in ("INPUT", "POSTROUTING"):
        return _NAT_OF_SOURCE
    return _TABLES.get(table)


def position(hook: Optional[str], hop: Hop) -> Optional[tuple[int, int]]:
    """How far along its way a packet is at a hop; None where that is not known."""
    rank = table_rank(hook, hop.table)
    return None if hook is None or rank is None else (PROGRESS[hook], rank)


class TraversalState:
    """How far on its way the hops of one backend have brought a packet; it never changes.

    What can come next follows from it and from the next place, whichever packet it is.
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

    def hook_of(self, at: TracePoint, has_header: bool) -> Optional[str]:
        """The hook at a place: its own, or in a user chain that of the hop before it.

        The chains of nft's own tables have names of their own, which tell no hook; and so may a
        base chain beside those that iptables-nft makes. A header tells that it is one.
        """
        if at.hook is not None or at.is_native:
            return at.hook
        if at.backend == "nft" and self._table is not None:
            if has_header:
                return None
            return self._base_hook if at.table_key == self._table else self.hook
        return self.hook

    def accepts(self, at: TracePoint, has_header: bool) -> bool:
        """Whether a hop there can be the next one of the same packet."""
        if self._table is None:
            return True
        if has_header and at.backend == "nft" and at.chain_key in self._entered:
            # Headers come with the first event of a base chain only.
            return self._is_repeated(at)
        hook = self.hook_of(at, has_header)
        if hook is None or self.hook is None:
            return True
        if hook != self.hook:
            return hook in _FOLLOWS[self.hook]
        if at.table_key == self._table:
            return self._goes_on(at)
        family, table = self._table
        now, then = table_rank(hook, table), table_rank(hook, at.table)
        return now is None or then is None or then > now or at.family != family

    def after(self, at: TracePoint, has_header: bool) -> TraversalState:
        """What it is when a hop there has come."""
        hook = self.hook_of(at, has_header)
        closed, base_rule = self._closed, self._base_rule
        if hook != self.hook or at.table_key != self._table:
            closed, base_rule = False, 0
        if at.is_in_base_chain or at.backend == "nft":
            closed, base_rule = at.type == "policy", at.rulenum or 0
        entered, base = self._entered, self._base
        if has_header:
            base = at.chain_key
            if base not in entered:
                entered |= {base}
        return TraversalState(
            hook or self.hook, at.table_key, at, closed, base_rule, entered, base, hook
        )

    def can_turn(self, at: TracePoint) -> bool:
        """Whether a hop there can show another destination than the one before it.

        It changes at the nat position of PREROUTING and OUTPUT only, with a nat hop for the first
        packet of a connection and without one for all others.
        """
        here, hook = self.hook, self.hook_of(at, True)
        if hook is None or here is None:
            return True
        if here not in ("PREROUTING", "OUTPUT"):
            return False
        # nf_tables reports a rule after it ran, the legacy tables before.
        translating = at if at.backend == "nft" else self._last
        if translating is not None and _can_be_npt(translating):
            return True
        rank = table_rank(hook, at.table)
        return hook != here or rank is None or rank >= _NAT

    def _goes_on(self, at: TracePoint) -> bool:
        """Whether a place can follow inside one table: its base chain only runs forward, once.

        A chain of a user's is entered again only by a rule of another one.
        """
        last = self._last
        if self._closed:
            return last is not None and _follows_policy(last, at)
        is_same = last is not None and last.chain == at.chain
        if is_same and last is not None and last.rulenum is not None and at.rulenum is not None:
            return at.rulenum > last.rulenum
        is_base = at.backend == "legacy" and at.is_in_base_chain
        return not is_base or (at.rulenum or 0) > self._base_rule

    def _is_repeated(self, at: TracePoint) -> bool:
        """Whether a chain can be passed again: a program that a packet was handed to can say so.

        NF_REPEAT calls the hook that queued it once more (net/netfilter/nfnetlink_queue.c).
        """
        last = self._last
        return last is not None and last.verdict == "queue" and at.chain_key == self._base


def _follows_policy(last: TracePoint, at: TracePoint) -> bool:
    """Whether a place can come behind the end of a base chain, at the same hook and table.

    Of nft's tables another chain can be at the hook. Of legacy's, RETURN without a match is shown
    as a policy, and then comes the policy itself (net/ipv4/netfilter/ip_tables.c, ipt_do_table).
    """
    if at.backend == "nft":
        return at.chain != last.chain
    is_same = at.chain == last.chain and at.type == "policy"
    return is_same and (at.rulenum or 0) > (last.rulenum or 0)


def _can_be_npt(at: TracePoint) -> bool:
    """Whether there can be a rule that translates prefixes (net/ipv6/netfilter/ip6t_NPT.c)."""
    return at.type == "rule" and at.table_key == ("ip6", "mangle")


BEGINNING = TraversalState(None, None, None, False, 0, frozenset())
"""Of a packet without a hop."""
TRANSITIONS_KEPT = 8192


class Transition:
    """What hops that come one after the other bring a packet to; the same object for the same."""

    __slots__ = ("hooks", "points", "standing", "which")

    def __init__(
        self,
        standing: TraversalState,
        points: tuple[TracePoint, ...],
        hooks: tuple[Optional[str], ...],
        which: tuple[int, ...],
    ) -> None:
        self.standing = standing
        self.points = points
        self.hooks = hooks
        """Of each of them."""
        self.which = which
        """Which of the run's looks each has."""


NO_HEADER, SAME_DESTINATION, OTHER_DESTINATION = range(3)
"""What a piece of a run shows of where the packet goes, against what was shown before."""


class Transitions:
    """The steps that packets took; those of a flow take the same ones, which are found once."""

    def __init__(self) -> None:
        self._of_runs: Memo[Hashable, Transition] = Memo(TRANSITIONS_KEPT)
        self._of_hops: Memo[tuple[TraversalState, TracePoint, bool], Transition] = Memo(
            TRANSITIONS_KEPT
        )

    def step(self, standing: TraversalState, run: HopBatch, shown: tuple[int, ...]) -> Transition:
        """The step by as many hops of a run as surely can follow each other; the first may.

        ``shown`` says of each piece what it shows of the destination.
        """
        key = (standing, run.points, run.counts, shown)
        return self._of_runs.get(key) or self._of_runs.learn(key, self._step_by_step(*key))

    def after(self, standing: TraversalState, at: TracePoint, has_header: bool) -> Transition:
        """The step by one hop, accepted or not."""
        key = (standing, at, has_header)
        known = self._of_hops.get(key)
        if known is None:
            hooks = (standing.hook_of(at, has_header),)
            step = Transition(standing.after(at, has_header), (at,), hooks, (0,))
            known = self._of_hops.learn(key, step)
        return known

    def _step_by_step(
        self,
        standing: TraversalState,
        points: tuple[TracePoint, ...],
        counts: tuple[int, ...],
        shown: tuple[int, ...],
    ) -> Transition:
        hooks: list[Optional[str]] = []
        which = [piece for piece, count in enumerate(counts) for _ in range(count)]
        for index, (at, piece) in enumerate(zip(points, which)):
            has_header = shown[piece] != NO_HEADER
            if index and not standing.accepts(at, has_header):
                break
            # The hops of a piece go where its first does.
            is_first = index and which[index - 1] != piece
            if is_first and shown[piece] == OTHER_DESTINATION and not standing.can_turn(at):
                break
            step = self.after(standing, at, has_header)
            standing = step.standing
            hooks += step.hooks
        size = len(hooks)
        return Transition(standing, points[:size], tuple(hooks), tuple(which[:size]))


class BackendCursor:
    """How the hops of one backend went on the way of one packet."""

    __slots__ = ("_header", "destination", "standing")

    def __init__(self) -> None:
        self.standing = BEGINNING
        self.destination: Optional[tuple[Optional[str], Optional[int]]] = None
        """Destination address and port at the last hop that showed them."""
        self._header: Optional[Header] = None

    def accepts(self, hop: Hop) -> bool:
        """Whether the hop can be the next one of the same packet."""
        return self.standing.accepts(hop[0], hop[1].header is not None)

    def accepts_destination(self, hop: Hop) -> bool:
        """Whether the hop's destination is the one before it, or can have become another."""
        header = hop.state.header
        if header is None or self.destination is None:
            return True
        return (header.dst, header.dport) == self.destination or self.standing.can_turn(hop.point)

    def advance(self, standing: TraversalState, header: Optional[Header]) -> None:
        """Move on to where hops brought it that showed this header."""
        self.standing = standing
        if header is not None and header is not self._header:
            self._header, self.destination = header, (header.dst, header.dport)
