"""TRACE records as the kernel prints them (net/netfilter/nf_log_syslog.c).

A body is read left to right: a key that comes twice means different things (LEN of IP and UDP, ID
of IP and ICMP), and what stands in brackets belongs to another packet.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import NamedTuple, Optional

from tracetui.model.header import Header
from tracetui.model.hop import LOG, Hop, built_in_hook
from tracetui.parse import ethernet

_TRACE = re.compile(
    r"TRACE: (?P<table>[^:\s]{1,255}):(?P<chain>\S{1,255}):(?P<type>rule|return|policy)"
    r":(?P<num>[0-9]{1,10})"
    r"(?=\s|IN=|$)",
    re.ASCII,
)
_LONGEST_BODY = 4096
"""Characters: the kernel prints 1019 at most, and /dev/kmsg shows one of them as four."""
_FLAGS = ("AE", "CWR", "ECE", "URG", "ACK", "PSH", "RST", "SYN", "FIN")
_PROTOCOLS = {
    "TCP": "tcp", "UDP": "udp", "UDPLITE": "udplite", "ICMP": "icmp", "ICMPv6": "icmpv6",
    "AH": "ah", "ESP": "esp", "132": "sctp", "33": "dccp", "47": "gre", "2": "igmp", "4": "ipip",
    "41": "ipv6", "103": "pim", "112": "vrrp",
}  # fmt: skip
_NUMBER = re.compile(r"[0-9]{1,20}(?![0-9])")
"""The kernel prints none that is longer; int() would refuse a far longer one."""
_BRACKETS = re.compile(r"(?<!\S)\[[^\[\]]*(?:\]|$)")
"""Another packet's header; the name of an interface may hold a bracket too."""
_OPTIONS = re.compile(r"OPT \(([^()]*)\)")


class _Body(NamedTuple):
    iif: Optional[str]
    oif: Optional[str]
    mark: Optional[int]
    header: Optional[Header]
    mac: Optional[str]


def find(text: str) -> Optional[re.Match[str]]:
    """Where a hop begins in a line; None if it holds none."""
    return _TRACE.search(text)


def parse(text: str, time: Optional[float] = None) -> Optional[Hop]:
    """The hop of one printed record; None if there is none in it. ``time`` is the record's."""
    found = find(text)
    if found is None:
        return None
    body = _body(text[found.end() : found.end() + _LONGEST_BODY].strip())
    family = "ip6" if body.header is not None and body.header.family == 6 else "ip"
    chain = found["chain"]
    return Hop(
        backend="legacy",
        family=family,
        table=found["table"],
        chain=chain,
        type=found["type"],
        rulenum=int(found["num"]),
        hook=built_in_hook(found["table"], chain),
        iif=body.iif,
        oif=body.oif,
        mark=body.mark,
        time=time,
        header=body.header,
        mac=body.mac,
        source=LOG,
    )


@lru_cache(maxsize=4096)
def _body(text: str) -> _Body:
    """Everything behind the place; all hops of one hook share it byte for byte."""
    outer = _BRACKETS.sub(" ", text)
    options = _OPTIONS.findall(outer)
    words = _OPTIONS.sub(" ", outer).split()
    fields, flags, bare = _read(words)
    first = {key: values[0] for key, values in fields.items()}
    mark = first.get("MARK", "")
    return _Body(
        iif=first.get("IN") or None,
        oif=first.get("OUT") or None,
        mark=_hex(mark),
        header=_header(fields, first, flags, bare, options),
        mac=ethernet.printed(first.get("MAC", "")),
    )


def _read(words: list[str]) -> tuple[dict[str, list[str]], list[str], list[str]]:
    """Values by key in their order, TCP flags, and other bare words."""
    fields: dict[str, list[str]] = {}
    flags: list[str] = []
    bare: list[str] = []
    for word in words:
        key, equals, value = word.partition("=")
        if equals:
            fields.setdefault(key, []).append(value)
        elif word in _FLAGS and "SPT" in fields:
            flags.append(word)
        else:
            bare.append(word)
    return fields, flags, bare


def _header(
    fields: dict[str, list[str]],
    first: dict[str, str],
    flags: list[str],
    bare: list[str],
    options: list[str],
) -> Optional[Header]:
    """The packet's header; None if not even an address can be read."""
    src, dst = _address(first.get("SRC")), _address(first.get("DST"))
    if src is None and dst is None:
        return None
    family = 6 if ":" in (src or dst or "") else 4
    proto = _proto(first.get("PROTO"), options)
    is_icmp = proto in ("icmp", "icmpv6")
    ids = fields.get("ID", [])
    icmp_ids = ids[1:] if family == 4 else ids
    fragment_id, fragment = _fragment(family, bare, options)
    return Header(
        family=family,
        proto=proto,
        src=src,
        dst=dst,
        sport=_number(first.get("SPT")),
        dport=_number(first.get("DPT")),
        length=_number(first.get("LEN")),
        ip_id=_number(ids[0]) if family == 4 and ids else fragment_id,
        ttl=_number(first.get("TTL", first.get("HOPLIMIT"))),
        flags=" ".join(flags) if proto == "tcp" and "WINDOW" in first else None,
        tcp_seq=_number(first.get("SEQ")) if proto == "tcp" else None,
        tcp_ack=_number(first.get("ACK")) if proto == "tcp" else None,
        icmp_type=_number(first.get("TYPE")) if is_icmp else None,
        icmp_code=_number(first.get("CODE")) if is_icmp else None,
        icmp_id=_number(icmp_ids[0]) if is_icmp and icmp_ids else None,
        icmp_seq=_number(first.get("SEQ")) if is_icmp else None,
        fragment=fragment,
        spi=_hex(first.get("SPI") or _option_spi(options)),
    )


def _proto(printed: Optional[str], options: list[str]) -> Optional[str]:
    if printed is None:
        # After ESP as an IPv6 extension header nothing is printed any more.
        return "esp" if any("ESP" in option for option in options) else None
    return _PROTOCOLS.get(printed, printed.lower())


def _fragment(
    family: int, bare: list[str], options: list[str]
) -> tuple[Optional[int], Optional[int]]:
    """The IPv6 fragment's id, and the offset in bytes: IPv4 prints units of 8 bytes, IPv6 bytes."""
    words = bare if family == 4 else " ".join(options).split()
    offset = next((_number(word[5:]) for word in words if word.startswith("FRAG:")), None)
    if family == 4:
        return None, offset * 8 if offset else None
    number = next((_hex(word[3:]) for word in words if word.startswith("ID:")), None)
    return number, offset or None


def _option_spi(options: list[str]) -> str:
    found = re.search(r"SPI=(0x[0-9a-fA-F]+)", " ".join(options))
    return found[1] if found else ""


@lru_cache(maxsize=4096)
def _address(printed: Optional[str]) -> Optional[str]:
    """The address in its usual form; None for one that was masked or cut.

    The kernel prints no scope behind an address.
    """
    try:
        return None if "%" in (printed or "") else ipaddress.ip_address(printed or "").compressed
    except ValueError:
        return None


def _number(printed: Optional[str]) -> Optional[int]:
    """The digits a value begins with: copies glue words to them (``ID=45471DF``)."""
    found = _NUMBER.match(printed or "")
    return int(found[0]) if found else None


def _hex(printed: Optional[str]) -> Optional[int]:
    found = re.match(r"(?:0x)?([0-9a-fA-F]{1,16})(?![0-9a-fA-F])", printed or "")
    return int(found[1], 16) if found else None
