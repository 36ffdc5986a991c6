"""Words of the newest packets that complete a filter while it is typed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Optional

from tracetui.model.filter.expression import KEYWORDS
from tracetui.model.filter.terms import VERDICTS
from tracetui.model.trace.header import Header
from tracetui.model.tracing.rule_fields import BACKENDS
from tracetui.session.state.store import PacketStore

WORDS_KEPT = 2000
"""Words kept of each kind: beyond, the first ones stay, for they are what was typed before."""
PACKETS_SAMPLED = 1000
"""Packets sampled at a time: takes some hundredths of a second."""
_ADDRESSES = frozenset(("host", "net", "src", "dst"))
_DEVICES = frozenset(("iface", "in", "out"))


class Completions:
    """Hosts, chains, tables and interfaces of the newest packets."""

    def __init__(self, store: PacketStore) -> None:
        self._store = store
        self._hosts: dict[str, None] = {}
        self._chains: dict[str, None] = {}
        self._tables: dict[str, None] = {}
        self._devices: dict[str, None] = {}

    def sample(self) -> None:
        """Add the words of the newest packets to those known."""
        for packet in islice(reversed(self._store), PACKETS_SAMPLED):
            header_before: Optional[Header] = None
            for hop in packet.hops:
                _note(self._chains, hop.chain)
                _note(self._tables, hop.table)
                _note(self._devices, hop.iif)
                _note(self._devices, hop.oif)
                if hop.header is not None and hop.header is not header_before:
                    header_before = hop.header
                    _note(self._hosts, header_before.src)
                    _note(self._hosts, header_before.dst)

    def completion(self, typed: str) -> Optional[str]:
        """The expression with its last word whole; None where nothing seen begins so."""
        before, _, part = typed.rpartition(" ")
        part_of = part.lstrip("(!")
        if not part_of:
            return None
        words = before.split()
        for word in self._words(words[-1].lstrip("(!").lower() if words else ""):
            if word != part_of and word.lower().startswith(part_of.lower()):
                return typed[: len(typed) - len(part_of)] + word
        return None

    def _words(self, before: str) -> Iterator[str]:
        """Words that can follow a word, the likeliest first."""
        kinds = {
            "chain": self._chains,
            "table": self._tables,
            "verdict": VERDICTS,
            "backend": BACKENDS,
            **dict.fromkeys(_DEVICES, self._devices),
        }
        if before in kinds:
            yield from kinds[before]
        elif before in _ADDRESSES:
            yield from self._hosts
            yield from KEYWORDS
        else:
            yield from KEYWORDS
            yield from self._hosts


def _note(words: dict[str, None], word: Optional[str]) -> None:
    # A word with blanks or signs in it would be several.
    if word and len(words) < WORDS_KEPT and word.isprintable() and not set(word) & set(' ()!"&|'):
        words[word] = None
