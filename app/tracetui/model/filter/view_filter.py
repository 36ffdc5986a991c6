"""Filters of the packets shown: four quick fields and an expression, of which all must hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional

from tracetui.model.filter import terms
from tracetui.model.filter.expression import parse as parse_expression
from tracetui.model.filter.terms import Case, ExplainPacket, FilterTest
from tracetui.model.filter.words import InvalidFilter
from tracetui.model.trace.header import Header
from tracetui.model.trace.packet import Packet

FIELDS = ("src", "dst", "port", "proto")
"""The quick fields."""

_QUICK: dict[str, Callable[[str], FilterTest]] = {
    "src": lambda typed: terms.address("src", typed),
    "dst": lambda typed: terms.address("dst", typed),
    "port": lambda typed: terms.ports("src or dst", typed),
    "proto": terms.protocol,
}


class ViewFilter:
    """A test for packets; without parts it lets everything through."""

    def __init__(
        self,
        tests: tuple[FilterTest, ...] = (),
        needs_explanations: bool = False,
        needs_own_values: bool = False,
    ) -> None:
        self._tests = tests
        self.needs_explanations = needs_explanations
        """Whether a packet's answer changes when more is known of the rules it met."""
        self.needs_own_values = needs_own_values
        """Whether packets of one path (``model.trace.path``) can have different answers."""

    @classmethod
    def parse(
        cls, src: str = "", dst: str = "", port: str = "", proto: str = "", expression: str = ""
    ) -> ViewFilter:
        """Build a filter from what was typed; raises InvalidFilter.

        Addresses: whole, ADDR/N, or the beginning of one: ``10.2`` means 10.2.0.0/16, as tcpdump's
        ``net`` has it. Ports: ``53`` or ``8000-8100``. Protocols: a name or the number. For the
        expression see :mod:`tracetui.model.filter.expression`.
        """
        tests: list[FilterTest] = []
        for field, typed in zip(FIELDS, (src, dst, port, proto)):
            text = typed.strip().lower()
            if text:
                tests.append(_quick(field, text))
        if not expression.strip():
            return cls(tuple(tests))
        parsed = parse_expression(expression)
        return cls((*tests, parsed.test), parsed.needs_explanations, parsed.needs_own_values)

    @property
    def is_empty(self) -> bool:
        """Whether it lets everything through."""
        return not self._tests

    def matches(self, packet: Packet, explain: Optional[ExplainPacket] = None) -> bool:
        """Whether the packet, as it was at any one of its hops, passes.

        ``explain`` gives the rules and verdicts that the ruleset proves.
        """
        if self.is_empty:
            return True
        case = Case(packet, explain)
        return any(self._passes(case, header) for header in case.headers)

    def _passes(self, case: Case, header: Optional[Header]) -> bool:
        return all(test(case, header) for test in self._tests)


def _quick(field: str, typed: str) -> FilterTest:
    try:
        return _QUICK[field](typed)
    except ValueError as error:
        raise InvalidFilter(field, str(error)) from None
