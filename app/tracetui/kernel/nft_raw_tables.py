"""TRACE rules in iptables' raw tables of nf_tables: asked of the kernel, and removed by handle.

Whatever else stands in those tables plays no part: iptables-nft reads a table whole before it
removes a rule, and gives up at the first expression that it does not know.
"""

from __future__ import annotations

import contextlib
import errno
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple, Optional

from tracetui.errors import Failure, KernelRefused
from tracetui.kernel.nft_socket import (
    DUMP,
    NUMBERS,
    NftSocket,
    attribute,
    attributes_of,
    each_attribute,
    required_number,
    required_value,
)
from tracetui.model.installed import TAG, InstalledRule

TRIES = 200
"""How often a removal is begun anew because somebody else's change came between."""
_MANY = 1_000
_GET_CHAIN, _GET_RULE, _DELETE_RULE = 4, 7, 8
_CHAIN_TABLE, _CHAIN_NAME = 1, 3
_TABLE = b"raw\0"
_RULE_TABLE, _RULE_CHAIN, _RULE_HANDLE, _RULE_EXPRESSIONS, _RULE_USERDATA = 1, 2, 3, 4, 7
_EXPRESSION_NAME, _EXPRESSION_DATA = 1, 2
_DATA_VALUE = 1
_IMMEDIATE_REGISTER, _IMMEDIATE_DATA = 1, 2
_META_KEY, _META_SOURCE = 2, 3
_META_NFTRACE = struct.pack(">I", 12)
_COUNTER_BYTES, _COUNTER_PACKETS = 1, 2
_XT_NAME, _XT_INFO = 1, 3
"""Of a match or target of x_tables (nf_tables_compat.h)."""
_USERDATA_COMMENT = 0
_TIME_DATES = struct.Struct("=II")
"""The first fields of struct xt_time_info (xt_time.h): seconds since the epoch."""
_NO_STOP = 0x7FFFFFFF
"""What iptables writes for a time without an end; xt_time.h calls no value so."""


class PartlyRead(Failure):
    """A table that could not be read to its end."""

    def __init__(self, text: str, rules: list[InstalledRule]) -> None:
        super().__init__(text)
        self.rules = rules
        """What was found before."""


