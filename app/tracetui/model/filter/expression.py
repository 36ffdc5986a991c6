"""A filter in tcpdump's words (pcap-filter(7)) and some of ours.

``src 10.0.0.0/8 and dst port 8090 or icmp``: ``not`` binds tightest; ``and`` and ``or`` bind alike
and are taken from left to right. A bare address or number repeats the words before the last one
(``host 10.0.0.1 or 10.0.0.2``).

Numbers are compared as pcap-filter(7) has it, ``tcp[tcpflags] & tcp-syn != 0``, where a header's
field is meant (:mod:`tracetui.model.filter.header_bytes`).

A question about addresses, ports and protocols must be true of the packet as it was at some one hop
of its path, so both sides of NAT match; the others are asked of the packet as a whole. ``not X``
is true of a packet of which X is nowhere true.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple, Optional

from tracetui.model.filter import header_bytes
from tracetui.model.filter import terms as terms
from tracetui.model.filter.names import did_you_mean
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
_FLAG_WORDS = {
    **{flag: flag for flag in header_bytes.FLAG_BITS},
    **{f"tcp-{flag}": flag for flag in header_bytes.FLAG_BITS},
    "tcp-push": "psh",
}
"""Words that ask for a TCP flag."""
KEYWORDS = (
    *(*_DIRECTIONS, *_ADDRESS_TYPES, *terms.PROTOCOL_KEYWORDS, *_WITH_A_WORD, "ether", "vlan"),
    *("multicast", "len", *header_bytes.FLAG_BITS, "nat", "and", "or", "not"),
)
_NOT_IN_A_TRACE = {
    **dict.fromkeys(("gateway", "rnr", "srnr", "subrulenum", "ruleset", "rset", "reason"), ""),
    **dict.fromkeys(("wlan", "type", "subtype", "dir", "llc", "fddi", "tr", "ppp", "slip"), ""),
    **dict.fromkeys(("mpls", "pppoed", "pppoes", "geneve", "decnet", "atalk", "aarp", "sca"), ""),
    **dict.fromkeys(("lat", "moprc", "mopdl", "rarp", "stp", "ipx", "netbeui", "iso", "vpi"), ""),
    **dict.fromkeys(("protochain", "vci", "lane", "oamf4", "metac", "bcc", "radio"), ""),
    "broadcast": "; the netmasks are not in it. 'dst 10.1.0.255' asks for one",
    "inbound": "; 'in eth0' asks for the interface",
    "outbound": "; 'out eth0' asks for the interface",
    "ifname": "; 'iface eth0' asks for the interface",
    "on": "; 'iface eth0' asks for the interface",
    "rulenum": "; 'chain' and 'text' ask for rules",
    "action": "; 'verdict' asks for the verdict",
    "payload": ": payload bytes are not in a trace",
}
"""pcap-filter(7)'s other conditions, with what can be asked instead."""
_VALUES = {
    "chain": "a chain", "table": "a table", "backend": "legacy or nft", "verdict": "a verdict",
    "mark": "a mark", "text": "a text", "iface": "an interface", "in": "an interface",
    "out": "an interface", "less": "a number", "greater": "a number", "proto": "a protocol",
}  # fmt: skip
"""Kinds of values, by the keyword they follow."""
_OTHER_TOOLS_WORDS = {
    "sport": "src port", "dport": "dst port", "saddr": "src", "daddr": "dst", "iif": "in",
    "oif": "out", "iifname": "in", "oifname": "out", "interface": "iface", "fwmark": "mark",
    "comment": "text", "rule": "text", "dnat": "nat", "snat": "nat",
    **{name: f"verdict {name}" for name in terms.VERDICTS},
}  # fmt: skip
"""Words of iptables, nft and ip(8), with those that mean the same here."""
_LONGEST_QUOTED = 40
"""Characters of a wrong word that its error repeats."""
_AS_TYPED = frozenset(("chain", "table", "text", "iface", "in", "out"))
"""Questions whose word is one of capitals and small letters."""
_MEASURED = frozenset(("less", "greater", "len", *_FLAG_WORDS))
_EXPLAINED = frozenset(("verdict", "text"))


