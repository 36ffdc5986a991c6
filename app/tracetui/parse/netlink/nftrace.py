"""Trace events of nf_tables (net/netfilter/nf_tables_trace.c, NFT_MSG_TRACE)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import Hop
from tracetui.model.trace.trace_point import nft_hook
from tracetui.parse.headers import ethernet, ip
from tracetui.parse.netlink import attributes
from tracetui.parse.netlink.nflog import link_name

_TRACE_MESSAGE = 10 << 8 | 17
_TABLE, _CHAIN, _HANDLE, _TYPE, _VERDICT, _ID = 1, 2, 3, 4, 5, 6
_LINK, _NETWORK, _TRANSPORT, _IIF, _IIFTYPE = 7, 8, 9, 10, 11
_OIF, _NFTRACE_MARK, _POLICY = 12, 14, 16
_EVENT_TYPES = {1: "policy", 2: "return", 3: "rule"}
_VERDICT_CODE, _VERDICT_CHAIN = 1, 2
_VERDICTS = {
    0: "drop", 1: "accept", 2: "stolen", 3: "queue", 4: "repeat", 5: "stop",
    -1: "continue", -2: "break", -3: "jump", -4: "goto", -5: "return",
}  # fmt: skip
_NFTRACE_FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}


def parse(datagram: bytes, links: Mapping[int, str], received: float) -> Optional[Hop]:
    """The hop of one datagram; None if it is no trace event.

    ``links`` gives interface names by index. nf_tables stamps nothing, so the hop's time is
    ``received``, seconds since the epoch.
    """
    message = attributes.first_message(datagram)
    if message is None or message.type != _TRACE_MESSAGE:
        return None
    found = message.attributes
    kind = _EVENT_TYPES.get(attributes.number(found.get(_TYPE), 4) or 0)
    table, chain = _text(found.get(_TABLE, b"")), _text(found.get(_CHAIN, b""))
    handle = attributes.number(found.get(_HANDLE), 8)
    if kind is None or not table or not chain or (handle is None and _HANDLE in found):
        return None
    verdict = _verdict(found)
    if kind == "rule" and handle is None and verdict == "continue":
        # Newer kernels send the implicit end of a chain as a rule event without a rule.
        kind = "return"
    family = _NFTRACE_FAMILIES.get(message.family, str(message.family))
    return Hop.of(
        backend="nft",
        family=family,
        table=table,
        chain=chain,
        type=kind,
        handle=handle,
        verdict=verdict,
        hook=nft_hook(family, table, chain),
        iif=link_name(found.get(_IIF), links),
        oif=link_name(found.get(_OIF), links),
        mark=attributes.number(found.get(_NFTRACE_MARK), 4),
        time=received,
        trace_id=attributes.number(found.get(_ID), 4),
        header=_header(found),
        mac=_mac(found),
    )


def _verdict(found: Mapping[int, bytes]) -> Optional[str]:
    if _VERDICT in found:
        parts = attributes.attributes(found[_VERDICT])
        code = attributes.number(parts.get(_VERDICT_CODE), 4)
        if code is None:
            return None
        # A queue verdict carries its number in the upper half (NF_QUEUE_NR).
        word = _VERDICTS.get(code - (1 << 32) if code >> 31 else code & 0xFF)
        if word in ("jump", "goto") and _VERDICT_CHAIN in parts:
            return f"{word} {_text(parts[_VERDICT_CHAIN])}"
        return word
    policy = attributes.number(found.get(_POLICY), 4)
    return None if policy is None else _VERDICTS.get(policy)


def _mac(found: Mapping[int, bytes]) -> Optional[str]:
    is_ethernet = attributes.number(found.get(_IIFTYPE), 2) == ethernet.ARPHRD_ETHER
    return ethernet.addresses(found.get(_LINK, b"")) if is_ethernet else None


def _header(found: Mapping[int, bytes]) -> Optional[Header]:
    network, transport = found.get(_NETWORK), found.get(_TRANSPORT, b"")
    return ip.parse_cut6(transport) if network is None else ip.parse_parts(network, transport)


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="backslashreplace")
