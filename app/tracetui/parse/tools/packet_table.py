"""Tables of tshark (``-T fields -e nflog.prefix …``, often through column(1)).

A line of column names in front says what the columns are; ``ip`` and ``ipv6`` say it themselves.
"""

from __future__ import annotations

import re
from typing import Optional

from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import Hop
from tracetui.parse.headers.ip import PROTOCOL_NAMES
from tracetui.parse.log import record_body, trace_record
from tracetui.parse.log.record_body import address, number

_PREFIX_TITLE = "nflog.prefix"
_COLUMN_GAP = re.compile(r"\t|\s{2,}")
_IP_LINE = re.compile(
    r"Internet Protocol Version ([46]), Src: ([^,]{1,128}), "
    r"Dst: ([^\s,]{1,128}(?: \([^)]{1,64}\))?)"
)
_IN_BRACKETS = re.compile(r".*\(([^()]*)\)$", re.DOTALL)
_MOST_COLUMNS = 64


class PacketTable:
    """The rows of one file."""

    def __init__(self) -> None:
        self._names: list[str] = []

    def read_title(self, text: str) -> None:
        """Note the names of columns, if a line has them."""
        if _PREFIX_TITLE in text:
            names = _COLUMN_GAP.split(text.strip())
            self._names = names if len(names) <= _MOST_COLUMNS and _PREFIX_TITLE in names else []

    def take(self, text: str, match: re.Match[str], time: Optional[float]) -> Optional[Hop]:
        """The hop of a row; None for a line that is none."""
        ip_line = _IP_LINE.search(text, match.end())
        fields = self._fields(text, match)
        if ip_line is None and not fields:
            return None
        header = _header(ip_line, fields)
        hop = trace_record.hop(match, record_body.read(""), time)
        family = "ip6" if header is not None and header.family == 6 else "ip"
        return hop.with_(header=header, family=family)

    def _fields(self, text: str, match: re.Match[str]) -> dict[str, str]:
        if not self._names:
            return {}
        cells = _COLUMN_GAP.split(text[match.start() :].strip(), maxsplit=_MOST_COLUMNS)
        names = self._names[self._names.index(_PREFIX_TITLE) :]
        # column(1) leaves empty cells out, and then no other is where its name is.
        return dict(zip(names, cells)) if "\t" in text or len(cells) == len(names) else {}


def _header(ip_line: Optional[re.Match[str]], fields: dict[str, str]) -> Optional[Header]:
    src = _address(ip_line[2]) if ip_line else address(fields.get("ip.src", fields.get("ipv6.src")))
    dst = _address(ip_line[3]) if ip_line else address(fields.get("ip.dst", fields.get("ipv6.dst")))
    if src is None and dst is None:
        return None
    value = number(fields.get("ip.proto", fields.get("ipv6.nxt")))
    return Header(
        family=6 if ":" in (src or dst or "") else 4,
        proto=None if value is None else PROTOCOL_NAMES.get(value, str(value)),
        src=src,
        dst=dst,
        sport=number(fields.get("tcp.srcport", fields.get("udp.srcport"))),
        dport=number(fields.get("tcp.dstport", fields.get("udp.dstport"))),
        length=number(fields.get("ip.len")),
        ttl=number(fields.get("ip.ttl", fields.get("ipv6.hlim"))),
    )


def _address(text: str) -> Optional[str]:
    """An address; behind a name it stands in brackets."""
    bracketed = _IN_BRACKETS.match(text)
    return address(bracketed[1] if bracketed else text.strip())
