"""An nf_tables that answers what it is told to, whatever it is asked."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from tests.recorded import datagrams

from tracetui.kernel.netlink import KERNEL
from tracetui.kernel.nf_tables import NfTables, RulesetOutline


class Answers:
    """Datagrams in place of a netlink socket; when they are used up, nothing comes in time."""

    def __init__(self, sent: Iterable[bytes]) -> None:
        self._datagrams = iter(sent)

    def send(self, request: bytes, /) -> int:
        return len(request)

    def recvfrom(self, size: int, /) -> tuple[bytes, tuple[int, int]]:
        for datagram in self._datagrams:
            return datagram[:size], (KERNEL, 0)
        raise TimeoutError("timed out")

    def close(self) -> None:
        """Nothing."""


def recorded() -> list[bytes]:
    """The recorded answers in the order of their questions: chains before rules."""
    generation, tables, tables_end, rules, rules_end, chains, chains_end, again = datagrams(
        "nf_tables-dump.bin.gz"
    )
    answered = ((generation,), (tables, tables_end), (chains, chains_end), (rules, rules_end))
    return [
        _numbered(datagram, number)
        for number, answer in enumerate((*answered, (again,)), start=1)
        for datagram in answer
    ]


def _numbered(datagram: bytes, sequence: int) -> bytes:
    """The answer to the question of that number."""
    numbered, at = bytearray(datagram), 0
    while at + 16 <= len(numbered):
        struct.pack_into("=I", numbered, at + 8, sequence)
        at += struct.unpack_from("=I", numbered, at)[0] + 3 & ~3
    return bytes(numbered)


def outline(sent: Iterable[bytes]) -> RulesetOutline:
    """What the ruleset is by these answers; raises Failure."""
    return NfTables(Answers(sent)).outline()
