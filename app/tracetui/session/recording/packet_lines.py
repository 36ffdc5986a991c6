"""Packets as lines of JSON, with a cache: the text that follows from a path template is made once.

``report.packet_json`` says what a packet is in JSON. Packets whose explanations have the same hops
have one path template (``session.state.explanations``), so their hops differ in their times, and
in the addresses and ports that were rewritten there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

from tracetui.model.explain.explanation import HopExplanation, PacketExplanation
from tracetui.model.trace.memo import Memo
from tracetui.model.trace.packet import Packet
from tracetui.model.trace.path import Path
from tracetui.model.trace.path_template import ADDRESSES, Value, translation
from tracetui.session.recording import report
from tracetui.session.text.sanitize import sanitize_json

TEMPLATES_KEPT = 1024
"""Path templates whose texts are remembered."""
_NUMBER_TYPES = (int, float)
"""Types whose repr is their JSON; not bool."""
_HOPS_BEGIN = ', "hops": [{"us": '
"""Between a packet's own fields and the first hop's time."""


class _Texts(NamedTuple):
    """The line of a path template, cut where packets differ."""

    hops: tuple[HopExplanation, ...]
    """Held, so that no other ones get their identity."""
    values: tuple[Value, ...]
    """The addresses and ports of the path that they were learned from."""
    rests: list[str]
    """Behind the time of each hop, up to the next one's or to the rewrite of the whole path."""
    changed: Mapping[int, _Change]
    """By hop index, of hops that first showed a new value."""
    tail: str
    """Behind the rewrite of the whole path."""


class _Change(NamedTuple):
    """A rest that the packet's own values are in."""

    before: str
    fields: Mapping[str, Value]
    after: str


class PacketLines:
    """Lines for one stream."""

    def __init__(self, is_ascii: bool) -> None:
        """``is_ascii`` for a stream that takes nothing else."""
        self._encoder = json.JSONEncoder(ensure_ascii=is_ascii)
        self._known: Memo[int, _Texts] = Memo(TEMPLATES_KEPT)
        self._words: Memo[object, str] = Memo(TEMPLATES_KEPT)

    def line(self, packet: Packet, explanation: PacketExplanation) -> str:
        """The packet as ``report.packet_json`` has it, in one line that is inert on a terminal."""
        if packet.ambiguous:
            return self._text(report.packet_json(packet, explanation))
        known = self._known.get(id(explanation.hops))
        if known is None or len(known.rests) != packet.length:
            known = self._learn(packet, explanation)
        head = self._fields(report.head_json(packet))
        times = ["null" if us is None else str(us) for us in packet.stamps()]
        path = packet.path
        parts = [f"{time}{rest}" for time, rest in zip(times, self._rests(known, path))]
        nat = "null" if path.nat is None else f"{{{self._fields(path.nat)}}}"
        return f"{{{head}{_HOPS_BEGIN}{''.join(parts)}{nat}{known.tail}"

    def _fields(self, values: Mapping[str, object]) -> str:
        """Fields with their values as JSON; what needs no encoder, or came before, is quick."""
        words = self._words
        return ", ".join(
            [
                f'"{name}": {value!r}'
                if type(value) in _NUMBER_TYPES
                else f'"{name}": {words.get(value) or words.learn(value, self._text(value))}'
                for name, value in values.items()
            ]
        )

    def _rests(self, known: _Texts, path: Path) -> list[str]:
        """The text behind the time of each hop of a path."""
        if not known.changed:
            return known.rests
        rests = list(known.rests)
        other = translation(known.values, path.values)
        for at, (before, fields, after) in known.changed.items():
            own = {
                name: other[value] if name in ADDRESSES else value for name, value in fields.items()
            }
            rests[at] = f"{before}{{{self._fields(own)}}}{after}"
        return rests

    def _learn(self, packet: Packet, explanation: PacketExplanation) -> _Texts:
        value = report.packet_json(packet, explanation)
        names = list(value)
        tail = {name: value[name] for name in names[names.index("nat") + 1 :]}
        rests: list[str] = []
        changed: dict[int, _Change] = {}
        for at, hop in enumerate(value["hops"]):
            after = '}, {"us": ' if at + 1 < len(value["hops"]) else '}], "nat": '
            fields = hop.pop("changed", None)
            del hop["us"]
            before = f", {self._text(hop)[1:-1]}"
            rests.append(f"{before}{after}")
            if fields is not None:
                changed[at] = _Change(f'{before}, "changed": ', fields, after)
        hops = explanation.hops
        texts = _Texts(hops, packet.path.values, rests, changed, f", {self._text(tail)[1:]}")
        return self._known.learn(id(hops), texts)

    def _text(self, value: object) -> str:
        return sanitize_json(self._encoder.encode(value))
