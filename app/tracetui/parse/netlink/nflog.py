"""TRACE records of legacy tables as nfnetlink_log sends them (net/netfilter/nfnetlink_log.c)."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import Optional

from tracetui.model.rules.logged_points import LONGEST_CHAIN_BYTES, is_possible
from tracetui.model.trace.hop import END_OF_CALENDAR, Hop
from tracetui.model.trace.trace_point import FORGED, HOOKS
from tracetui.parse.headers import ethernet, ip
from tracetui.parse.netlink import attributes

PACKET = 4 << 8
"""The type of a record: NFNL_SUBSYS_ULOG, NFULNL_MSG_PACKET (nfnetlink_log.h)."""
_HDR, _NFLOG_MARK, _TIMESTAMP, _INDEV, _OUTDEV, _PAYLOAD, _PREFIX = 1, 2, 3, 4, 5, 9, 10
_HWTYPE, _HWHEADER = 15, 16
_NFLOG_FAMILIES = {2: "ip", 10: "ip6"}
_STAMP = struct.Struct(">QQ")
"""Seconds and microseconds (struct nfulnl_msg_packet_timestamp)."""
_TRACE_PREFIX = re.compile(rb"TRACE: ([^:\s]+):(\S+):(rule|return|policy):([0-9]{1,10})( ?)\0?\Z")


def parse(datagram: bytes, links: Mapping[int, str], received: float) -> Optional[Hop]:
    """The hop of one datagram; None if it holds none (group 0 carries other logs too).

    ``links`` gives interface names by index; ``received`` is seconds since the epoch. The kernel's
    own time stamp is taken where there is one: not in OUTPUT and POSTROUTING.
    """
    message = attributes.first_message(datagram)
    if message is None or message.type != PACKET or message.family not in _NFLOG_FAMILIES:
        return None
    found = message.attributes
    place = _place(found.get(_PREFIX, b""))
    if place is None:
        return None
    table, chain, kind, number, is_as_printed = place
    head = found.get(_HDR, b"")
    hook = HOOKS[head[2]] if len(head) > 2 and head[2] < len(HOOKS) else None
    is_traced = is_as_printed and is_possible(table, chain, kind, number, hook)
    return Hop.of(
        backend="legacy",
        family=_NFLOG_FAMILIES[message.family],
        table=table,
        chain=chain,
        type=kind,
        rulenum=number,
        hook=hook,
        iif=link_name(found.get(_INDEV), links),
        oif=link_name(found.get(_OUTDEV), links),
        mark=attributes.number(found.get(_NFLOG_MARK), 4),
        time=stamp(found.get(_TIMESTAMP)) or received,
        header=ip.parse(found.get(_PAYLOAD, b"")),
        mac=_mac(found),
        source=None if is_traced else FORGED,
    )


def _mac(found: Mapping[int, bytes]) -> Optional[str]:
    is_ethernet = attributes.number(found.get(_HWTYPE), 2) == ethernet.ARPHRD_ETHER
    return ethernet.addresses(found.get(_HWHEADER, b"")) if is_ethernet else None


def link_name(index: Optional[bytes], links: Mapping[int, str]) -> Optional[str]:
    """The name of an interface given as a big-endian index; ``#7`` where it is not known."""
    number = attributes.number(index, 4)
    return None if number is None else links.get(number) or f"#{number}"


@lru_cache(maxsize=4096)
def _place(prefix: bytes) -> Optional[tuple[str, str, str, int, bool]]:
    """Table, chain, type and number, and whether they stand as TRACE prints them.

    It ends them with a blank, and a chain's name has its bounds.
    """
    found = _TRACE_PREFIX.match(prefix)
    if found is None:
        return None
    table, chain, kind = (part.decode(errors="backslashreplace") for part in found.groups()[:3])
    is_as_printed = bool(found[5]) and len(found[2]) <= LONGEST_CHAIN_BYTES
    return table, chain, kind, int(found[4]), is_as_printed


def stamp(value: Optional[bytes]) -> Optional[float]:
    """Seconds since the epoch; None for what no clock shows."""
    if value is None or len(value) != _STAMP.size:
        return None
    seconds, fraction = _STAMP.unpack(value)
    return seconds + fraction / 1e6 if seconds < END_OF_CALENDAR and fraction < 1_000_000 else None