class Expression(NamedTuple):
    """A parsed filter, as a test of packets."""

    test: FilterTest
    needs_explanations: bool
    """Whether the answer changes when more is known of the rules."""
    needs_own_values: bool
    """Whether packets of one path can have different answers: a length, a flag, a number of TCP."""


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
        any(word.is_numeric or word.is_(*_MEASURED) for word in filter_words),
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
        if self._is_comparison():
            return self._comparison(depth)
        if self._take("("):
            inside = self.expression(depth + 1)
            if not self._take(")"):
                raise self.wrong("')'")
            return inside
        return self._term()

    def _term(self) -> FilterTest:
        word = self.next
        if word is None or word.is_("and", "or", ")"):
            raise self.wrong("a condition, like 'host 10.0.0.1'")
        for name, make in _WITH_A_WORD.items():
            if self._take(name):
                return self._made(name, make)
        if self._take("nat"):
            return terms.nat()
        if self._take("multicast"):
            return terms.multicast()
        if self._take("vlan"):
            return self._vlan()
        if self._take("ether"):
            return self._ether_term()
        if (flag := self._take(*_FLAG_WORDS)) is not None:
            return terms.flag(_FLAG_WORDS[flag.text.lower()])
        return self._header_term()

    def _vlan(self) -> FilterTest:
        word = self.next
        if word is not None and word.text.isdigit():
            return self._checked(terms.vlan, self._value("a VLAN id"))
        return terms.vlan()

    def _ether_term(self) -> FilterTest:
        """``ether [src|dst] [host] MAC``, ``ether proto NAME``, ``ether broadcast``."""
        if self._take("proto"):
            word = self._value("ip, ip6 or arp")
            name = word.text.lower().lstrip("\\")
            if name not in ("ip", "ip6", "arp"):
                reason = f"expected ip, ip6 or arp: no others are traced, not {word.text!r}"
                raise InvalidFilter("expression", reason, word.position)
            return terms.protocol(name)
        if self._take("broadcast"):
            return terms.mac_address("dst", "ff:ff:ff:ff:ff:ff")
        if self._take("multicast"):
            return terms.mac_multicast()
        direction = self._direction()
        self._refuse_untraced("ether ")
        self._take("host")
        word = self._value("a MAC address")
        return self._checked(
            lambda typed: terms.mac_address(direction or "src or dst", typed.lower()), word
        )

    def _is_comparison(self) -> bool:
        """Whether a comparison of numbers begins here, perhaps in parentheses of its own.

        ``(tcp[13] & 2) != 0`` is one, ``(tcp[13] & 2 != 0)`` is one in parentheses.
        """
        ahead = 0
        while (word := self._peek(ahead)) is not None and word.is_("("):
            ahead += 1
        if word is None or not word.is_numeric:
            return False
        if ahead == 0:
            return True
        level, ahead = 0, 0
        while (word := self._peek(ahead)) is not None:
            level += word.is_("(") - word.is_(")")
            ahead += 1
            if level == 0:
                break
        sign = self._peek(ahead)
        return sign is not None and sign.is_(*header_bytes.RELATIONS, *header_bytes.OPERATORS)

    def _comparison(self, depth: int) -> FilterTest:
        left = self._number(depth)
        relation = self._take(*header_bytes.RELATIONS)
        if relation is None:
            raise self.wrong("a comparison like '> 100' or '!= 0'")
        return terms.at_header(header_bytes.compared(relation.text, left, self._number(depth)))

    def _number(self, depth: int, least: int = 0) -> header_bytes.Number:
        """Numbers with operators between them that bind tighter than ``least``."""
        left = self._operand(depth)
        while (sign := self._take_operator(least)) is not None:
            binds, _ = header_bytes.OPERATORS[sign.text]
            left = header_bytes.combined(sign.text, left, self._number(depth + 1, binds))
        return left

    def _take_operator(self, least: int) -> Optional[FilterWord]:
        word = self.next
        if word is None or not word.is_numeric or word.text not in header_bytes.OPERATORS:
            return None
        return self._take(word.text) if header_bytes.OPERATORS[word.text][0] > least else None

    def _operand(self, depth: int) -> header_bytes.Number:
        if depth > MAX_NESTING:
            raise InvalidFilter("expression", "nested too deep", self.next and self.next.position)
        if self._take("("):
            inside = self._number(depth + 1)
            if not self._take(")"):
                raise self.wrong("')'")
            return inside
        if self._take("len"):
            return header_bytes.length_of
        word = self.next
        if word is None or not word.text[:1].isalnum():
            raise self.wrong("a number")
        self._index += 1
        try:
            if "[" in word.text:
                return header_bytes.header_field(word.text)
            value = header_bytes.constant(word.text)
        except ValueError as error:
            raise InvalidFilter("expression", str(error), word.position) from None
        return lambda header: value

    def _made(self, name: str, make: Callable[[str], FilterTest]) -> FilterTest:
        """The question of a keyword that has one word behind it."""
        word = self._value(f"{_VALUES.get(name, 'a value')} after {name!r}")
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
        if name in ("ip", "ip6") and self._take("multicast"):
            return _both(terms.protocol(name), terms.multicast())
        if name:
            self._refuse_untraced(f"{name} ")
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
        self._refuse_untraced(f"{last.proto} " if last.proto else "")
        word = self._value("an address" if last.kind in (None, "host", "net") else "a port")
        if last.kind in ("port", "portrange"):
            return self._checked(lambda typed: terms.ports(last.direction, typed), word)
        if word.is_(*KEYWORDS):
            raise self.wrong("an address", word)
        if last.kind != "net" and word.text.isdigit():
            raise InvalidFilter(
                "expression", f"is {word.text} a port? then 'port {word.text}'", word.position
            )
        if (
            last == _Qualifiers()
            and not word.quoted
            and re.fullmatch("[A-Za-z_][A-Za-z0-9_-]*", word.text)
        ):
            raise self._unknown(word)
        mask = self._value("a netmask").text if last.kind == "net" and self._take("mask") else None
        return self._checked(lambda typed: terms.address(last.direction, typed, mask), word)

    def _refuse_untraced(self, before: str) -> None:
        """Raise InvalidFilter for a condition of pcap-filter(7) that no trace tells."""
        word = self.next
        if word is not None and word.is_(*_NOT_IN_A_TRACE):
            name = word.text.lower()
            reason = f"'{before}{name}' can't be told from a trace{_NOT_IN_A_TRACE[name]}"
            raise InvalidFilter("expression", reason, word.position)

    @staticmethod
    def _unknown(word: FilterWord) -> InvalidFilter:
        name = word.text.lower()
        ours = _OTHER_TOOLS_WORDS.get(name)
        near = (
            f"; did you mean {ours!r}?" if ours else did_you_mean(name, (*KEYWORDS, *_FLAG_WORDS))
        )
        hint = near or "; expected a condition, like 'host 10.0.0.1'"
        reason = f"unknown word {word.text[:_LONGEST_QUOTED]!r}{hint}"
        return InvalidFilter("expression", reason, word.position)

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
