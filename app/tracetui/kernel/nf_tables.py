"""The nf_tables ruleset of this thread's namespace, as far as places in it go: no rule is decoded.

Names and numbers are the kernel's (include/uapi/linux/netfilter/nf_tables.h).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, Optional

from tracetui.errors import Failure
from tracetui.kernel import rule_tests
from tracetui.kernel.nft_socket import (
    DUMP,
    NUMBERS,
    Message,
    NftSocket,
    Wire,
    attribute,
    attributes_of,
    each_attribute,
    required_number,
    required_value,
)
from tracetui.kernel.uapi import (
    NFT_MSG_GETCHAIN,
    NFT_MSG_GETRULE,
    NFTA_CHAIN_NAME,
    NFTA_CHAIN_TABLE,
    NFTA_RULE_CHAIN,
    NFTA_RULE_EXPRESSIONS,
    NFTA_RULE_HANDLE,
    NFTA_RULE_TABLE,
)
from tracetui.model.trace.trace_point import HOOKS

_GET_TABLE = 1
FEW_CHAINS = 256
FEW_RULES = 20_000
"""Rules of one chain up to which they are counted one by one: the kernel tells them in a time that
grows with the square of their number, 27 seconds for 250,000."""
_TABLE_NAME, _TABLE_FLAGS, _TABLE_HANDLE = 1, 2, 4
_TABLE_DORMANT = 1
_CHAIN_HOOK, _CHAIN_POLICY, _CHAIN_USE, _CHAIN_TYPE = 4, 5, 6, 7
_HOOK_NUMBER, _HOOK_PRIORITY = 1, 2
_IPTABLES_EXPRESSIONS = frozenset(
    (b"match", b"target", b"payload", b"meta", b"cmp", b"bitwise", b"range", b"counter",
     b"immediate", b"limit", b"log")
)  # fmt: skip
"""Expressions that iptables-nft makes (iptables/nft-shared.c, nft.c)."""


_ChainName = tuple[str, bytes, bytes]
"""Family, table and name of a chain."""


class TableOutline(NamedTuple):
    """A table."""

    family: str
    """The family in nft's words: ip, ip6, inet, bridge, netdev or arp."""
    name: str
    handle: int
    """Never given twice in a namespace: a table made anew has another one."""
    is_dormant: bool


class ChainOutline(NamedTuple):
    """A chain, base or user."""

    family: str
    table: str
    name: str
    hook: Optional[str]
    """The hook of a base chain, where it is one of IP's; else None."""
    priority: Optional[int]
    policy: Optional[str]
    """``accept`` or ``drop`` of a base chain."""
    type: Optional[str]
    """The type of a base chain: ``filter``, ``nat`` or ``route``; None for a user chain."""
    handles: tuple[int, ...]
    """The rules' handles in their order. A handle is never given twice in one table."""
    native: tuple[int, ...]
    """Rules among them that iptables can't have made: they use what it does not."""


class RulesetOutline(NamedTuple):
    """The result of one pass over the ruleset."""

    tables: tuple[TableOutline, ...]
    chains: tuple[ChainOutline, ...]
    is_whole: bool
    """Whether nothing changed meanwhile; else parts may be of different moments."""
    tests: Mapping[tuple[str, str, int], frozenset[str]] = {}
    """Tests of rules that iptables-save may leave out, by family, table and handle."""


