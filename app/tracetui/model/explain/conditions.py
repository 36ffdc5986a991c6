"""Conditions that explanations put on addresses and ports.

Packets of one path template differ in nothing else: where the outcomes agree, the explanations do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Optional

from tracetui.model.explain.explanation import HopExplanation
from tracetui.model.explain.hop_rule import is_elsewhere
from tracetui.model.rules.parsed_rule import FIELD_OF, RuleTest, fits
from tracetui.model.trace.packet import Packet
from tracetui.model.trace.path import Path
from tracetui.model.trace.path_template import Value


class Condition(NamedTuple):
    """One condition on the header in one packet state of a path."""

    state: int
    test: Optional[RuleTest]
    """Of an address or a port; None for the condition that the packet went elsewhere."""
    destination: str = ""
    """The one of ``--to-destination``, which the packet did not go to."""


def conditions(packet: Packet, explanations: Sequence[HopExplanation]) -> tuple[Condition, ...]:
    """The conditions on a packet's addresses and ports that its explanation rests on.

    ``explanations`` have the rules of its hops, whatever the other hops and the header show.
    """
    # A rule that several hops matched has its conditions once.
    return tuple(dict.fromkeys(_conditions_of(packet, packet.path, explanations)))


def outcomes(conditions: Sequence[Condition], path: Path) -> tuple[Optional[bool], ...]:
    """Whether each condition holds on a path of the template; None where that is not known."""
    return tuple([_outcome(condition, path) for condition in conditions])


def _conditions_of(
    packet: Packet, path: Path, explanations: Sequence[HopExplanation]
) -> Iterator[Condition]:
    headers = [traits.header for traits in path.traits]
    shown: dict[str, int] = {}
    for index, (hop, state, explanation) in enumerate(
        zip(packet.hops, path.state_numbers, explanations)
    ):
        if headers[state] is not None:
            shown[hop.backend] = state
        parsed, header_state = explanation.parsed, shown.get(hop.backend)
        if parsed is None:
            continue
        if header_state is not None:
            yield from (
                Condition(header_state, test) for test in parsed.tests if test.flag in FIELD_OF
            )
        if parsed.destination:
            later_states = path.state_numbers[index + 1 :]
            after = [later for later in later_states if _destination(headers[later])]
            yield from (Condition(later, None, parsed.destination) for later in after[:1])


def _destination(header: Optional[tuple[Value, ...]]) -> Value:
    return header[3] if header is not None else None


def _outcome(condition: Condition, path: Path) -> Optional[bool]:
    header = path.traits[condition.state].header or ()
    if condition.test is not None:
        return fits(condition.test, header[FIELD_OF[condition.test.flag]])
    return is_elsewhere(condition.destination, header[3], header[5])
