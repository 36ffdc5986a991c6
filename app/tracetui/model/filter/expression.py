"""A filter in tcpdump's words (pcap-filter(7)) and some of ours.

``src 10.0.0.0/8 and dst port 8090 or icmp``: ``not`` binds tightest; ``and`` and ``or`` bind alike
and are taken from left to right. A bare address or number repeats the words before the last one
(``host 10.0.0.1 or 10.0.0.2``).

A question about addresses, ports and protocols must be true of the packet as it was at some one hop
of its path, so both sides of NAT match; the others are asked of the packet as a whole. ``not X``
is true of a packet of which X is nowhere true.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Optional

from tracetui.model.filter import terms as terms
from tracetui.model.filter.terms import Case, FilterTest
from tracetui.model.filter.words import FilterWord, InvalidFilter, words
from tracetui.model.trace.header import Header

MAX_NESTING = 50
"""Parentheses and ``not`` inside each other."""

_DIRECTIONS = ("src", "dst")
_ADDRESS_TYPES = ("host", "net", "port", "portrange")
_OPERATORS = ("and", "or")
_WITH_A_WORD: dict[str, Callable[[str], FilterTest]] = {
    "chain": terms.chain,
    "table": terms.table,
    "backend": terms.backend,
    "verdict": terms.verdict,
    "mark": terms.mark,
    "text": terms.text,
    "iface": lambda name: terms.device("iface", name),
    "in": lambda name: terms.device("in", name),
    "out": lambda name: terms.device("out", name),
    "less": lambda size: terms.length("less", size),
    "greater": lambda size: terms.length("greater", size),
    "proto": terms.protocol,
}
KEYWORDS = (
    *(*_DIRECTIONS, *_ADDRESS_TYPES, *terms.PROTOCOL_KEYWORDS, *_WITH_A_WORD),
    *("nat", "and", "or", "not"),
)
_AS_TYPED = frozenset(("chain", "table", "text", "iface", "in", "out"))
"""Questions whose word is one of capitals and small letters."""
_MEASURED = ("less", "greater")
_EXPLAINED = frozenset(("verdict", "text"))


class Expression(NamedTuple):
    """A parsed filter, as a test of packets."""

    test: FilterTest
    needs_explanations: bool
    """Whether the answer changes when more is known of the rules."""
    needs_lengths: bool
    """Whether packets of one path can have different answers."""


def parse(typed: str) -> Expression:
    """Build the test of an expression; raises InvalidFilter with the position of the error."""
    filter_words = list(words(typed))
    parser = _Parser(filter_words, len(typed.rstrip()))
    test = parser.expression(0)
    if parser.next is not None:
        raise parser.wrong("'and' or 'or'")
    return Expression(
        test,
        any(word.is_(*_EXPLAINED) for word in filter_words),
        any(word.is_(*_MEASURED) for word in filter_words),
    )


class _Qualifiers(NamedTuple):
    """The words before an address or a number."""

    proto: Optional[str] = None
    direction: str = "src or dst"
    kind: Optional[str] = None


class _Parser:
    def __init__(self, filter_words: Sequence[FilterWord], end: int) -> None:
        self._words = filter_words
        self._end = end
        self._index = 0
        self._last = _Qualifiers()

    @property
    def next(self) -> Optional[FilterWord]:
        """The word that comes; None at the end."""
        return self._words[self._index] if self._index < len(self._words) else None

    def wrong(self, wanted: str, word: Optional[FilterWord] = None) -> InvalidFilter:
        """The error to raise where something else was expected."""
        word = word or self.next
        instead = "at the end" if word is None else f"not {word.text!r}"
        position = self._end if word is None else word.position
        return InvalidFilter("expression", f"expected {wanted}, {instead}", position)

    def expression(self, depth: int) -> FilterTest:
        """Terms with ``and`` and ``or`` between them, from left to right."""
        first, rest = self._factor(depth), list[tuple[str, FilterTest]]()
        while (operator := self._take(*_OPERATORS)) is not None:
            rest.append((operator.text.lower(), self._factor(depth)))
        return _chain(first, rest) if rest else first

    def _factor(self, depth: int) -> FilterTest:
        if depth > MAX_NESTING:
            raise InvalidFilter("expression", "nested too deep", self.next and self.next.position)
        if self._take("not"):
            return _negation(self._factor(depth + 1))
        if self._take("("):
            inside = self.expression(depth + 1)
            if not self._take(")"):
                raise self.wrong("')'")
            return inside
        return self._term()

    def _term(self) -> FilterTest:
        word = self.next
        if word is None or word.is_("and", "or", ")"):
            raise self.wrong("a test, like 'host 10.0.0.1'")
        for name, make in _WITH_A_WORD.items():
            if self._take(name):
                return self._made(name, make)
        if self._take("nat"):
            return terms.nat()
        return self._header_term()

    def _made(self, name: str, make: Callable[[str], FilterTest]) -> FilterTest:
        """The question of a keyword that has one word behind it."""
        word = self._value(f"a value behind {name!r}")
        return self._checked(
            lambda typed: make(typed if name in _AS_TYPED else typed.lower()), word
        )

    def _header_term(self) -> FilterTest:
        """``[tcp] [src|dst] [host|net|port|portrange] WHAT``, or a protocol alone."""
        proto = self._take(*terms.PROTOCOL_KEYWORDS)
        name = proto and proto.text.lower()
        if name in ("ip", "ip6") and self._take("proto"):
            return _both(
                terms.protocol(name), self._checked(terms.protocol, self._value("a protocol"))
            )
        direction = self._direction()
        kind = self._take(*_ADDRESS_TYPES)
        if name and not direction and not kind:
            return terms.protocol(name)
        if name or direction or kind:
            self._last = _Qualifiers(
                name, direction or "src or dst", kind.text.lower() if kind else None
            )
        test = self._qualified(self._last)
        return _both(terms.protocol(self._last.proto), test) if self._last.proto else test

    def _qualified(self, last: _Qualifiers) -> FilterTest:
        word = self._value("an address" if last.kind in (None, "host", "net") else "a port")
        if last.kind in ("port", "portrange"):
            return self._checked(lambda typed: terms.ports(last.direction, typed), word)
        if word.is_(*KEYWORDS):
            raise self.wrong("an address", word)
        if last.kind != "net" and word.text.isdigit():
            raise InvalidFilter(
                "expression", f"is {word.text} a port? then 'port {word.text}'", word.position
            )
        return self._checked(lambda typed: terms.address(last.direction, typed), word)

    def _direction(self) -> Optional[str]:
        first = self._take(*_DIRECTIONS)
        if first is None:
            return None
        operator, second = self._peek(0), self._peek(1)
        if operator and second and operator.is_(*_OPERATORS) and second.is_(*_DIRECTIONS):
            # ``src or dst host`` is one direction; ``src 10.1 or dst 10.2`` was taken before.
            self._index += 2
            return "src or dst" if operator.is_("or") else "src and dst"
        return first.text.lower()

    def _value(self, what: str) -> FilterWord:
        word = self.next
        if word is None or (word.is_("(", ")", "and", "or", "not")):
            raise self.wrong(what)
        self._index += 1
        return word

    @staticmethod
    def _checked(make: Callable[[str], FilterTest], word: FilterWord) -> FilterTest:
        try:
            return make(word.text)
        except ValueError as error:
            raise InvalidFilter("expression", f"expected {error}", word.position) from None

    def _take(self, *keywords: str) -> Optional[FilterWord]:
        word = self.next
        if word is None or not word.is_(*keywords):
            return None
        self._index += 1
        return word

    def _peek(self, ahead: int) -> Optional[FilterWord]:
        index = self._index + ahead
        return self._words[index] if index < len(self._words) else None


def _chain(first: FilterTest, rest: Sequence[tuple[str, FilterTest]]) -> FilterTest:
    def test(case: Case, header: Optional[Header]) -> bool:
        value = first(case, header)
        for operator, operand in rest:
            if value != (operator == "or"):
                value = operand(case, header)
        return value

    return test


def _both(first: FilterTest, second: FilterTest) -> FilterTest:
    return lambda case, header: first(case, header) and second(case, header)


def _negation(inside: FilterTest) -> FilterTest:
    return terms.of_packet(lambda case: not any(inside(case, header) for header in case.headers))
