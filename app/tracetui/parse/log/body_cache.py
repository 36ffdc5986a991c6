"""States of packets by the bytes of their records, and by those without a packet's own numbers.

All hops of one hook share what stands behind the trace point, byte for byte; the packets of a flow,
and new flows between two hosts, all of it but length, id, ports or ICMP's id, and sequence numbers.
"""

from __future__ import annotations

import re
from typing import Optional

from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import PacketState, new_state
from tracetui.model.trace.memo import Memo
from tracetui.parse.log import record_body

_INTERFACE = r"[^\s=\[()]{0,15}"
_ADDR = "[0-9a-f.:]{2,45}"
_BODY_FLAGS = "|".join(record_body.TCP_FLAGS)
_CUT = re.compile(
    rf"(IN={_INTERFACE} OUT={_INTERFACE} (?:MAC=[0-9a-f:]{{0,80}} )?SRC={_ADDR} DST={_ADDR} LEN=)"
    r"([0-9]{1,5})( TOS=0x[0-9A-F]{2} PREC=0x[0-9A-F]{2} TTL=[0-9]{1,3} ID=|"
    r" TC=[0-9]{1,3} HOPLIMIT=[0-9]{1,3} FLOWLBL=)([0-9]{1,7})((?: CE)?(?: DF)? PROTO="
    r"(?:(?:TCP|UDP) SPT=|ICMP(?:v6)? TYPE=[0-9]{1,3} CODE=[0-9]{1,3} ID=))([0-9]{1,5})"
    r"( DPT=| SEQ=)([0-9]{1,5})(?:( LEN=)[0-9]{1,5}| SEQ=([0-9]{1,10}) ACK=([0-9]{1,10}) "
    rf"WINDOW=[0-9]{{1,5}} (RES=0x[0-9A-F]{{2}} (?:(?:{_BODY_FLAGS}) ){{0,9}}URGP=)[0-9]{{1,5}}"
    r"(?: OPT \([0-9A-F]{2,80}\))?)?(?: UID=[0-9]{1,10} GID=[0-9]{1,10})?"
    r"(?: MARK=0x([0-9a-f]{1,8}))? ?",
    re.ASCII,
)
"""TCP, UDP and ICMP's echo as the kernel prints them (net/netfilter/nf_log_syslog.c): what packets
have in common, and between it the numbers that each has of its own."""

_ODD = (";", "\\", "^[", "#033", "TRACE:")
_LONGEST_CACHED = 4000
"""Characters."""


class BodyCache:
    """Answers as :func:`record_body.read` does, for bodies that are whole."""

    def __init__(self, size: int) -> None:
        """Remember so many templates."""
        self._templates: Memo[tuple[Optional[str], ...], PacketState] = Memo(size)

    def state(self, body: str) -> Optional[PacketState]:
        """The state that a body shows; None for an odd one, or one that is not whole."""
        found = _CUT.fullmatch(body)
        if found is None:
            return _decoded(body)
        devices, length, ip, ip_id, proto, first, between, second, udp, *tcp, mark = found.groups()
        *sequence, flags = tcp
        key = devices, ip, proto, between, udp, flags, mark
        own = length, ip_id, first, second, *sequence
        template = self._templates.get(key)
        if template is not None:
            return _filled(template, *own)
        state = _decoded(body)
        if state is None or state.header is None:
            return state
        is_family = state.header.family == (6 if ip.startswith(" TC") else 4)
        if is_family and state == _filled(state, *own):
            self._templates.learn(key, state)
        return state


def is_odd(text: str) -> bool:
    """Whether a copy was painted, joined, escaped or put into another format."""
    return not (text.isascii() and text.isprintable()) or any(sign in text for sign in _ODD)


def _decoded(body: str) -> Optional[PacketState]:
    if is_odd(body) or len(body) > _LONGEST_CACHED:
        return None
    state, is_whole = record_body.read(body.strip())
    return state if is_whole else None


def _filled(
    template: PacketState,
    length: str,
    ip_id: str,
    first: str,
    second: str,
    seq: Optional[str],
    ack: Optional[str],
) -> PacketState:
    """A packet's state by that of another, which has the same but for these numbers.

    ``first`` and ``second`` are ports, or ICMP's id and sequence. By position, as it is made for
    each hook of each packet.
    """
    iif, oif, mark, mac, header, *_ = template
    family, proto, src, dst, _, _, _, _, ttl, flags, _, _, kind, code, *_ = header  # type: ignore[misc]
    numbers = int(first), int(second)
    is_tcp = proto == "tcp" and seq is not None and ack is not None
    ports, echo = (numbers, (None, None)) if kind is None else ((None, None), numbers)
    sequence = (int(seq), int(ack)) if is_tcp else (None, None)  # type: ignore[arg-type]
    own_id = int(ip_id) if family == 4 else None
    parts = (family, proto, src, dst, *ports, int(length), own_id, ttl, flags, *sequence)
    filled = new_state(Header, (*parts, kind, code, *echo, None, None, None))
    return new_state(PacketState, (iif, oif, mark, mac, filled, None, None))
