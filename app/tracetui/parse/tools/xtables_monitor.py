"""Traces as ``xtables-monitor --trace`` prints them (iptables/xtables-monitor.c).

A PACKET line has the header, without the protocol's name; TRACE lines have the trace point, and the
rule's handle where legacy has its number. Old versions print the PACKET line behind the TRACE line
of its event, and no blank behind the IP id. From 1.8.11 on a rule begins with the command's name,
before with ``-4`` or ``-6``.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from functools import lru_cache
from typing import NamedTuple, Optional

from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import LOG, Hop
from tracetui.model.trace.trace_point import nft_hook
from tracetui.parse.headers import ip
from tracetui.parse.log.record_body import TCP_FLAGS, address, hexadecimal, number

_PACKET_EVENT = re.compile(r"PACKET: [0-9]{1,3} (?P<id>[0-9a-f]{8})(?=\s|$)", re.ASCII)
_TRACE_EVENT = re.compile(
    r"TRACE: (?P<family>[0-9]{1,3}) (?P<id>[0-9a-f]{8}) (?P<table>[^:\s]{1,255}):"
    r"(?P<chain>\S{1,255}?):(?:"
    r"rule:0x(?P<handle>[0-9a-f]{1,16}):(?P<verdict>(?:GOTO|JUMP):\S{1,255}|[A-Z]{1,10}|0x[0-9a-f]{1,8})"
    r"|(?P<return>return:)|policy:(?P<policy>[A-Z]{1,10}|0x[0-9a-f]{1,8}))(?=\s|$)",
    re.ASCII,
)
_FAMILIES_BY_NUMBER = {
    "0": "ip",
    "2": "ip",
    "10": "ip6",
    "1": "inet",
    "3": "arp",
    "5": "netdev",
    "7": "bridge",
}
_PACKET_FIELD = re.compile(
    r"(?:^|(?<=\s))(IN|OUT|MACSRC|MACDST|MACPROTO|LL|SRC|DST|LEN|TOS|TTL|ID|TC|HOPLIMIT|FLOWLBL|MARK|"
    r"SPORT|DPORT)=(\S{0,64})"
)
_MORE_FIELDS = re.compile(r"\s?(?:[0-9a-fA-F.:=x]{0,40} ?)?(?:[A-Z]{2,8}=|(?:DF|SYN|ACK)\b)")
_GLUED = re.compile(r"(?<=\S)(?=SPORT=)")
_RULE_OPTION = re.compile(r"(?:^|\s)--?[a-zA-Z]")
_RULE_TARGET = re.compile(r"\s-[jg] ")
_NETWORK_BYTES = re.compile(r"(?:^|(?<=\s))NH=([0-9a-f]{2,480})(?=\s|$)")
"""Of families but IP's: bytes above 7f as eight digits, for they are printed as signed."""
_BYTE = re.compile(r"ffffff[89a-f][0-9a-f]|[0-7][0-9a-f]")
_FAMILY_AND_TABLE = re.compile(r"(?:-[46] |(?:ip6?|arp|eb)tables )?(?:-t \S{1,255} )?(?=-A )")
_FRAGMENT_OFFSET = re.compile(r"FRAG: ?([0-9]{1,5})")
_VERDICTS_BY_WORD = {
    "ACCEPT": "accept", "DROP": "drop", "QUEUE": "queue", "STOLEN": "stolen", "BREAK": "break",
    "CONTINUE": "continue", "REPEAT": "repeat", "STOP": "stop", "RETURN": "return",
    "0xfffffffb": "return", "0xffffffff": "continue",
}  # fmt: skip
_TRACE_IDS_KEPT = 1024
"""Trace ids that are known at once."""
_WRAPPED_LINE = 40
"""Characters of a line that a terminal may have wrapped, at least."""
_LONGEST_LINE = 16 << 10
"""Characters of a line with those that go on with it."""


class PrintedPacket(NamedTuple):
    """Devices, mark and header of a PACKET line."""

    iif: Optional[str]
    oif: Optional[str]
    mac: Optional[str]
    mark: Optional[int]
    header: Optional[Header]


