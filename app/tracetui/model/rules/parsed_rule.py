"""Rules parsed from their text, as far as a trace can be compared with them.

Targets and options: iptables-extensions(8), nft(8).
"""

from __future__ import annotations

import ipaddress
import re
from collections import deque
from functools import lru_cache
from typing import NamedTuple, Optional

from tracetui.model.rules import nft_statements, rule_words
from tracetui.model.trace.header import Header

STANDARD_TARGETS = frozenset(("ACCEPT", "DROP", "RETURN", "QUEUE"))
"""Targets that are verdicts themselves."""
_TARGET_VERDICTS = {
    "ACCEPT": "accept", "DROP": "drop", "RETURN": "return", "QUEUE": "queue",
    "NFQUEUE": "queue", "REJECT": "reject", "DNAT": "accept", "SNAT": "accept",
    "MASQUERADE": "accept", "REDIRECT": "accept", "NETMAP": "accept",
}  # fmt: skip
_CONTINUING_TARGETS = frozenset((
    "LOG", "NFLOG", "ULOG", "MARK", "CONNMARK", "CT", "NOTRACK", "TRACE", "CHECKSUM", "TCPMSS",
    "TCPOPTSTRIP", "TTL", "HL", "DSCP", "TOS", "ECN", "SET", "CLASSIFY", "TEE", "AUDIT",
    "IDLETIMER", "LED", "RATEEST", "SECMARK", "CONNSECMARK", "HMARK", "DNPT", "SNPT",
))  # fmt: skip
_TARGET_CHANGES = {
    "DNAT": ("dst", "dport"), "REDIRECT": ("dst", "dport"), "TPROXY": ("dst", "dport", "mark"),
    "SNAT": ("src", "sport"), "MASQUERADE": ("src", "sport"),
    "NETMAP": ("src", "dst"), "MARK": ("mark",), "CONNMARK": ("mark",), "CONNSECMARK": ("mark",),
    "HMARK": ("mark",), "TTL": ("ttl",), "HL": ("ttl",), "DNPT": ("dst",), "SNPT": ("src",),
}  # fmt: skip
_REWRITTEN = frozenset((("DNPT", "-d"), ("SNPT", "-s")))
"""Tests of what the target rewrites at once: nf_tables shows the packet after the rule ran."""
_SHORT_FLAGS = {
    "--protocol": "-p", "--source": "-s", "--destination": "-d", "--in-interface": "-i",
    "--out-interface": "-o", "--dport": "--dport", "--sport": "--sport",
    "--destination-port": "--dport", "--source-port": "--sport",
}  # fmt: skip
_TEST_FLAGS = frozenset(("-p", "-s", "-d", "-i", "-o", "--dport", "--sport", "-f", "-m"))
_HASH = re.compile(r"cali:[\w-]{16}$")
_TEXT_OPTIONS = frozenset((
    "--comment", "--log-prefix", "--nflog-prefix", "--ulog-prefix", "--string", "--hex-string",
    "--physdev-in", "--physdev-out", "--hashlimit-name", "--name", "--helper",
))  # fmt: skip
"""Options whose value can look like an option."""
_PORTS = re.compile(r"(?=.)([0-9]{0,5})(:?)([0-9]{0,5})")
FIELD_OF = {"-s": 2, "-d": 3, "--sport": 4, "--dport": 5}
"""The flags of tests of an address or a port, and which field of a header that is."""
_COMPARED_PROTOCOLS = frozenset(("tcp", "udp", "icmp", "icmpv6"))


class RuleTest(NamedTuple):
    """One test of a rule on a packet."""

    flag: str
    """The short flag: ``-d``, ``--dport`` …"""
    value: str
    inverted: bool

    @property
    def text(self) -> str:
        """As iptables prints it."""
        return f"{'! ' if self.inverted else ''}{self.flag} {self.value}"


class ParsedRule(NamedTuple):
    """A rule parsed from its text."""

    target: Optional[str]
    """iptables' target, a chain, or nft's verdict; None for a rule that only counts."""
    is_goto: bool
    comment: Optional[str]
    is_unconditional: bool
    """Whether it has no test at all, not even ``-m comment``.

    Only such a rule with a verdict as target is printed as the end of its chain
    (net/ipv4/netfilter/ip_tables.c, get_chainname_rulenum).
    """
    matches_all: bool
    """Whether it is iptables' and every packet passes its tests: a comment is none."""
    tests: tuple[RuleTest, ...]
    """Those that can be compared with a packet's header and devices."""
    changes: tuple[str, ...]
    """Fields of a packet it may rewrite."""
    destination: Optional[str]
    """``--to-destination``, where it is one address."""
    is_open: bool = False
    """Whether a map of nft's has the verdict, or a chain without a name follows."""
    begins_trace: bool = False
    """Whether it has the kernel trace the packet."""

    @property
    def is_hashed(self) -> bool:
        """Whether the comment is but the hash by which Calico knows the rule again."""
        return self.comment is not None and _HASH.match(self.comment) is not None

    @property
    def verdict(self) -> Optional[str]:
        """In nft's words; None where the target is a chain or not known."""
        if self.is_open:
            return None
        if self.target is None or self.target in _CONTINUING_TARGETS:
            return "continue"
        return _TARGET_VERDICTS.get(self.target)


