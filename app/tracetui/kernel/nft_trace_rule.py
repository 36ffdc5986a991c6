"""A TRACE rule as nf_tables tells it: by its expressions, of which few are read.

Names and numbers are the kernel's (include/uapi/linux/netfilter/{nf_tables,nf_tables_compat}.h,
xt_time.h).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Optional

from tracetui.kernel import xt_time
from tracetui.kernel.nft_socket import (
    attributes_of,
    each_attribute,
    required_number,
    required_value,
)
from tracetui.kernel.uapi import NFTA_RULE_CHAIN, NFTA_RULE_EXPRESSIONS, NFTA_RULE_HANDLE
from tracetui.model.tracing.digest import digest
from tracetui.model.tracing.installed_rule import TAG, InstalledRule

_RULE_USERDATA = 7
_EXPRESSION_NAME, _EXPRESSION_DATA = 1, 2
_DATA_VALUE = 1
_IMMEDIATE_REGISTER, _IMMEDIATE_DATA = 1, 2
_META_KEY, _META_SOURCE = 2, 3
_META_NFTRACE = struct.pack(">I", 12)
_COUNTER_BYTES, _COUNTER_PACKETS = 1, 2
_XT_NAME, _XT_INFO = 1, 3
"""Attributes of a match or target of x_tables (nf_tables_compat.h)."""
_USERDATA_COMMENT = 0


def trace_rule(family: int, found: Mapping[int, bytes], position: int) -> Optional[InstalledRule]:
    """A rule as the kernel tells it; None for one whose target is not TRACE."""
    expressions = found.get(NFTA_RULE_EXPRESSIONS, b"")
    if _META_NFTRACE not in expressions and b"TRACE\0" not in expressions:
        return None
    parts = [_expression(element) for _, element in each_attribute(expressions)]
    if not _traces(parts):
        return None
    counts = next((data for name, data in parts if name == b"counter"), {})
    comment = _comment(parts, found.get(_RULE_USERDATA, b""))
    handle = required_number(found, NFTA_RULE_HANDLE)
    return InstalledRule(
        backend="nft",
        family=family,
        chain=text_of(required_value(found, NFTA_RULE_CHAIN)),
        words=(),
        packets=int.from_bytes(counts.get(_COUNTER_PACKETS, b""), "big"),
        bytes=int.from_bytes(counts.get(_COUNTER_BYTES, b""), "big"),
        comment=comment if comment is not None and comment.startswith(TAG) else None,
        expires=_expiry(parts),
        position=position,
        handle=handle,
        key=digest(b"".join(_lasting(expressions)).hex()),
    )


_Part = tuple[bytes, dict[int, bytes]]
"""An expression's name and its attributes."""


def _lasting(expressions: bytes) -> Iterator[bytes]:
    """The expressions of a rule without those that change as packets pass."""
    for _, element in each_attribute(expressions):
        if _expression(element)[0] != b"counter":
            yield element


def _expression(element: bytes) -> _Part:
    found = attributes_of(element)
    data = attributes_of(found.get(_EXPRESSION_DATA, b""))
    return found.get(_EXPRESSION_NAME, b"").rstrip(b"\0"), data


def _traces(parts: list[_Part]) -> bool:
    """Whether a rule sets nf_trace: ``meta nftrace set 1``, or the TRACE target of x_tables.

    iptables-nft writes the first (iptables/nft.c; seen with 1.8.7 and 1.8.9).
    """
    registers: dict[bytes, bytes] = {}
    for name, data in parts:
        if name == b"immediate":
            loaded = attributes_of(data.get(_IMMEDIATE_DATA, b"")).get(_DATA_VALUE, b"")
            registers[data.get(_IMMEDIATE_REGISTER, b"")] = loaded
        elif name == b"meta" and data.get(_META_KEY) == _META_NFTRACE:
            loaded = registers.get(data.get(_META_SOURCE, b"none"), b"")
            if any(loaded):
                return True
        elif name == b"target" and data.get(_XT_NAME, b"").rstrip(b"\0") == b"TRACE":
            return True
    return False


def _comment(parts: list[_Part], userdata: bytes) -> Optional[str]:
    """A rule's comment: of the match that iptables-nft makes of it, or of the rule's user data."""
    for name, data in parts:
        if name == b"match" and data.get(_XT_NAME, b"").rstrip(b"\0") == b"comment":
            return text_of(data.get(_XT_INFO, b"").partition(b"\0")[0])
    at = 0
    while at + 2 <= len(userdata):
        kind, size = userdata[at], userdata[at + 1]
        if kind == _USERDATA_COMMENT:
            return text_of(userdata[at + 2 : at + 2 + size].partition(b"\0")[0])
        at += 2 + size
    return None


def _expiry(parts: list[_Part]) -> Optional[float]:
    """Seconds since the epoch at which a rule stops matching (``-m time --datestop``)."""
    for name, data in parts:
        if name == b"match" and data.get(_XT_NAME, b"").rstrip(b"\0") == b"time":
            return xt_time.end_of(data.get(_XT_INFO, b""))
    return None


def text_of(name: bytes) -> str:
    """A name as text; bytes that are no UTF-8 are kept, for a rule is removed by them."""
    return name.rstrip(b"\0").decode(errors="surrogateescape")
