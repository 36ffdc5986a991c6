"""The nf_tables ruleset of this thread's namespace, as far as places in it go: no rule is decoded.

Names and numbers are the kernel's (include/uapi/linux/netfilter/nf_tables.h).
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Collection, Iterator
from typing import NamedTuple, Optional

from tracetui.errors import Failure, NotPermitted
from tracetui.kernel.netlink import KERNEL

_NETLINK_NETFILTER = 12
_SUBSYSTEM = 10 << 8
_GET_TABLE, _GET_CHAIN, _GET_RULE, _GET_GENERATION = (
    _SUBSYSTEM | number for number in (1, 4, 7, 16)
)
_REQUEST, _DUMP = 1, 0x300
_ERROR, _DONE = 2, 3
_RECEIVE = 1 << 18
"""Bytes; the kernel fills a dump's datagrams up to 32 KiB (netlink_dump)."""
_SECONDS = 5.0
_HEAD = struct.Struct("=IHHIIBBH")
_ATTRIBUTE = struct.Struct("=HH")
_TABLE_NAME, _TABLE_FLAGS, _TABLE_HANDLE = 1, 2, 4
_TABLE_DORMANT = 1
_CHAIN_TABLE, _CHAIN_NAME, _CHAIN_HOOK, _CHAIN_POLICY, _CHAIN_TYPE = 1, 3, 4, 5, 7
_HOOK_NUMBER, _HOOK_PRIORITY = 1, 2
_RULE_TABLE, _RULE_CHAIN, _RULE_HANDLE, _RULE_EXPRESSIONS = 1, 2, 3, 4
_OF_IPTABLES = frozenset(
    (b"match", b"target", b"payload", b"meta", b"cmp", b"bitwise", b"range", b"counter",
     b"immediate", b"limit", b"log")
)  # fmt: skip
"""Expressions that iptables-nft makes (iptables/nft-shared.c, nft.c)."""
_GENERATION_ID = 1
_FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
_HOOKS = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")


class TablePlace(NamedTuple):
    """One table."""

    family: str
    """In nft's words: ip, ip6, inet, bridge, netdev or arp."""
    name: str
    handle: int
    """Never given twice in a namespace: a table made anew has another one."""
    is_dormant: bool


class ChainPlace(NamedTuple):
    """One chain, base or user."""

    family: str
    table: str
    name: str
    hook: Optional[str]
    """Of a base chain, where it is one of IP's; else None."""
    priority: Optional[int]
    policy: Optional[str]
    """``accept`` or ``drop`` of a base chain."""
    type: Optional[str]
    """Of a base chain: ``filter``, ``nat`` or ``route``; None for a user chain."""
    handles: tuple[int, ...]
    """The rules' handles in their order. A handle is never given twice in one table."""
    native: tuple[int, ...]
    """Those of them that iptables can't have made: they use what it does not."""


class Places(NamedTuple):
    """What one pass over the ruleset found."""

    tables: tuple[TablePlace, ...]
    chains: tuple[ChainPlace, ...]
    is_whole: bool
    """Whether nothing changed meanwhile; else parts may be of different moments."""