class NftRawTables:
    """The raw tables of IPv4 and IPv6 in the namespace it is made in.

    Safe to use from several threads: a removal waits for no listing.
    """

    def __init__(self) -> None:
        """Raises Failure where there is no nf_tables."""
        self._asking = threading.Lock()
        self._socket = NftSocket()
        # One that is read is closed half-way; it is at hand when no descriptor is left.
        self._spare: Optional[NftSocket] = NftSocket()
        self._listed: dict[int, _Listed] = {}

    def rules(self, family: int, seconds: float = float("inf")) -> list[InstalledRule]:
        """Every TRACE rule of one family's raw table, without its words; raises Failure.

        PartlyRead, where reading them took longer than so many seconds. Where nothing changed since
        the last look only the counters are asked for: the kernel tells the rules of a chain in a
        time that grows with the square of their number.
        """
        before = self._generation()
        known = self._listed.get(family)
        if known is not None and known.generation == before:
            found = [self.rule(family, one.chain, one.handle or 0) for one in known.rules]
            if None not in found:
                return [
                    new._replace(position=old.position)
                    for new, old in zip(found, known.rules)
                    if new is not None
                ]
        positions: Counter[bytes] = Counter()
        listed: list[InstalledRule] = []
        end = time.monotonic() + seconds
        for rule in self._every(family, "", positions):
            if rule is not None:
                listed.append(rule)
            elif time.monotonic() > end:
                raise PartlyRead(
                    f"it has more rules than are read in {seconds:.0f} s; the first were looked at",
                    listed,
                )
        if self._generation() == before:
            self._listed[family] = _Listed(before, tuple(listed), sum(positions.values()))
        return listed

    def rule(self, family: int, chain: str, handle: int) -> Optional[InstalledRule]:
        """The TRACE rule with this handle, its position unknown (0); None if there is none.

        Raises Failure.
        """
        with self._asking:
            return self._rule(family, chain, handle)

    def find(self, family: int, chain: str, comment: str) -> Optional[InstalledRule]:
        """The first rule of a chain that bears this comment; None if there is none.

        Raises Failure. It is read no further: a rule of ours is inserted first.
        """
        known = self._listed.get(family)
        if known is not None and known.generation == self._generation():
            return next((r for r in known.rules if (r.chain, r.comment) == (chain, comment)), None)
        for rule in self._every(family, chain, Counter()):
            if rule is not None and rule.comment == comment:
                return rule
        return None

    def delete(self, one: InstalledRule) -> bool:
        """Remove a rule by its handle; False if it was not there, or is another one by now.

        Raises Failure. What is looked at and what is removed is the same rule: the kernel is told
        the generation in which it was looked at.
        """
        if not one.handle or not one.chain:
            # Without a chain the kernel would remove every rule of the table.
            raise Failure("a rule of nf_tables is removed by its chain and handle")
        where = _of_rule(one.chain, one.handle)
        with self._asking:
            for _ in range(TRIES):
                generation = self._socket.generation()
                found = self._rule(one.family, one.chain, one.handle)
                if found is None or found.comment != one.comment:
                    return False
                try:
                    self._socket.change(_DELETE_RULE, _number(one.family), where, generation)
                except KernelRefused as error:
                    if error.number == errno.ENOENT:
                        return False
                    if error.number != errno.ERESTART:
                        raise
                else:
                    self._note_deletion(one, generation)
                    return True
        raise Failure("others change the rules of nf_tables all the time")

    def size(self, family: int) -> int:
        """How many rules the raw table has, whatever their target; raises Failure."""
        self.rules(family)
        known = self._listed.get(family)
        return 0 if known is None else known.size

    def chain_names(self, family: int) -> list[str]:
        """The chains of the raw table; raises Failure."""
        with self._asking:
            answers = list(self._socket.ask(_GET_CHAIN, DUMP, _number(family)))
        return [
            _text(required_value(found, _CHAIN_NAME))
            for _, found in answers
            if found.get(_CHAIN_TABLE) == _TABLE
        ]

    def close(self) -> None:
        """Give the sockets back."""
        self._socket.close()
        if self._spare is not None:
            self._spare.close()

    def _note_deletion(self, one: InstalledRule, generation: int) -> None:
        """Keep what is known: the commit that removed the rule is the generation's next one."""
        for family, known in list(self._listed.items()):
            if known.generation == generation:
                name = (one.family, one.chain, one.handle)
                left = [
                    _moved_up(rule, one)
                    for rule in known.rules
                    if (rule.family, rule.chain, rule.handle) != name
                ]
                gone = len(known.rules) - len(left)
                self._listed[family] = _Listed(generation + 1, tuple(left), known.size - gone)

    def _generation(self) -> int:
        with self._asking:
            return self._socket.generation()

    def _rule(self, family: int, chain: str, handle: int) -> Optional[InstalledRule]:
        where = _of_rule(chain, handle)
        try:
            answers = list(self._socket.ask(_GET_RULE, 0, _number(family), where))
        except KernelRefused as error:
            if error.number == errno.ENOENT:
                return None
            raise
        return next((rule for _, found in answers if (rule := _parsed(family, found, 0))), None)

    def _every(
        self, family: int, chain: str, positions: Counter[bytes]
    ) -> Iterator[Optional[InstalledRule]]:
        """The TRACE rules of a family's raw table, or of one chain; raises Failure.

        ``positions`` takes how many rules of each chain there are.
        """
        where = attribute(_RULE_TABLE, _TABLE)
        if chain:
            where += attribute(_RULE_CHAIN, _bytes(chain))
        asker = self._one_to_read()
        try:
            for _, found in asker.ask(_GET_RULE, DUMP, _number(family), where):
                if found.get(_RULE_TABLE) != _TABLE:
                    continue
                name = required_value(found, _RULE_CHAIN)
                positions[name] += 1
                rule = _parsed(family, found, positions[name])
                if rule is not None or positions[name] % _MANY == 0:
                    yield rule
        except KernelRefused as error:
            # No table, or no such chain in it.
            if error.number != errno.ENOENT:
                raise
        finally:
            self._put_back(asker)

    def _one_to_read(self) -> NftSocket:
        try:
            return NftSocket()
        except Failure:
            with self._asking:
                spare, self._spare = self._spare, None
            if spare is None:
                raise
            return spare

    def _put_back(self, asker: NftSocket) -> None:
        """Close a socket, in which an answer may still be under way, and have a spare one again."""
        asker.close()
        with self._asking:
            if self._spare is None:
                with contextlib.suppress(Failure):
                    self._spare = NftSocket()


