"""Lines as plain dmesg prints them, fast: by far the most there is, and most of it comes again.

All hops of one hook have what stands behind the place in common, byte for byte, and all packets the
places, so both are read once; what is left of a line is its stamp. Whatever is not just so is left
to ``log_text``, which reads these lines too.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Optional

from tracetui.model.header import Header
from tracetui.model.hop import Hop, Look, new_hop
from tracetui.model.memory import Memory
from tracetui.model.place import Place
from tracetui.parse import ethernet, log_body, logline
from tracetui.parse.text_block import TextBlock

KEPT = 4096
"""Texts of each kind remembered."""
_LINE = re.compile(
    r"\[ {0,11}([0-9]{1,12}\.[0-9]{6})\] (TRACE: \S{1,600}) (IN=[^\n]*)\n?|", re.ASCII
)
"""A line, or nothing where there is none like it; what stands in it is looked at when it comes for
the first time."""
_WHERE = re.compile(r"TRACE: [^:\s]{1,255}:\S{1,255}:(?:rule|return|policy):[0-9]{1,10}", re.ASCII)
_ESCAPES = re.compile(r"[\r\x1b]")
_ADDRESS = r"([0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3})"
_NAME = r"([^\s=\[]{0,15})"
"""Of an interface; it may hold almost anything, and then others look closer."""
_USUAL = re.compile(
    rf"IN={_NAME} OUT={_NAME} (?:MAC=([0-9a-f:]{{0,80}}) )?SRC={_ADDRESS} DST={_ADDRESS} "
    r"LEN=([0-9]{1,5}) TOS=0x[0-9A-F]{2} PREC=0x[0-9A-F]{2} TTL=([0-9]{1,3}) ID=([0-9]{1,5}) "
    r"(?:CE )?(?:DF )?PROTO=(TCP|UDP) SPT=([0-9]{1,5}) DPT=([0-9]{1,5}) "
    r"(?:LEN=[0-9]{1,5} ?|SEQ=([0-9]{1,10}) ACK=([0-9]{1,10}) WINDOW=[0-9]{1,5} "
    r"RES=0x[0-9A-F]{2} ((?:(?:AE|CWR|ECE|URG|ACK|PSH|RST|SYN|FIN) ){0,9})URGP=[0-9]{1,5} ?"
    r"(?:OPT \([0-9A-F]{2,80}\) ?)?)(?:UID=[0-9]{1,10} GID=[0-9]{1,10} ?)?"
    r"(?:MARK=0x([0-9a-f]{1,8}) ?)?",
    re.ASCII,
)
_Known = tuple[Look, Memory[str, Place]]


class PlainDmesg:
    """Reads the lines of one file."""

    def __init__(self) -> None:
        self._known: Memory[str, _Known] = Memory(KEPT)
        """What stands behind a place, with the places that are known beside it."""
        self._places: dict[str, Memory[str, Place]] = {
            family: Memory(KEPT) for family in ("ip", "ip6")
        }

    def hops(self, block: TextBlock, most: int, but: Optional[int] = None) -> list[Hop]:
        """The hops of the lines that a block goes on with, so many at most.

        They are taken from it; the first that is not just so, or has ``but`` characters, is left.
        """
        hops: list[Hop] = []
        known, last = self._known.get, None
        for line in islice(_LINE.finditer(block.text, block.at), most):
            stamp, where, rest = line.groups()
            if rest is None or (but is not None and line.end(3) - line.start() == but):
                break
            seen = known(rest)
            place = seen[1].get(where) if seen is not None else None
            if seen is not None and place is not None:
                hop: Optional[Hop] = new_hop(Hop, (place, seen[0], float(stamp)))
            else:
                hop = self._new(stamp, where, rest)
            if hop is None:
                break
            hops.append(hop)
            last = line
        if last is not None:
            block.at = last.start()
            block.pass_to(last.end(3))
        return hops

    def _new(self, stamp: str, where: str, rest: str) -> Optional[Hop]:
        """The hop of a line of which not all has come before; None says nothing of it."""
        if _WHERE.fullmatch(where) is None or _ESCAPES.search(rest) is not None:
            return None
        known = self._known.get(rest) or self._learn(rest)
        if known is None:
            return None
        look, places = known
        at = places.get(where)
        if at is None:
            hop = logline.parse(f"{where} {rest}", float(stamp))
            if hop is None:
                return None
            at = places.learn(where, hop.at)
        return Hop(at, look, float(stamp))

    def _learn(self, rest: str) -> Optional[_Known]:
        look = read_usual(rest)
        if look is None:
            body = log_body.read(rest[: log_body.LONGEST].strip())
            if not body.is_whole or "TRACE:" in rest:
                return None
            look = body.look
        header = look.header
        family = "ip6" if header is not None and header.family == 6 else "ip"
        return self._known.learn(rest, (look, self._places[family]))


def read_usual(rest: str) -> Optional[Look]:
    """TCP or UDP over IPv4 without options of IP: most there is; None leaves it to ``log_body``.

    It is what the kernel prints, and nothing else (net/netfilter/nf_log_syslog.c).
    """
    found = _USUAL.fullmatch(rest)
    if found is None:
        return None
    iif, oif, mac, src, dst, length, ttl, ip_id, proto, sport, dport, *more = found.groups()
    seq, ack, flags, mark = more
    src, dst = log_body.address(src), log_body.address(dst)
    if src is None or dst is None:
        return None
    ends = src, dst, int(sport), int(dport)
    tcp = (" ".join(flags.split()), int(seq), int(ack)) if seq is not None else (None, None, None)
    header = Header(4, proto.lower(), *ends, int(length), int(ip_id), int(ttl), *tcp)
    return Look(
        iif or None,
        oif or None,
        (int(mark, 16) if mark else 0) or None,
        ethernet.printed(mac or ""),
        header,
    )