class NfTables:
    """Asks the kernel about the ruleset; one socket, used by one thread."""

    def __init__(self) -> None:
        """Raises Failure where there is no nf_tables."""
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
            self._socket.bind((0, 0))
            # Nobody else can fill it up from here on, as in netlink.NetlinkSource.
            self._socket.connect((KERNEL, 0))
        except OSError as error:
            raise Failure(f"no nf_tables: {os.strerror(error.errno or 0)}") from None
        self._socket.settimeout(_SECONDS)
        self._sequence = 0

    def generation(self) -> int:
        """The number of the last committed change (NFT_MSG_GETGEN); raises Failure."""
        for _, attributes in self._ask(_GET_GENERATION, 0):
            return int.from_bytes(attributes.get(_GENERATION_ID, b""), "big")
        raise Failure("nf_tables did not tell its generation")

    def places(self) -> Places:
        """Every table, chain and rule handle; raises Failure."""
        before = self.generation()
        tables = tuple(self._tables())
        # Packets enter no chain of a dormant table.
        dormant = {table[:2] for table in tables if table.is_dormant}
        chains = tuple(self._chains(dormant))
        return Places(tables, chains, self.generation() == before)

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def _tables(self) -> Iterator[TablePlace]:
        for family, found in self._ask(_GET_TABLE, _DUMP):
            handle = int.from_bytes(found.get(_TABLE_HANDLE, b""), "big")
            flags = int.from_bytes(found.get(_TABLE_FLAGS, b""), "big")
            yield TablePlace(
                family, _text(found[_TABLE_NAME]), handle, bool(flags & _TABLE_DORMANT)
            )

    def _chains(self, dormant: Collection[tuple[str, str]]) -> Iterator[ChainPlace]:
        handles: dict[tuple[str, bytes, bytes], list[int]] = {}
        native: dict[tuple[str, bytes, bytes], list[int]] = {}
        for family, found in self._ask(_GET_RULE, _DUMP):
            key = (family, found[_RULE_TABLE], found[_RULE_CHAIN])
            handle = int.from_bytes(found[_RULE_HANDLE], "big")
            handles.setdefault(key, []).append(handle)
            if _is_native(found.get(_RULE_EXPRESSIONS, b"")):
                native.setdefault(key, []).append(handle)
        for family, found in self._ask(_GET_CHAIN, _DUMP):
            key = (family, found[_CHAIN_TABLE], found[_CHAIN_NAME])
            if (family, _text(found[_CHAIN_TABLE])) in dormant:
                found.pop(_CHAIN_HOOK, None)
            hook = _attributes(found[_CHAIN_HOOK]) if _CHAIN_HOOK in found else {}
            number = int.from_bytes(hook[_HOOK_NUMBER], "big") if _HOOK_NUMBER in hook else None
            priority = hook.get(_HOOK_PRIORITY)
            policy = found.get(_CHAIN_POLICY)
            is_ip = family in ("ip", "ip6", "inet", "bridge")
            yield ChainPlace(
                family,
                _text(found[_CHAIN_TABLE]),
                _text(found[_CHAIN_NAME]),
                _HOOKS[number] if is_ip and number is not None and number < 5 else None,
                None if priority is None else int.from_bytes(priority, "big", signed=True),
                None if policy is None else ("drop", "accept")[policy[-1] & 1],
                _text(found.get(_CHAIN_TYPE, b"filter")) if _CHAIN_HOOK in found else None,
                tuple(handles.get(key, ())),
                tuple(native.get(key, ())),
            )

    def _ask(self, kind: int, flags: int) -> Iterator[tuple[str, dict[int, bytes]]]:
        """Family and first attributes of each message of an answer; raises Failure."""
        self._sequence += 1
        request = _HEAD.pack(_HEAD.size, kind, _REQUEST | flags, self._sequence, 0, 0, 0, 0)
        try:
            self._socket.send(request)
            while True:
                data, (sender, _) = self._socket.recvfrom(_RECEIVE)
                at = 0 if sender == KERNEL else len(data)
                while at + 16 <= len(data):
                    size, found, _, sequence, _, family, _, _ = _HEAD.unpack_from(
                        data.ljust(at + _HEAD.size, b"\0"), at
                    )
                    if sequence == self._sequence:
                        if found == _DONE:
                            return
                        if found == _ERROR:
                            raise _refusal(struct.unpack_from("=i", data, at + 16)[0])
                        name = _FAMILIES.get(family, str(family))
                        yield name, _attributes(data, at + _HEAD.size, at + size)
                        if not flags & _DUMP:
                            return
                    at += (size + 3) & ~3 or len(data)
        except OSError as error:
            raise Failure(f"nf_tables did not answer: {error}") from None


def _is_native(expressions: bytes) -> bool:
    return any(name not in _OF_IPTABLES for name in _names(expressions))


def _names(expressions: bytes) -> Iterator[bytes]:
    """The name of each expression: it is the first attribute of each element of the list."""
    at = 0
    while at + 8 <= len(expressions):
        size, _ = _ATTRIBUTE.unpack_from(expressions, at)
        name, _ = _ATTRIBUTE.unpack_from(expressions, at + 4)
        yield expressions[at + 8 : at + 4 + name].rstrip(b"\0")
        at += max((size + 3) & ~3, 4)


def _refusal(code: int) -> Failure:
    if code == -1:
        return NotPermitted("the nf_tables ruleset can be read by root only")
    return Failure(f"nf_tables: {os.strerror(-code)}")


def _attributes(data: bytes, at: int = 0, end: int | None = None) -> dict[int, bytes]:
    """Attributes by type, up to one that is not whole."""
    end = len(data) if end is None else min(end, len(data))
    found: dict[int, bytes] = {}
    while end - at >= 4:
        size, kind = _ATTRIBUTE.unpack_from(data, at)
        if size < 4 or at + size > end:
            break
        found[kind & 0x3FFF] = data[at + 4 : at + size]
        at += (size + 3) & ~3
    return found


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="backslashreplace")