class XtablesMonitor:
    """PACKET and TRACE lines of one file."""

    def __init__(self) -> None:
        self._packets: OrderedDict[str, tuple[PrintedPacket, bool]] = OrderedDict()
        self._last: Optional[tuple[str, str]] = None
        self._held: Optional[Hop] = None
        self._is_trace_first = False

    @property
    def is_waiting(self) -> bool:
        """Whether the last line may go on."""
        return self._last is not None

    def take_all(
        self, text: str, lines: list[re.Match[str]], time: Optional[float], out: list[Hop]
    ) -> None:
        """Add the hops of what was found on a line."""
        for match, next_match in zip(lines, [*lines[1:], None]):
            out += self.take(text[: next_match.start() if next_match else len(text)], match, time)

    def take(self, text: str, match: re.Match[str], time: Optional[float]) -> list[Hop]:
        """The hop before; that of this line waits for the next, for its rule can go on there."""
        trace_id, rest = match["id"], text[match.end() :]
        if trace_id not in self._packets:
            self._is_trace_first = match.re is _TRACE_EVENT
        if match.re is _PACKET_EVENT:
            printed = _printed(rest)
            is_of_held = self._is_of_held_hop(trace_id)
            if is_of_held and self._held is not None:
                self._held = _with(self._held, printed)
            self._keep_packet(trace_id, printed, not is_of_held)
            hops = self.release()
            self._last = trace_id, rest
            return hops
        hops = self.release()
        self._last = trace_id, rest
        packet, is_new = self._packets.get(trace_id, (_UNKNOWN_PACKET, False))
        self._keep_packet(trace_id, packet, False)
        hop = _hop(
            match, rest, packet if is_new else _UNKNOWN_PACKET._replace(mark=packet.mark), time
        )
        if hop.type != "rule" or not rest.strip():
            return [*hops, hop]
        self._held = hop
        return hops

    def take_more(self, text: str, is_full: bool = False) -> bool:
        """Whether a line goes on with the last one, which a copy has wrapped.

        ``is_full`` is whether that one ended where a terminal did.
        """
        if self._last is None or len(self._last[1]) > _LONGEST_LINE:
            return False
        trace_id, rest = self._last
        if self._held is not None:
            is_option = _RULE_OPTION.search(text) is not None or not _RULE_TARGET.search(rest)
            if not is_full and not (len(rest) >= _WRAPPED_LINE and is_option):
                return False
            begins = not is_full and _RULE_OPTION.match(text) is not None
            rest = _joined(rest, text, begins)
            self._held = self._held.with_(rule=_rule(rest))
        else:
            packet = self._packets.get(trace_id)
            if packet is None or not packet[1] or not (is_full or _MORE_FIELDS.match(text)):
                return False
            rest = _joined(rest, text, not is_full and _PACKET_FIELD.match(text) is not None)
            self._keep_packet(trace_id, _printed(rest), True)
        self._last = trace_id, rest
        return True

    def release(self) -> list[Hop]:
        """The hop that waits."""
        held, self._held = self._held, None
        self._last = None
        return [] if held is None else [held]

    def _is_of_held_hop(self, trace_id: str) -> bool:
        """Whether a PACKET line is of the hop that waits: the kernel sends the header once a chain.

        Versions that print it behind the rule begin a packet with that.
        """
        held = self._held
        is_same = held is not None and held.trace_id == int(trace_id, 16)
        return self._is_trace_first and is_same and held is not None and held.is_in_base_chain

    def _keep_packet(self, trace_id: str, printed: PrintedPacket, is_new: bool) -> None:
        self._packets.pop(trace_id, None)
        self._packets[trace_id] = printed, is_new
        if len(self._packets) > _TRACE_IDS_KEPT:
            self._packets.popitem(last=False)


_UNKNOWN_PACKET = PrintedPacket(None, None, None, None, None)


def find_all(text: str) -> list[re.Match[str]]:
    """Where a PACKET or TRACE line begins on a line. A rule's comment, quoted, is none."""
    lines: list[re.Match[str]] = []
    both = [*_TRACE_EVENT.finditer(text), *_PACKET_EVENT.finditer(text)]
    for line in sorted(both, key=lambda line: line.start()):
        if not lines or text.count('"', lines[-1].end(), line.start()) % 2 == 0:
            lines.append(line)
    return lines


def _with(hop: Hop, printed: PrintedPacket) -> Hop:
    return hop.with_(
        iif=printed.iif, oif=printed.oif, mac=printed.mac, mark=printed.mark, header=printed.header
    )


