"""The nf_tables ruleset of this thread's namespace, as far as places in it go: no rule is decoded.

Names and numbers are the kernel's (include/uapi/linux/netfilter/nf_tables.h).
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, Optional, Protocol

from tracetui.errors import Failure, NotPermitted
from tracetui.kernel.netlink import KERNEL, close_to_others

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
FEW_CHAINS = 256
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
_NUMBERS = {name: number for number, name in _FAMILIES.items()}
_HOOKS = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")


_Key = tuple[str, bytes, bytes]
"""Family, table and name of a chain."""
_Message = tuple[str, dict[int, bytes]]
"""Family, and first attributes."""


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


class Wire(Protocol):
    """What carries questions to the kernel and its answers back, a datagram at a time."""

    def send(self, request: bytes, /) -> int:
        """Hand over a question."""
        ...

    def recvfrom(self, size: int, /) -> tuple[bytes, tuple[int, int]]:
        """The next datagram, and port id and group of who sent it; raises OSError if none comes."""
        ...

    def close(self) -> None:
        """Give it back."""
        ...


class NfTables:
    """Asks the kernel about the ruleset; one socket, used by one thread."""

    def __init__(self, wire: Optional[Wire] = None) -> None:
        """Ask over ``wire``, or a socket of its own; raises Failure where there is no nf_tables."""
        self._wire = wire or _netlink_socket()
        self._sequence = 0

    def generation(self) -> int:
        """The number of the last committed change (NFT_MSG_GETGEN); raises Failure."""
        for _, found in self._ask(_GET_GENERATION, 0):
            return _number(found, _GENERATION_ID)
        raise Failure("nf_tables did not tell its generation")

    def places(self) -> Places:
        """Every table, chain and rule handle; raises Failure."""
        before = self.generation()
        tables = self.tables()
        # Packets enter no chain of a dormant table.
        dormant = {table[:2] for table in tables if table.is_dormant}
        chains = tuple(self._chains(dormant))
        return Places(tables, chains, self.generation() == before)

    def tables(self) -> tuple[TablePlace, ...]:
        """Every table; raises Failure."""
        return tuple(_table(*message) for message in self._ask(_GET_TABLE, _DUMP))

    def sizes(self) -> dict[tuple[str, str, str], int]:
        """How many rules each chain has, by family, table and name; raises Failure."""
        chains = list(self._ask(_GET_CHAIN, _DUMP))
        count = Counter(_of_rule(*rule) for rule in self._rules(chains))
        return {
            (key[0], _text(key[1]), _text(key[2])): count[key]
            for key in (_key(*chain) for chain in chains)
        }

    def close(self) -> None:
        """Give the socket back."""
        self._wire.close()

    def _chains(self, dormant: Collection[tuple[str, str]]) -> Iterator[ChainPlace]:
        chains = list(self._ask(_GET_CHAIN, _DUMP))
        handles: dict[_Key, list[int]] = {}
        native: dict[_Key, list[int]] = {}
        for family, found in self._rules(chains):
            key = _of_rule(family, found)
            handle = _number(found, _RULE_HANDLE)
            handles.setdefault(key, []).append(handle)
            if _is_native(found.get(_RULE_EXPRESSIONS, b"")):
                native.setdefault(key, []).append(handle)
        for family, found in chains:
            key = _key(family, found)
            if (family, _text(key[1])) in dormant:
                found.pop(_CHAIN_HOOK, None)
            hook, priority = _hook(family, found)
            yield ChainPlace(
                family,
                _text(key[1]),
                _text(key[2]),
                hook,
                priority,
                ("drop", "accept")[_number(found, _CHAIN_POLICY) & 1]
                if _CHAIN_POLICY in found
                else None,
                _text(found.get(_CHAIN_TYPE, b"filter")) if _CHAIN_HOOK in found else None,
                tuple(handles.get(key, ())),
                tuple(native.get(key, ())),
            )

    def _rules(self, chains: Sequence[_Message]) -> Iterator[_Message]:
        """Every rule; raises Failure.

        Asked for all of them, the kernel goes through those it told already for each datagram: of
        40,000 rules that takes a second, of half of them a fifth. Where there are more than a few
        chains it is asked for one after the other.
        """
        if len(chains) <= FEW_CHAINS:
            yield from self._ask(_GET_RULE, _DUMP)
            return
        for family, found in chains:
            key = _key(family, found)
            of_chain = _attribute(_RULE_TABLE, key[1]) + _attribute(_RULE_CHAIN, key[2])
            for rule in self._ask(_GET_RULE, _DUMP, _NUMBERS.get(family, 0), of_chain):
                if _of_rule(*rule) != key:
                    raise Failure("nf_tables told a rule of another chain than was asked for")
                yield rule

    def _ask(
        self, kind: int, flags: int, family: int = 0, attributes: bytes = b""
    ) -> Iterator[_Message]:
        """The messages of an answer; raises Failure."""
        self._sequence += 1
        size = _HEAD.size + len(attributes)
        request = _HEAD.pack(size, kind, _REQUEST | flags, self._sequence, 0, family, 0, 0)
        request += attributes
        try:
            self._wire.send(request)
            while True:
                data, (sender, _) = self._wire.recvfrom(_RECEIVE)
                at = 0 if sender == KERNEL else len(data)
                while at + 16 <= len(data):
                    size, found, _, sequence, _, family, _, _ = _HEAD.unpack_from(
                        data.ljust(at + _HEAD.size, b"\0"), at
                    )
                    if sequence == self._sequence:
                        if found == _DONE:
                            return
                        if found == _ERROR:
                            raise _refusal(data[at + 16 : at + 20])
                        name = _FAMILIES.get(family, str(family))
                        yield name, _attributes(data, at + _HEAD.size, at + size)
                        if not flags & _DUMP:
                            return
                    at += (size + 3) & ~3 or len(data)
        except OSError as error:
            raise Failure(f"nf_tables did not answer: {error}") from None


def _netlink_socket() -> socket.socket:
    try:
        opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        opened.bind((0, 0))
        close_to_others(opened)
    except OSError as error:
        raise Failure(f"no nf_tables: {os.strerror(error.errno or 0)}") from None
    opened.settimeout(_SECONDS)
    return opened


def _table(family: str, found: Mapping[int, bytes]) -> TablePlace:
    flags = _number(found, _TABLE_FLAGS) if _TABLE_FLAGS in found else 0
    handle = _number(found, _TABLE_HANDLE) if _TABLE_HANDLE in found else 0
    name = _text(_value(found, _TABLE_NAME))
    return TablePlace(family, name, handle, bool(flags & _TABLE_DORMANT))


def _key(family: str, chain: Mapping[int, bytes]) -> _Key:
    return family, _value(chain, _CHAIN_TABLE), _value(chain, _CHAIN_NAME)


def _of_rule(family: str, rule: Mapping[int, bytes]) -> _Key:
    return family, _value(rule, _RULE_TABLE), _value(rule, _RULE_CHAIN)


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(4 + len(value), kind) + value + bytes(-len(value) % 4)


def _hook(family: str, found: Mapping[int, bytes]) -> tuple[Optional[str], Optional[int]]:
    """A base chain's hook, where it is one of IP's, and its priority."""
    if _CHAIN_HOOK not in found:
        return None, None
    parts = _attributes(found[_CHAIN_HOOK])
    number, priority = _number(parts, _HOOK_NUMBER), _number(parts, _HOOK_PRIORITY)
    is_ip = family in ("ip", "ip6", "inet", "bridge") and number < len(_HOOKS)
    return _HOOKS[number] if is_ip else None, priority - ((priority & 1 << 31) << 1)


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


def _refusal(code: bytes) -> Failure:
    number = -int.from_bytes(code, sys.byteorder, signed=True)
    if number == errno.EPERM:
        return NotPermitted("the nf_tables ruleset can be read by root only")
    return Failure(f"nf_tables: {os.strerror(number) if 0 < number < 4096 else 'no answer'}")


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


def _value(found: Mapping[int, bytes], kind: int) -> bytes:
    """An attribute that every message of its sort has; raises Failure for one that has not."""
    if kind not in found:
        raise Failure("nf_tables sent something that can't be read")
    return found[kind]


def _number(found: Mapping[int, bytes], kind: int) -> int:
    """The same as a number, which is never longer than 64 bits."""
    value = _value(found, kind)
    if not 1 <= len(value) <= 8:
        raise Failure("nf_tables sent something that can't be read")
    return int.from_bytes(value, "big")


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="backslashreplace")