class _Listed(NamedTuple):
    """The TRACE rules of one family in one generation of the ruleset."""

    generation: int
    rules: tuple[InstalledRule, ...]
    size: int
    """Rules of the table, whatever their target."""


def _moved_up(rule: InstalledRule, gone: InstalledRule) -> InstalledRule:
    """A rule's place after another one was removed, which is only known of those listed."""
    if rule.chain == gone.chain and 0 < gone.position < rule.position:
        return rule._replace(position=rule.position - 1)
    return rule


def _number(family: int) -> int:
    return NUMBERS["ip" if family == 4 else "ip6"]


def _bytes(name: str) -> bytes:
    return name.encode(errors="surrogateescape") + b"\0"


def _text(name: bytes) -> str:
    return name.rstrip(b"\0").decode(errors="surrogateescape")


def _of_rule(chain: str, handle: int) -> bytes:
    return (
        attribute(_RULE_TABLE, _TABLE)
        + attribute(_RULE_CHAIN, _bytes(chain))
        + attribute(_RULE_HANDLE, struct.pack(">Q", handle))
    )


def _parsed(family: int, found: Mapping[int, bytes], position: int) -> Optional[InstalledRule]:
    """A rule as the kernel tells it; None for one whose target is not TRACE."""
    expressions = found.get(_RULE_EXPRESSIONS, b"")
    if _META_NFTRACE not in expressions and b"TRACE\0" not in expressions:
        return None
    parts = [_expression(element) for _, element in each_attribute(expressions)]
    if not _traces(parts):
        return None
    counts = next((data for name, data in parts if name == b"counter"), {})
    comment = _comment(parts, found.get(_RULE_USERDATA, b""))
    handle = required_number(found, _RULE_HANDLE)
    return InstalledRule(
        backend="nft",
        family=family,
        chain=_text(required_value(found, _RULE_CHAIN)),
        words=(),
        packets=int.from_bytes(counts.get(_COUNTER_PACKETS, b""), "big"),
        bytes=int.from_bytes(counts.get(_COUNTER_BYTES, b""), "big"),
        comment=comment if comment is not None and comment.startswith(TAG) else None,
        expires=_expiry(parts),
        position=position,
        handle=handle,
    )


_Part = tuple[bytes, dict[int, bytes]]
"""An expression's name and its attributes."""


def _expression(element: bytes) -> _Part:
    found = attributes_of(element)
    data = attributes_of(found.get(_EXPRESSION_DATA, b""))
    return found.get(_EXPRESSION_NAME, b"").rstrip(b"\0"), data


def _traces(parts: list[_Part]) -> bool:
    """Whether a rule sets nf_trace: ``meta nftrace set 1``, or the TRACE target of x_tables.

    iptables-nft writes the first (nft.c, add_nft_tracing; 1.8.7 to 1.8.13).
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
            return _text(data.get(_XT_INFO, b"").partition(b"\0")[0])
    at = 0
    while at + 2 <= len(userdata):
        kind, size = userdata[at], userdata[at + 1]
        if kind == _USERDATA_COMMENT:
            return _text(userdata[at + 2 : at + 2 + size].partition(b"\0")[0])
        at += 2 + size
    return None


def _expiry(parts: list[_Part]) -> Optional[float]:
    """Seconds since the epoch at which a rule stops matching (``-m time --datestop``)."""
    for name, data in parts:
        if name == b"match" and data.get(_XT_NAME, b"").rstrip(b"\0") == b"time":
            info = data.get(_XT_INFO, b"")
            if len(info) >= _TIME_DATES.size:
                stop = int(_TIME_DATES.unpack_from(info)[1])
                return None if stop >= _NO_STOP else float(stop)
    return None