def _joined(head: str, tail: str, begins: bool) -> str:
    is_apart = head[-1:].isspace() or tail[:1].isspace()
    return f"{head} {tail}" if begins and not is_apart else head + tail


@lru_cache(maxsize=4096)
def _printed(text: str) -> PrintedPacket:
    spread = _GLUED.sub(" ", text)
    fields: dict[str, str] = {}
    for match in _PACKET_FIELD.finditer(spread):
        fields.setdefault(match[1], match[2])
    source, destination = _mac(fields.get("MACSRC")), _mac(fields.get("MACDST"))
    return PrintedPacket(
        fields.get("IN") or None,
        fields.get("OUT") or None,
        f"{source} > {destination}" if source and destination else None,
        hexadecimal(fields.get("MARK")),
        _header(spread, fields),
    )


def _header(text: str, fields: dict[str, str]) -> Optional[Header]:
    """Only TCP prints flags; ports without any are UDP's, or of TCP with none set: not known."""
    network = _NETWORK_BYTES.search(text)
    if network is not None:
        return _header_of_bytes(network[1])
    src, dst = address(fields.get("SRC")), address(fields.get("DST"))
    family = 6 if "HOPLIMIT" in fields or ":" in (src or dst or "") else 4
    if src is None and dst is None and not fields.keys() & {"TTL", "HOPLIMIT"}:
        return None
    words = frozenset(text.split())
    flags = " ".join(flag for flag in TCP_FLAGS if flag in words) if "SPORT" in fields else ""
    fragment = _FRAGMENT_OFFSET.search(text)
    return Header(
        family=family,
        proto="tcp" if flags else None,
        src=src,
        dst=dst,
        sport=number(fields.get("SPORT")),
        dport=number(fields.get("DPORT")),
        # Of IPv6 it is the payload's and sizeof(struct iphdr); a version may have mended that.
        length=number(fields.get("LEN")) if family == 4 else None,
        ip_id=number(fields.get("ID")),
        ttl=number(fields.get("TTL", fields.get("HOPLIMIT"))),
        flags=flags or None,
        fragment=(int(fragment[1]) & 0x1FFF) * 8 or None if fragment else None,
    )


def _header_of_bytes(digits: str) -> Optional[Header]:
    """A network header that is printed as it is; None for one that is not IP's."""
    parts = _BYTE.findall(digits)
    if sum(map(len, parts)) != len(digits):
        return None
    return ip.parse_parts(bytes(int(part[-2:], 16) for part in parts), b"")


def _mac(printed: Optional[str]) -> Optional[str]:
    """An address with two digits a byte; ether_ntoa(3) prints as few as it can."""
    parts = (printed or "").split(":")
    if len(parts) != 6 or not all(re.fullmatch("[0-9a-f]{1,2}", part) for part in parts):
        return None
    return ":".join(part.zfill(2) for part in parts)


def _hop(match: re.Match[str], rest: str, printed: PrintedPacket, time: Optional[float]) -> Hop:
    family = _FAMILIES_BY_NUMBER.get(match["family"], match["family"])
    table, chain = match["table"], match["chain"]
    kind = "rule" if match["handle"] else "return" if match["return"] else "policy"
    return Hop.of(
        backend="nft",
        family=family,
        table=table,
        chain=chain,
        type=kind,
        handle=int(match["handle"], 16) if match["handle"] else None,
        verdict=_verdict(match["verdict"] or match["policy"]),
        hook=nft_hook(family, table, chain),
        iif=printed.iif,
        oif=printed.oif,
        mark=printed.mark,
        time=time,
        trace_id=int(match["id"], 16),
        header=printed.header,
        mac=printed.mac,
        rule=_rule(rest) if kind == "rule" else None,
        source=LOG,
    )


def _verdict(printed: Optional[str]) -> Optional[str]:
    """In nft's words; None where none is printed."""
    if printed is None:
        return None
    word, _, chain = printed.partition(":")
    return f"{word.lower()} {chain}" if chain else _VERDICTS_BY_WORD.get(printed)


def _rule(rest: str) -> Optional[str]:
    """The rule as iptables-save has it: its family and table are the hop's. None without one."""
    text = _FAMILY_AND_TABLE.sub("", rest.strip(), count=1)
    return text if text.startswith("-A ") else None
