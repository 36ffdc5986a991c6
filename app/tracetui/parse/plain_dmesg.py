"""Lines as plain dmesg prints them, fast: by far the most there is, and most of it comes again.

All hops of one hook have what stands behind the place in common, byte for byte, and all packets the
places, so both are read once; what is left of a line is its stamp. Whatever is not just so is left
to ``log_text``, which reads these lines too.
"""

from __future__ import annotations

import re
from typing import Optional

from tracetui.model.hop import Hop
from tracetui.model.place import Place
from tracetui.parse import log_body, logline

KEPT = 4096
"""Texts of each kind remembered; beyond, all are forgotten, and those that come are learned."""
_LINE = re.compile(
    r"\[ {0,11}([0-9]{1,12}\.[0-9]{6})\] "
    r"(TRACE: [^:\s]{1,255}:\S{1,255}:(?:rule|return|policy):[0-9]{1,10}) (IN=[^\r\n\x1b]*)",
    re.ASCII,
)
_Known = tuple[log_body.Body, dict[str, Place]]


class PlainDmesg:
    """Reads the lines of one file."""

    def __init__(self) -> None:
        self._known: dict[str, Optional[_Known]] = {}
        """What stands behind a place, with the places that were met with it; None where that is no
        whole record, or more than one."""
        self._places: dict[str, dict[str, Place]] = {"ip": {}, "ip6": {}}

    def hop(self, line: str) -> Optional[Hop]:
        """The hop of a whole line; None says nothing of it."""
        found = _LINE.fullmatch(line)
        if found is None:
            return None
        stamp, where, rest = found.groups()
        known = self._known[rest] if rest in self._known else self._learn(rest)
        if known is None:
            return None
        body, places = known
        at = places.get(where)
        if at is None:
            hop = logline.parse(f"{where} {rest}", float(stamp))
            if hop is None:
                return None
            at = places[where] = hop.at
        return Hop(at, body.look, float(stamp))

    def _learn(self, rest: str) -> Optional[_Known]:
        if len(self._known) >= KEPT:
            self._known.clear()
            for places in self._places.values():
                if len(places) >= KEPT:
                    places.clear()
        body = log_body.read(rest[: log_body.LONGEST].strip())
        known: Optional[_Known] = None
        if body.is_whole and "TRACE:" not in rest:
            header = body.look.header
            family = "ip6" if header is not None and header.family == 6 else "ip"
            known = (body, self._places[family])
        self._known[rest] = known
        return known