@lru_cache(maxsize=16384)
def parse_rule(text: str) -> ParsedRule:
    """Read a rule as iptables-save or nft prints it."""
    return _iptables(rule_words.iptables_words(text)) if text.startswith("-A ") else _nft(text)


def fits(test: RuleTest, value: object) -> Optional[bool]:
    """Whether an address or a port is what a test of FIELD_OF asks for, its inversion left aside.

    None where that is not known.
    """
    if isinstance(value, str):
        return _is_within(value, test.value)
    return _is_port(value, test.value) if isinstance(value, int) else None


def mismatch(
    rule: ParsedRule, header: Optional[Header], iif: Optional[str], oif: Optional[str]
) -> Optional[RuleTest]:
    """A test that this packet can't have passed; None if there is none that is known to fail."""
    for test in rule.tests:
        outcome = _passes(test, header, iif, oif)
        if outcome is not None and outcome == test.inverted:
            return test
    return None


def _iptables(words: list[str]) -> ParsedRule:
    target = destination = None
    comments: list[str] = []
    is_goto = conditional = narrowed = inverted = False
    tests: list[RuleTest] = []
    rest = deque(words[2:])
    while rest:
        word = rest.popleft()
        flag = _SHORT_FLAGS.get(word, word)
        if word == "!":
            inverted = True
            continue
        conditional = conditional or flag in _TEST_FLAGS
        is_comment = flag == "-m" and bool(rest) and rest[0] == "comment"
        narrowed = narrowed or (flag in _TEST_FLAGS and not is_comment)
        if flag in _TEXT_OPTIONS and rest:
            text = rest.popleft()
            if flag == "--comment":
                comments.append(text)
        elif flag in ("-j", "-g") and rest and target is None:
            target, is_goto = rest.popleft(), flag == "-g"
        elif flag == "--to-destination" and rest:
            destination = rest.popleft()
        elif flag in _TEST_FLAGS and flag not in ("-m", "-f") and rest and target is None:
            tests.append(RuleTest(flag, rest.popleft(), inverted))
        elif flag == "-m" and rest:
            rest.popleft()
        inverted = False
    changes = () if is_goto else _TARGET_CHANGES.get(target or "", ())
    # Calico writes a hash of each rule beside the comment that is for people.
    comment = next(
        (text_of_comment for text_of_comment in comments if not _HASH.match(text_of_comment)), None
    ) or "".join(comments[:1])
    return ParsedRule(
        target,
        is_goto,
        comment or None,
        not conditional,
        not narrowed,
        tuple([test for test in tests if (target, test.flag) not in _REWRITTEN]),
        changes,
        destination,
        False,
        target == "TRACE",
    )


def _nft(text: str) -> ParsedRule:
    rule = nft_statements.read(text)
    return ParsedRule(
        rule.target,
        rule.is_goto,
        rule.comment,
        False,
        False,
        (),
        rule.changes,
        None,
        rule.is_open,
        rule.begins_trace,
    )


def _passes(
    test: RuleTest, header: Optional[Header], iif: Optional[str], oif: Optional[str]
) -> Optional[bool]:
    """Whether a packet passes a test, its inversion left aside; None where that is not known."""
    if test.flag in ("-i", "-o"):
        name = iif if test.flag == "-i" else oif
        return None if name is None else _is_interface(name, test.value)
    if header is None:
        return None
    if test.flag == "-p":
        return _is_protocol(header.proto, test.value)
    return fits(test, header[FIELD_OF[test.flag]])


def _is_interface(name: str, pattern: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("+") else name == pattern


def _is_protocol(proto: Optional[str], value: str) -> Optional[bool]:
    value = {"ipv6-icmp": "icmpv6", "6": "tcp", "17": "udp", "1": "icmp"}.get(value, value)
    if proto not in _COMPARED_PROTOCOLS or value not in _COMPARED_PROTOCOLS:
        return None
    return proto == value


@lru_cache(maxsize=16384)
def _is_within(address: str, network: str) -> Optional[bool]:
    """Whether the bits that a mask names are those of a network, as the kernel compares them.

    A mask need not be one of leading ones (``0.0.0.255``).
    """
    name, _, mask = network.partition("/")
    try:
        ip, network_ip = ipaddress.ip_address(address), ipaddress.ip_address(name)
        bits = int(ipaddress.ip_address(mask)) if not mask.isdecimal() and mask else None
        size = ip.max_prefixlen
        if bits is None:
            length = int(mask) if mask else size
            bits = (1 << size) - (1 << max(0, size - length))
    except ValueError:
        return None
    return ip.version == network_ip.version and int(ip) & bits == int(network_ip) & bits


@lru_cache(maxsize=16384)
def _is_port(port: int, value: str) -> Optional[bool]:
    ports = _PORTS.fullmatch(value)
    if ports is None:
        return None
    low = int(ports[1] or 0)
    high = int(ports[3] or 65535) if ports[2] else low
    return low <= port <= high
