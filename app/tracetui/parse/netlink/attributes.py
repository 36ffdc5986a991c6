"""Netlink messages of netfilter: header and attributes (include/uapi/linux/netlink.h)."""

from __future__ import annotations

import struct
from typing import NamedTuple

_HEAD = struct.Struct("=IHHIIBBH")
_ATTRIBUTE = struct.Struct("=HH")
_TYPE_MASK = 0x3FFF
"""NLA_TYPE_MASK: without the nested and byte-order bits."""


class NetlinkMessage(NamedTuple):
    """One nfnetlink message."""

    type: int
    """Subsystem << 8 | message number."""
    family: int
    """``nfgen_family``."""
    attributes: dict[int, bytes]


def first_message(datagram: bytes) -> NetlinkMessage | None:
    """The first message of a datagram; None if it is not whole. TRACE sends one a datagram."""
    if len(datagram) < _HEAD.size:
        return None
    length, kind, _, _, _, family, _, _ = _HEAD.unpack_from(datagram)
    if not _HEAD.size <= length <= len(datagram):
        return None
    return NetlinkMessage(kind, family, attributes(datagram[_HEAD.size : length]))


def number(value: bytes | None, size: int) -> int | None:
    """A big-endian number of so many bytes; None for one that is missing or of another size."""
    return None if value is None or len(value) != size else int.from_bytes(value, "big")


def attributes(data: bytes) -> dict[int, bytes]:
    """Attributes by type, up to the first one that is not whole."""
    found: dict[int, bytes] = {}
    at, end = 0, len(data)
    while end - at >= 4:
        size, kind = _ATTRIBUTE.unpack_from(data, at)
        if size < 4 or at + size > end:
            break
        found[kind & _TYPE_MASK] = data[at + 4 : at + size]
        at += (size + 3) & ~3
    return found
