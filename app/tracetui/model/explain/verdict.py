"""The verdict on a packet, and the hop that decided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Optional

from tracetui.model.explain import copies, vanished
from tracetui.model.explain.base_chains import (
    AFTER_ROUTING,
    BaseChain,
    base_chains,
    base_of_last_hop,
    bases_ahead,
    hook_of_last,
    not_reached,
)
from tracetui.model.explain.delivery import delivered
from tracetui.model.explain.explanation import HopExplanation
from tracetui.model.explain.printed_rule import OTHER_RULESET
from tracetui.model.rules.history import RulesetHistory
from tracetui.model.rules.lookup import CHANGED, NOT_READ, PENDING
from tracetui.model.trace.hop import NFLOG, Hop
from tracetui.model.trace.packet import Packet

_WITHOUT_RULES = "without the rules it is not known which"


class Judgement(NamedTuple):
    """The verdict on one packet."""

    verdict: str
    """``accept``, ``drop``, ``reject`` or ``unknown``."""
    decided: Optional[int]
    """The hop that decided; None where none did."""
    why: str
    """One sentence; empty where the verdict says it all."""
    is_accepted_so_far: bool = False
    """As :attr:`PacketExplanation.is_accepted_so_far` has it."""


class Verdicts:
    """Judges packets by their rules, the chains they did not reach, and the node's routing."""

    def __init__(self, histories: Mapping[str, RulesetHistory]) -> None:
        self._histories = histories
        self._sysctls: list[tuple[int, Mapping[str, str]]] = []

    def set_sysctls(self, sysctls: Mapping[str, str], first_id: int = 0) -> None:
        """Note the node's routing settings (``kernel.procfs``), from a packet's id on."""
        if not self._sysctls or self._sysctls[-1][1] != sysctls:
            self._sysctls.append((first_id, dict(sysctls)))

    def settings_version_of(self, packet: Packet) -> int:
        """How many settings had been noted when the packet came."""
        return sum(first <= packet.id for first, _ in self._sysctls)

    def judge(self, packet: Packet, hops: tuple[HopExplanation, ...]) -> Judgement:
        """The verdict on a packet by the explanations of its hops."""
        # A ruleset that is not the trace's proves nothing about the next hop.
        is_refused = any(
            explanation.state == CHANGED and explanation.rule is not None for explanation in hops
        )
        judgement = _stopped_by_rule(packet, hops) or self._judged(packet, hops, is_refused)
        if not is_refused:
            return judgement
        why = f"{OTHER_RULESET}: it has other rules; {judgement.why}"
        why = why if judgement.why else OTHER_RULESET
        return judgement._replace(why=why, is_accepted_so_far=False)

    def _judged(
        self, packet: Packet, hops: tuple[HopExplanation, ...], is_refused: bool
    ) -> Judgement:
        """The judgement of a packet that no rule stopped.

        A chain that may have been there or not makes no difference, or the packet is unknown.
        """
        bases = None if is_refused else base_chains(packet, self._histories)
        judgement = self._by_bases(packet, hops, bases)
        if bases is None or all(base.was_present for base in bases):
            return judgement
        sure = [base for base in bases if base.was_present]
        is_the_same = judgement == self._by_bases(packet, hops, sure)
        if is_the_same:
            return judgement
        return self._by_bases(packet, hops, None)._replace(is_accepted_so_far=False)

    def _by_bases(
        self, packet: Packet, hops: tuple[HopExplanation, ...], bases: Optional[list[BaseChain]]
    ) -> Judgement:
        """The judgement where these base chains were there; None for not known ones."""
        last = len(packet.hops) - 1
        base = None if bases is None else base_of_last_hop(packet, bases)
        hook = hook_of_last(packet, hops, base)
        is_accepted = _outcome(hops[last]) == "accept"
        later = None
        if is_accepted and bases is not None:
            later = not_reached(packet, bases, base, hook)
        untraced = vanished.trace_switched_off(
            packet.hops[last], hops[last], bases_ahead(packet, bases or (), hook)
        )
        if later:
            return _unknown(untraced or self._why_not_reached(packet, hops, later, hook))
        is_end = later == "" and hook != "PREROUTING"
        if is_accepted and not untraced and hook == "PREROUTING" and bases is not None:
            delivery = delivered(packet, hops, bases, self._sysctls_of(packet))
            if delivery is not None:
                return Judgement("accept", last, delivery)
        if packet.verdict != "unknown" or is_end:
            remarks = (
                vanished.snat_clash(hops),
                *copies.remarks(packet, self._sysctls_of(packet), self._texts),
            )
            return Judgement("accept", last, "; ".join(filter(None, remarks)))
        proxied = vanished.tproxy_cause(hops[last])
        if untraced or proxied:
            return _unknown(untraced or proxied or "")
        likely = vanished.likely_routing(packet, hook, self._sysctls_of(packet))
        if is_accepted:
            why = vanished.accepted_without_next(hook, bases is not None)
            return _unknown(f"{why}{likely}")._replace(is_accepted_so_far=not likely)
        why_unlisted = self._why_unlisted(packet.hops[last])
        history = self._histories.get(packet.hops[last].backend)
        was_read = packet.hops[last].interval is not None
        is_unread = was_read and hops[last].state == NOT_READ and not why_unlisted
        if is_unread and history is not None and not history.is_empty:
            return _unknown(vanished.UNREADABLE)
        return _unknown(_why_unknown(hops[last], why_unlisted, likely))

    def _texts(self) -> Iterator[str]:
        """The texts of all rules of the newest snapshots."""
        for history in self._histories.values():
            yield from history.newest_texts()

    def _why_not_reached(
        self, packet: Packet, hops: tuple[HopExplanation, ...], later: str, hook: Optional[str]
    ) -> str:
        proxied = vanished.tproxy_cause(hops[-1])
        if proxied:
            return proxied
        if hook == "PREROUTING" and later == AFTER_ROUTING:
            routing = vanished.routing_causes(packet, self._sysctls_of(packet))
            return f"not dropped by a rule: routing. {routing}"
        return (
            f"accepted here, but {later} was not reached: the kernel stopped it, or a hop is lost"
        )

    def _why_unlisted(self, hop: Hop) -> str:
        """Why nothing could list the rules of the hop's table; empty where something did."""
        history = self._histories.get(hop.backend)
        return history.why_unlisted((hop.family, hop.table), hop.interval) if history else ""

    def _sysctls_of(self, packet: Packet) -> Mapping[str, str]:
        """The settings when the packet came; empty where not known."""
        version = self.settings_version_of(packet)
        return self._sysctls[version - 1][1] if version else {}


