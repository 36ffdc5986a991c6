"""Traces as the program nftrace prints them (github.com/eiginn/nftrace): hops, then the packets.

A hop has its packet's id and its rule's text, but no header; that follows at the end, as tcpdump
prints it. So hops wait for it.
"""

from __future__ import annotations

import re
from typing import Optional

from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import Hop
from tracetui.parse.log import record_body, trace_record
from tracetui.parse.log.record_body import address

_ID_IN_FRONT = re.compile(r"(?:^|(?<=\s))([0-9a-f]{12})\s$")
_QUOTED_RULE = re.compile(r'\s{1,8}"(.*)"\s*$', re.DOTALL)
_ESCAPED_CHARACTER = re.compile(r"\\(.)", re.DOTALL)
_SUMMARY_TITLE = "Aggregated packets:"
_SUMMARY_PACKET = re.compile(
    r"(?:^|(?<=\s))([0-9a-f]{12}) (IP6?) (\S{1,64}) > (\S{1,64}): ?(.{0,256})", re.DOTALL
)
_WITH_PORT = {
    "IP": re.compile(r"(\d+\.\d+\.\d+\.\d+)\.(\d{1,5})$"),
    "IP6": re.compile(r"(\S+:\S*)\.(\d{1,5})$"),
}
_TCPDUMP_FLAGS = re.compile(r"Flags \[([A-Z.]{1,9})\]")
_FLAGS_BY_LETTER = {
    "S": "SYN",
    "F": "FIN",
    "P": "PSH",
    "R": "RST",
    ".": "ACK",
    "U": "URG",
    "E": "ECE",
    "W": "CWR",
}
_TCPDUMP_ECHO = re.compile(r"ICMP6?,? echo (request|reply), id (\d{1,5}), seq (\d{1,5})")
_MOST_HOPS = 4096
"""Hops that wait."""


class NftraceTool:
    """The hops and packets of one file."""

    def __init__(self) -> None:
        self._hops: list[Hop] = []
        self._headers: dict[int, Header] = {}
        self._is_summary = False

    @property
    def is_waiting(self) -> bool:
        """Whether hops wait for their packets."""
        return bool(self._hops)

    def take(self, text: str, match: re.Match[str], time: Optional[float]) -> bool:
        """Take a hop's line; False for a line of another tool."""
        head = _ID_IN_FRONT.search(text[: match.start()][-16:])
        if head is None or len(self._hops) >= _MOST_HOPS:
            return False
        rule = _QUOTED_RULE.match(text, match.end())
        hop = trace_record.hop(match, record_body.read(""), time)
        rule_text = _ESCAPED_CHARACTER.sub(r"\1", rule[1]) if rule else None
        self._hops.append(hop.with_(trace_id=int(head[1], 16), rule=rule_text))
        return True

    def take_packet(self, text: str) -> bool:
        """Take a line of the packets at the end; False for any other."""
        if _SUMMARY_TITLE in text:
            self._is_summary = True
            return False
        match = _SUMMARY_PACKET.search(text)
        if not self._is_summary or match is None or len(self._headers) >= _MOST_HOPS:
            return False
        self._headers[int(match[1], 16)] = _header(match[2], match[3], match[4], match[5])
        return True

    def finish(self) -> list[Hop]:
        """The hops that wait, each with its packet's header if that came."""
        hops, headers = self._hops, self._headers
        self._hops, self._headers, self._is_summary = [], {}, False
        return [_with(hop, headers.get(hop.trace_id or 0)) for hop in hops]


def _with(hop: Hop, header: Optional[Header]) -> Hop:
    family = "ip6" if header is not None and header.family == 6 else "ip"
    return hop.with_(header=header, family=family)


def _header(ip: str, source: str, destination: str, rest: str) -> Header:
    """Of these protocols tcpdump names all but UDP where a packet has ports."""
    (src, sport), (dst, dport) = _endpoint(ip, source), _endpoint(ip, destination)
    flags, echo = _TCPDUMP_FLAGS.search(rest), _TCPDUMP_ECHO.match(rest)
    proto = None
    if flags is not None:
        proto = "tcp"
    elif rest.startswith("ICMP"):
        proto = "icmp" if ip == "IP" else "icmpv6"
    elif sport is not None and dport is not None and not rest.startswith("sctp"):
        proto = "udp"
    kinds = {"request": 8, "reply": 0} if ip == "IP" else {"request": 128, "reply": 129}
    given = {_FLAGS_BY_LETTER.get(letter) for letter in flags[1]} if flags else set()
    return Header(
        family=4 if ip == "IP" else 6,
        proto=proto,
        src=src,
        dst=dst,
        sport=sport,
        dport=dport,
        flags=" ".join(flag for flag in record_body.TCP_FLAGS if flag in given) if flags else None,
        icmp_type=kinds[echo[1]] if echo else None,
        icmp_code=0 if echo else None,
        icmp_id=int(echo[2]) if echo else None,
        icmp_seq=int(echo[3]) if echo else None,
    )


def _endpoint(ip: str, text: str) -> tuple[Optional[str], Optional[int]]:
    endpoint = _WITH_PORT[ip].match(text)
    if endpoint is None:
        return address(text), None
    return address(endpoint[1]), int(endpoint[2])
