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
from collections.abc import Iterator
from typing import NamedTuple, Optional

from tracetui.errors import Failure, KernelRefused
from tracetui.kernel.nft_socket import (
    DUMP,
    NUMBERS,
    NftSocket,
    attribute,
    required_value,
)
from tracetui.kernel.nft_trace_rule import text_of, trace_rule
from tracetui.kernel.uapi import (
    NFT_MSG_GETCHAIN,
    NFT_MSG_GETRULE,
    NFTA_CHAIN_NAME,
    NFTA_CHAIN_TABLE,
    NFTA_RULE_CHAIN,
    NFTA_RULE_HANDLE,
    NFTA_RULE_TABLE,
)
from tracetui.model.tracing.installed_rule import InstalledRule

DELETION_TRIES = 200
"""Times that a removal is begun anew because somebody else's change came between."""
READINGS = 20
"""Times that rules are read anew because somebody else's change came between."""
ANEW_SECONDS = 60.0
"""Seconds after which it is not begun anew any more."""
_MANY = 1_000
_FEW = 64
"""TRACE rules for which it is worth while to note that one of them is gone."""
_DELETE_RULE = 8
_RAW_TABLE = b"raw\0"


class PartlyRead(Failure):
    """A table that could not be read to its end."""

    def __init__(self, text: str, rules: list[InstalledRule]) -> None:
        super().__init__(text)
        self.rules = rules
        """The rules found before the reading was interrupted."""


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
        """List every TRACE rule of one family's raw table, without its words; raises Failure.

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
        began = time.monotonic()
        end = began + seconds
        for _ in range(READINGS):
            try:
                return self._read(family, end, seconds)
            except _Interrupted:
                if time.monotonic() > min(end, began + ANEW_SECONDS):
                    break
        raise Failure("others change it all the time")

    def _read(self, family: int, end: float, seconds: float) -> list[InstalledRule]:
        """Read one family's raw table; raises _Interrupted where it changed meanwhile."""
        before = self._generation()
        positions: Counter[bytes] = Counter()
        listed: list[InstalledRule] = []
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
        for _ in range(READINGS):
            try:
                for rule in self._every(family, chain, Counter()):
                    if rule is not None and rule.comment == comment:
                        return rule
            except _Interrupted:
                continue
            else:
                return None
        raise Failure("others change the rules of nf_tables all the time")

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
            for _ in range(DELETION_TRIES):
                generation = self._socket.generation()
                found = self._rule(one.family, one.chain, one.handle)
                if found is None or not _is_same(found, one):
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
        """Count the rules of the raw table, whatever their target; raises Failure."""
        self.rules(family)
        known = self._listed.get(family)
        return 0 if known is None else known.size

    def chain_names(self, family: int) -> list[str]:
        """The chains of the raw table; raises Failure."""
        with self._asking:
            answers = list(self._socket.ask(NFT_MSG_GETCHAIN, DUMP, _number(family)))
        return [
            text_of(required_value(found, NFTA_CHAIN_NAME))
            for _, found in answers
            if found.get(NFTA_CHAIN_TABLE) == _RAW_TABLE
        ]

    def close(self) -> None:
        """Give the sockets back."""
        self._socket.close()
        if self._spare is not None:
            self._spare.close()

    def _note_deletion(self, one: InstalledRule, generation: int) -> None:
        """Keep what is known: the commit that removed the rule is the generation's next one."""
        for family, known in list(self._listed.items()):
            if known.generation != generation or len(known.rules) > _FEW:
                continue
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
            answers = list(self._socket.ask(NFT_MSG_GETRULE, 0, _number(family), where))
        except KernelRefused as error:
            if error.number == errno.ENOENT:
                return None
            raise
        return next((rule for _, found in answers if (rule := trace_rule(family, found, 0))), None)

    def _every(
        self, family: int, chain: str, positions: Counter[bytes]
    ) -> Iterator[Optional[InstalledRule]]:
        """The TRACE rules of a family's raw table, or of one chain; raises Failure.

        ``positions`` takes how many rules of each chain there are.
        """
        where = attribute(NFTA_RULE_TABLE, _RAW_TABLE)
        if chain:
            where += attribute(NFTA_RULE_CHAIN, _bytes(chain))
        asker = self._one_to_read()
        try:
            for _, found in asker.ask(NFT_MSG_GETRULE, DUMP, _number(family), where):
                if found.get(NFTA_RULE_TABLE) != _RAW_TABLE:
                    continue
                name = required_value(found, NFTA_RULE_CHAIN)
                positions[name] += 1
                rule = trace_rule(family, found, positions[name])
                if rule is not None or positions[name] % _MANY == 0:
                    yield rule
            if asker.was_interrupted:
                # What stands behind a rule that went meanwhile can have been passed over.
                raise _Interrupted
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


class _Interrupted(Exception):
    """A change came between the parts of an answer."""


class _Listed(NamedTuple):
    """The TRACE rules of one family in one generation of the ruleset."""

    generation: int
    rules: tuple[InstalledRule, ...]
    size: int
    """Rules of the table, whatever their target."""


def _is_same(found: InstalledRule, meant: InstalledRule) -> bool:
    """Whether the rule with a handle is still the one that was meant: a table can be made anew."""
    if meant.comment is not None:
        return found.comment == meant.comment
    return found.comment is None and found.key == meant.key


def _moved_up(rule: InstalledRule, gone: InstalledRule) -> InstalledRule:
    """A rule's place after another one was removed, which is only known of those listed."""
    if rule.chain == gone.chain and 0 < gone.position < rule.position:
        return rule._replace(position=rule.position - 1)
    return rule


def _number(family: int) -> int:
    return NUMBERS["ip" if family == 4 else "ip6"]


def _bytes(name: str) -> bytes:
    return name.encode(errors="surrogateescape") + b"\0"


def _of_rule(chain: str, handle: int) -> bytes:
    return (
        attribute(NFTA_RULE_TABLE, _RAW_TABLE)
        + attribute(NFTA_RULE_CHAIN, _bytes(chain))
        + attribute(NFTA_RULE_HANDLE, struct.pack(">Q", handle))
    )