def _stopped_by_rule(packet: Packet, hops: tuple[HopExplanation, ...]) -> Optional[Judgement]:
    """The judgement where a rule stopped the packet or gave it away; None without such a rule."""
    for index, (hop, explanation) in enumerate(zip(packet.hops, hops)):
        if hop.backend == "nft" and hop.verdict == "drop":
            is_reject = explanation.parsed is not None and explanation.parsed.verdict == "reject"
            return Judgement("reject" if is_reject else "drop", index, "")
    last = len(packet.hops) - 1
    if packet.hops[last].point.is_forged:
        return _unknown("made up by a rule that logs; its verdict is not known")
    if hops[last].source == NFLOG:
        return _unknown("its last hop may be made up by a rule that logs")
    outcome = _outcome(hops[last])
    if outcome in ("drop", "reject"):
        return Judgement(outcome, last, "")
    taker = vanished.taker(hops[last])
    return None if taker is None else _unknown(taker)


def _unknown(why: str) -> Judgement:
    return Judgement("unknown", None, why)


def _outcome(explanation: HopExplanation) -> Optional[str]:
    """The verdict of the last hop; RETURN in a base chain has the policy decide."""
    is_return = (
        explanation.verdict == "return"
        and explanation.chain is not None
        and explanation.chain.is_base
    )
    return (
        explanation.chain.policy
        if is_return and explanation.chain is not None
        else explanation.verdict
    )


def _why_unknown(last: HopExplanation, why_unlisted: str, likely: str) -> str:
    if last.state == PENDING:
        return "the rules are being read"
    if last.state == NOT_READ and last.verdict is None:
        cause = f"its rules can't be listed: {why_unlisted}" if why_unlisted else _WITHOUT_RULES
        return f"the packet or its trace ended here; {cause}{likely}"
    if last.state == CHANGED and last.verdict is None:
        return "the ruleset changed, so its last rule is not known"
    return "the trace ends here: its next hop was lost, or a match dropped it without a hop"
