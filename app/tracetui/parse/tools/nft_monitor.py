"""Traces as ``nft monitor trace`` prints them (nftables src/trace.c).

The header comes on a line of its own, before the event that it came with. An event that is the
implicit end of a chain newer versions do not print.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Hashable
from functools import lru_cache
from typing import NamedTuple, Optional

from tracetui.model.trace.hop import LOG, Hop
from tracetui.model.trace.trace_point import nft_hook
from tracetui.parse.tools import nft_header

MONITOR_FAMILIES = ("ip", "ip6", "inet", "arp", "bridge", "netdev")
_EVENT = re.compile(
    rf"trace id (?:0x)?(?P<id>[0-9a-f]{{1,8}}) (?P<family>{'|'.join(MONITOR_FAMILIES)}) "
    r"(?P<table>\S{1,255}) (?P<chain>\S{1,255}) "
    r"(?P<kind>packet:|conntrack:|rule|unknown rule handle|verdict|policy)(?= |$) ?"
)
_VERDICT_WORDS = r"accept|drop|continue|break|return|queue|stolen|repeat|stop"
_PRINTED_VERDICT = re.compile(rf"(?:{_VERDICT_WORDS}|(?:jump|goto) \S{{1,255}})(?=[ )]|$)")
_TRACED_HANDLE = re.compile(r"# handle ([0-9]{1,19})$")
_TRACED_MARK = re.compile(r"meta mark 0x([0-9a-f]{1,8})\b")
_TRACES_KEPT = 1024
"""Headers that wait for their event, and marks that are known, at once."""
_LONGEST_EVENT = 16 << 10
"""Characters of an event."""


class _TracedPacket(NamedTuple):
    """A packet by the last lines of its trace id."""

    packet: Hashable
    """The fields that no rule changes; another packet can bear the id next."""
    mark: Optional[int] = None
    chains: frozenset[tuple[str, ...]] = frozenset()
    """Chains where its header was printed: that is once a packet and chain."""
    has_hop: bool = False
    """Whether an event of it was read."""


class _LastLine(NamedTuple):
    """The last line, which the next one can go on with."""

    match: re.Match[str]
    rest: str
    time: Optional[float]
    is_held: bool
    """Whether its hop waits for the next line; a packet's header waits anyway."""


class _WaitingHeader(NamedTuple):
    """A header whose event is still to come."""

    key: tuple[str, ...]
    printed: nft_header.PrintedHeader
    time: Optional[float]


