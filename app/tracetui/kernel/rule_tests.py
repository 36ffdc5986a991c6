"""Tests of a rule of nf_tables, as far as an older iptables can leave them out of its text.

From 1.8.8 on iptables makes expressions of nf_tables for ports, TCP flags and marks, of which
iptables before shows nothing, and says nothing (iptables/nft-shared.c, nft_parse_payload). The
names and numbers are the kernel's (include/uapi/linux/netfilter/nf_tables.h).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

_TRANSPORT_HEADER, _META_MARK = 2, 3


def _attribute(kind: int, size: int) -> bytes:
    return re.escape(struct.pack("=HH", size, kind))


def _expression(name: bytes, padding: int, behind: bytes) -> re.Pattern[bytes]:
    """An expression of that name whose data begin so."""
    data = rb"..(?:\x02[\x00\x80]|[\x00\x80]\x02)"
    head = _attribute(1, 5 + len(name)) + name + rb"\x00" + rb"\x00" * padding
    return re.compile(head + data + behind, re.DOTALL)


_OF_TRANSPORT = re.escape(struct.pack(">I", _TRANSPORT_HEADER))
_TRANSPORT_TEST = _expression(
    b"payload", 0, _attribute(1, 8) + rb".{4}" + _attribute(2, 8) + _OF_TRANSPORT
)
_MARK_TEST = _expression(
    b"meta", 3, _attribute(2, 8) + re.escape(struct.pack(">I", _META_MARK)) + _attribute(1, 8)
)
_MATCH = _expression(b"match", 2, rb"..(?:\x01\x00|\x00\x01)(\w{1,28})\x00")
_ALIASES = {"conntrack": ("state",)}
"""Names under which iptables prints a match, beside its own (libxt_conntrack.c)."""
_SHOWN = {
    "transport": re.compile(
        r" --(?:[sd]port|[sd]ports|ports|source-ports?|destination-ports?|tcp-flags|syn|icmp-type"
        r"|icmpv6-type|dccp-types?|chunk-types|tcp-option)\b| -m multiport\b"
    ),
    "mark": re.compile(r" --mark\b"),
}


def asked(expressions: bytes) -> frozenset[str]:
    """Name the tests of a rule that an older iptables may not show: words of :func:`is_told`."""
    return frozenset(_asked(expressions))


def _asked(expressions: bytes) -> Iterator[str]:
    if _TRANSPORT_TEST.search(expressions):
        yield "transport"
    if _MARK_TEST.search(expressions):
        yield "mark"
    for found in _MATCH.finditer(expressions):
        yield found[1].decode(errors="replace")


def is_told(text: str, tests: frozenset[str]) -> bool:
    """Whether what iptables-save printed of a rule shows all that it tests."""
    return all(
        _SHOWN[one].search(text) is not None if one in _SHOWN else _has_match(text, one)
        for one in tests
    )


def _has_match(text: str, name: str) -> bool:
    names = (name, *_ALIASES.get(name, ()))
    return any(f" -m {one} " in f"{text} " for one in names)
