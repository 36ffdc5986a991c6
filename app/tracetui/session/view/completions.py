"""Words that packets brought: what a filter that is being typed can be completed with."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Optional

from tracetui.model.filter.expression import KEYWORDS
from tracetui.model.filter.terms import VERDICTS
from tracetui.model.trace.header import Header
from tracetui.model.tracing.rule_fields import BACKENDS
from tracetui.session.state.store import PacketStore

MOST = 2000
"""Words kept of each kind: beyond, the first ones stay, for they are what was typed before."""
RECENT = 1000
"""Packets that are looked at: a few hundredths of a second."""
_ADDRESSES = frozenset(("host", "net", "src", "dst"))
_DEVICES = frozenset(("iface", "in", "out"))


class Completions:
    """Hosts, chains, tables and interfaces of the newest packets when somebody looked."""

    def __init__(self, store: PacketStore) -> None:
        self._store = store
        self._hosts: dict[str, None] = {}
        self._chains: dict[str, None] = {}
        self._tables: dict[str, None] = {}
        self._devices: dict[str, None] = {}

    def look(self) -> None:
        """Note what the newest packets bring, beside what was noted before."""
        for packet in islice(reversed(self._store), RECENT):
            known: Optional[Header] = None
            for hop in packet.hops:
                _note(self._chains, hop.chain)
                _note(self._tables, hop.table)
                _note(self._devices, hop.iif)
                _note(self._devices, hop.oif)
                if hop.header is not None and hop.header is not known:
                    known = hop.header
                    _note(self._hosts, known.src)
                    _note(self._hosts, known.dst)

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
        """What can stand behind a word, the likeliest first."""
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


def _note(known: dict[str, None], word: Optional[str]) -> None:
    # A word with blanks or signs in it would be several.
    if word and len(known) < MOST and word.isprintable() and not set(word) & set(' ()!"&|'):
        known[word] = None