class NftMonitor:
    """Events and headers of one file."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, _WaitingHeader] = OrderedDict()
        self._traced: OrderedDict[str, _TracedPacket] = OrderedDict()
        self._last: Optional[_LastLine] = None

    @property
    def is_waiting(self) -> bool:
        """Whether the last line may go on."""
        return self._last is not None

    def take_all(
        self, text: str, events: list[re.Match[str]], time: Optional[float], out: list[Hop]
    ) -> bool:
        """Add the hops of the events on a line; False if none can be read."""
        used = False
        for match, next_match in zip(events, [*events[1:], None]):
            out += self.release()
            new = self.take(text[: next_match.start() if next_match else len(text)], match, time)
            out += new or ()
            used = used or new is not None
        return used

    def take(self, text: str, match: re.Match[str], time: Optional[float]) -> Optional[list[Hop]]:
        """The hops of an event; none for a line that goes with others, None if it is damaged."""
        self._last = None
        return self._read(match, text[match.end() :], time)

    def take_more(self, text: str, is_full: bool = False) -> Optional[list[Hop]]:
        """The hops of a line that goes on with the last event; None if it does not.

        nft prints some targets of iptables over two lines, and copies wrap lines: ``is_full`` is
        whether the last one ended where a terminal did.
        """
        if self._last is None:
            return None
        last = self._last
        is_part = last.is_held or is_full or nft_header.is_part(text)
        if len(last.rest) > _LONGEST_EVENT or not is_part:
            return None
        rest = last.rest + text if is_full else nft_header.joined(last.rest, text)
        self._last = last._replace(rest=rest)
        if not last.is_held:
            number = last.match["id"]
            if number in self._waiting:
                waiting = self._waiting[number]
                self._waiting[number] = waiting._replace(printed=nft_header.read(rest))
            return []
        event = _event(last.match["kind"], rest.strip())
        if event is None or event.verdict is None:
            return []
        self._last = None
        return [self._hop(last.match, event, last.time)]

    def release(self) -> list[Hop]:
        """The last event as it is, if it waits for a line that goes on with it."""
        last, self._last = self._last, None
        if last is None or not last.is_held:
            return []
        event = _event(last.match["kind"], last.rest.strip())
        return [] if event is None else [self._hop(last.match, event, last.time)]

    def finish(self) -> list[Hop]:
        """The hops that wait, and those of packets that are only known to have entered a chain."""
        hops = self.release()
        while self._waiting:
            hops += self._hop_of_header(self._waiting.popitem(last=False)[1])
        return hops

    def _read(self, match: re.Match[str], rest: str, time: Optional[float]) -> Optional[list[Hop]]:
        kind = match["kind"]
        if kind == "conntrack:":
            return []
        if kind == "packet:":
            self._last = _LastLine(match, rest, time, False)
            return self._packet(match, rest.rstrip(), time)
        event = _event(kind, rest.strip())
        if event is None:
            return None
        if event.verdict is None:
            self._last = _LastLine(match, rest, time, True)
            return []
        return [self._hop(match, event, time)]

    def _packet(self, match: re.Match[str], rest: str, time: Optional[float]) -> list[Hop]:
        number, key = match["id"], _key(match)
        printed = nft_header.read(rest)
        packet, traced = _lasting(printed), self._traced.get(number)
        is_another = traced is None or traced.packet not in (packet, None) or key in traced.chains
        before = self._waiting.pop(number, None)
        hops = [] if before is None or not is_another else self._hop_of_header(before)
        if traced is None or is_another:
            traced = _TracedPacket(packet)
        self._note(number, traced._replace(packet=packet, chains=traced.chains | {key}))
        self._waiting[number] = _WaitingHeader(key, printed, time)
        if len(self._waiting) > _TRACES_KEPT:
            hops += self._hop_of_header(self._waiting.popitem(last=False)[1])
        return hops

    def _hop(self, match: re.Match[str], event: _Event, time: Optional[float]) -> Hop:
        number = match["id"]
        # Where the event that the header came with is cut, the next one shows it.
        waiting = self._waiting.pop(number, None)
        printed = _NOTHING_PRINTED if waiting is None else waiting.printed
        traced = self._traced.get(number) or _TracedPacket(None)
        # It is printed at the end of a chain only; at a rule it is what it last was.
        mark = event.mark if event.tells_mark else traced.mark
        if not traced.has_hop or mark != traced.mark:
            self._note(number, traced._replace(mark=mark, has_hop=True))
        return _hop(_key(match), event, printed, mark, time)

    def _hop_of_header(self, waiting: _WaitingHeader) -> list[Hop]:
        """The hop of a packet of which only a header is there; none where events were read."""
        key, printed, time = waiting
        traced = self._traced.get(key[0])
        if traced is not None and traced.has_hop:
            return []
        return [_hop(key, _Event("rule", None, None, None, None, False), printed, None, time)]

    def _note(self, trace_id: str, traced: _TracedPacket) -> None:
        self._traced.pop(trace_id, None)
        self._traced[trace_id] = traced
        if len(self._traced) > _TRACES_KEPT:
            self._traced.popitem(last=False)


_NOTHING_PRINTED = nft_header.PrintedHeader(None, None, None, None)


class _Event(NamedTuple):
    type: str
    verdict: Optional[str]
    handle: Optional[int]
    rule: Optional[str]
    mark: Optional[int]
    tells_mark: bool


def _key(match: re.Match[str]) -> tuple[str, ...]:
    return (match["id"], match["family"], match["table"], match["chain"])


def find_all(text: str) -> list[re.Match[str]]:
    """Where each event begins on a line. A rule's comment, quoted, holds none."""
    events: list[re.Match[str]] = []
    for event in _EVENT.finditer(text):
        if not events or text.count('"', events[-1].end(), event.start()) % 2 == 0:
            events.append(event)
    return events


@lru_cache(maxsize=4096)
def _event(kind: str, rest: str) -> Optional[_Event]:
    """The event that follows the chain's name; None if it is damaged and has no verdict."""
    if kind in ("verdict", "policy"):
        verdict = _PRINTED_VERDICT.match(rest)
        if verdict is None:
            return None
        mark = _TRACED_MARK.search(rest, verdict.end())
        value = int(mark[1], 16) if mark else None
        kind = "return" if kind == "verdict" else "policy"
        return _Event(kind, verdict[0], None, None, value or None, True)
    # The rule's own text can say the same; the last one is the event's.
    before, separator, behind = rest.rpartition("(verdict ")
    verdict = (
        _PRINTED_VERDICT.fullmatch(behind[:-1]) if separator and behind.endswith(")") else None
    )
    text = (before if separator else rest).strip()
    if kind == "unknown rule handle":
        number = re.match(r"[0-9]{1,19}(?= |$)", text)
        return _Event(
            "rule",
            verdict[0] if verdict else None,
            int(number[0]) if number else None,
            None,
            None,
            False,
        )
    if verdict is None:
        # Its end is missing, and who knows how much of the rule.
        return _Event("rule", None, None, None, None, False)
    handle = _TRACED_HANDLE.search(text)
    if handle is not None:
        text = text[: handle.start()].rstrip()
    number_of = int(handle[1]) if handle else None
    return _Event("rule", verdict[0], number_of, text or None, None, False)


def _hop(
    key: tuple[str, ...],
    event: _Event,
    printed: nft_header.PrintedHeader,
    mark: Optional[int],
    time: Optional[float],
) -> Hop:
    trace_id, family, table, chain = key
    return Hop.of(
        backend="nft",
        family=family,
        table=table,
        chain=chain,
        type=event.type,
        handle=event.handle,
        verdict=event.verdict,
        hook=nft_hook(family, table, chain),
        iif=printed.iif,
        oif=printed.oif,
        mark=mark,
        time=time,
        trace_id=int(trace_id, 16),
        header=printed.header,
        mac=printed.mac,
        rule=event.rule,
        source=LOG,
    )


def _lasting(printed: nft_header.PrintedHeader) -> Hashable:
    header = printed.header
    if header is None:
        return None
    return (header.proto, header.length, header.ip_id, header.flags, header.icmp_seq)
