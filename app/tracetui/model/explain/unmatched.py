"""Rules evaluated without a match between two hops; the kernel reports nothing of them."""

from __future__ import annotations

from typing import Optional

from tracetui.model.explain.explanation import HopExplanation
from tracetui.model.rules.lookup import KNOWN
from tracetui.model.rules.parsed_rule import parse_rule
from tracetui.model.rules.ruleset import Chain, ListedRule
from tracetui.model.trace.packet import Packet


def unmatched_before(
    packet: Packet, hops: tuple[HopExplanation, ...], index: int
) -> tuple[tuple[int, ListedRule], ...]:
    """The rules evaluated without a match in a hop's chain since the packet's last hop there.

    Each with its number, from the ruleset. Empty where the chain, or the position in it, is not
    known.
    """
    explanation = hops[index]
    if explanation.state != KNOWN or explanation.chain is None:
        return ()
    last = len(explanation.chain.rules) + 1 if explanation.number is None else explanation.number
    if index == 0:
        # Rules before the one that began the trace were not traced, matched or not.
        first = _after_trace(explanation.chain, last)
    else:
        before = _last_in_visit(packet, hops, index)
        first = 1 if before is None else _next_tested(hops[before])
    return tuple(
        (number, explanation.chain.rules[number - 1])
        for number in range(first, min(last, len(explanation.chain.rules) + 1))
    )


def _last_in_visit(packet: Packet, hops: tuple[HopExplanation, ...], index: int) -> Optional[int]:
    """The hop before one in the same visit to its chain; None if the visit begins with it.

    A chain can be visited more than once, and what a goto left is not come back to.
    """
    visits: list[tuple[str, int]] = []
    first = index
    while first > 0 and packet.are_together(first - 1, first):
        first -= 1
    for visited in range(first, index + 1):
        chain = packet.hops[visited].chain
        names = [name for name, _ in visits]
        if chain in names and not _enters(packet, hops, visited, chain):
            del visits[names.index(chain) + 1 :]
            before = visits.pop()[1]
        else:
            before = None
        if visited == index:
            return before
        visits.append((chain, visited))
    return None


def _enters(packet: Packet, hops: tuple[HopExplanation, ...], index: int, chain: str) -> bool:
    """Whether a hop is the first of a visit: the one before it jumped there."""
    verdict = hops[index - 1].verdict if index else None
    return verdict in (f"jump {chain}", f"goto {chain}")


def _next_tested(before: HopExplanation) -> int:
    """The first rule tested after a hop in the same visit; past every end where none was."""
    verdict = before.verdict or ""
    if before.number is None or verdict == "return" or verdict.startswith("goto "):
        return 1 << 31
    return before.number + 1


def _after_trace(chain: Chain, last: int) -> int:
    """The number behind the last TRACE rule before a number; that number itself without one."""
    for number in range(min(last - 1, len(chain.rules)), 0, -1):
        text = chain.rules[number - 1].text
        if text and parse_rule(text).begins_trace:
            return number + 1
    return last