class NfTables:
    """Asks the kernel about the ruleset; one socket, used by one thread."""

    def __init__(self, wire: Optional[Wire] = None) -> None:
        """Ask over ``wire``, or a socket of its own; raises Failure where there is no nf_tables."""
        self._socket = NftSocket(wire)

    def generation(self) -> int:
        """The number of the last committed change (NFT_MSG_GETGEN); raises Failure."""
        return self._socket.generation()

    def outline(self) -> RulesetOutline:
        """List every table, chain and rule handle; raises Failure."""
        before = self.generation()
        tables = self.tables()
        # Packets enter no chain of a dormant table.
        dormant = {table[:2] for table in tables if table.is_dormant}
        tests: dict[tuple[str, str, int], frozenset[str]] = {}
        chains = tuple(self._chains(dormant, tests))
        return RulesetOutline(tables, chains, self.generation() == before, tests)

    def tables(self) -> tuple[TableOutline, ...]:
        """List every table; raises Failure."""
        return tuple(_table(*message) for message in self._socket.ask(_GET_TABLE, DUMP))

    def sizes(self) -> dict[tuple[str, str, str], int]:
        """Count the rules of each chain, by family, table and name; raises Failure.

        Where a chain has very many, jumps to chains are counted as rules of theirs.
        """
        chains = list(self._socket.ask(NFT_MSG_GETCHAIN, DUMP))
        count = _uses(chains)
        if max(count.values(), default=0) <= FEW_RULES:
            count = Counter(_of_rule(*rule) for rule in self._rules(chains))
        return {
            (key[0], _text(key[1]), _text(key[2])): count[key]
            for key in (_key(*chain) for chain in chains)
        }

    def most_rules(self) -> tuple[int, int]:
        """Count the rules there are at most, in all and in one chain; raises Failure.

        It takes no longer for many.
        """
        uses = _uses(list(self._socket.ask(NFT_MSG_GETCHAIN, DUMP)))
        return sum(uses.values()), max(uses.values(), default=0)

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def _chains(
        self,
        dormant: Collection[tuple[str, str]],
        tests: dict[tuple[str, str, int], frozenset[str]],
    ) -> Iterator[ChainOutline]:
        chains = list(self._socket.ask(NFT_MSG_GETCHAIN, DUMP))
        handles: dict[_ChainName, list[int]] = {}
        native: dict[_ChainName, list[int]] = {}
        for family, found in self._rules(chains):
            key = _of_rule(family, found)
            handle = required_number(found, NFTA_RULE_HANDLE)
            handles.setdefault(key, []).append(handle)
            expressions = found.get(NFTA_RULE_EXPRESSIONS, b"")
            if _is_native(expressions):
                native.setdefault(key, []).append(handle)
            elif asked := rule_tests.asked(expressions):
                tests[family, _text(key[1]), handle] = asked
        for family, found in chains:
            key = _key(family, found)
            if (family, _text(key[1])) in dormant:
                found.pop(_CHAIN_HOOK, None)
            hook, priority = _hook(family, found)
            yield ChainOutline(
                family,
                _text(key[1]),
                _text(key[2]),
                hook,
                priority,
                ("drop", "accept")[required_number(found, _CHAIN_POLICY) & 1]
                if _CHAIN_POLICY in found
                else None,
                _text(found.get(_CHAIN_TYPE, b"filter")) if _CHAIN_HOOK in found else None,
                tuple(handles.get(key, ())),
                tuple(native.get(key, ())),
            )

    def _rules(self, chains: Sequence[Message]) -> Iterator[Message]:
        """List every rule; raises Failure.

        Asked for all of them, the kernel goes through those it told already for each datagram: of
        40,000 rules that takes a second, of half of them a fifth. Where there are more than a few
        chains it is asked for one after the other.
        """
        if len(chains) <= FEW_CHAINS:
            yield from self._socket.ask(NFT_MSG_GETRULE, DUMP)
            return
        for family, found in chains:
            key = _key(family, found)
            of_chain = attribute(NFTA_RULE_TABLE, key[1]) + attribute(NFTA_RULE_CHAIN, key[2])
            for rule in self._socket.ask(NFT_MSG_GETRULE, DUMP, NUMBERS.get(family, 0), of_chain):
                if _of_rule(*rule) != key:
                    raise Failure("nf_tables told a rule of another chain than was asked for")
                yield rule


def _uses(chains: Sequence[Message]) -> Counter[_ChainName]:
    """The rules of each chain and the jumps to it, which the kernel counts together."""
    return Counter({_key(*chain): required_number(chain[1], _CHAIN_USE) for chain in chains})


def _table(family: str, found: Mapping[int, bytes]) -> TableOutline:
    flags = required_number(found, _TABLE_FLAGS) if _TABLE_FLAGS in found else 0
    handle = required_number(found, _TABLE_HANDLE) if _TABLE_HANDLE in found else 0
    name = _text(required_value(found, _TABLE_NAME))
    return TableOutline(family, name, handle, bool(flags & _TABLE_DORMANT))


def _key(family: str, chain: Mapping[int, bytes]) -> _ChainName:
    return family, required_value(chain, NFTA_CHAIN_TABLE), required_value(chain, NFTA_CHAIN_NAME)


def _of_rule(family: str, rule: Mapping[int, bytes]) -> _ChainName:
    return family, required_value(rule, NFTA_RULE_TABLE), required_value(rule, NFTA_RULE_CHAIN)


def _hook(family: str, found: Mapping[int, bytes]) -> tuple[Optional[str], Optional[int]]:
    """A base chain's hook, where it is one of IP's, and its priority."""
    if _CHAIN_HOOK not in found:
        return None, None
    parts = attributes_of(found[_CHAIN_HOOK])
    number, priority = required_number(parts, _HOOK_NUMBER), required_number(parts, _HOOK_PRIORITY)
    is_ip = family in ("ip", "ip6", "inet", "bridge") and number < len(HOOKS)
    return HOOKS[number] if is_ip else None, priority - ((priority & 1 << 31) << 1)


def _is_native(expressions: bytes) -> bool:
    return any(name not in _IPTABLES_EXPRESSIONS for name in _names(expressions))


def _names(expressions: bytes) -> Iterator[bytes]:
    """The name of each expression: it is the first attribute of each element of the list."""
    for _, element in each_attribute(expressions):
        for _, name in each_attribute(element):
            yield name.rstrip(b"\0")
            break


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="backslashreplace")
