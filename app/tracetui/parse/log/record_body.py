"""Bodies of TRACE records, behind the trace point (net/netfilter/nf_log_syslog.c).

A body is read left to right: a key that comes twice means different things (LEN of IP and UDP, ID
of IP and ICMP), and what stands in brackets belongs to another packet. Copies lose blanks, so a key
is also looked for inside a word; an interface may be named as any key, so there only if it is
missing.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple, Optional

from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import PacketState
from tracetui.parse.headers import ethernet

LONGEST_BODY = 4096
"""Characters: the kernel prints 1019 at most, and /dev/kmsg shows one of them as four."""
KEYS = frozenset((
    "IN", "OUT", "PHYSIN", "PHYSOUT", "MAC", "MACSRC", "MACDST", "MACPROTO", "VPROTO", "VID",
    "TUNNEL", "SRC", "DST", "LEN", "TOS", "PREC", "TTL", "ID", "TC", "HOPLIMIT", "FLOWLBL", "PROTO",
    "SPT", "DPT", "SEQ", "ACK", "WINDOW", "RES", "URGP", "TYPE", "CODE", "PARAMETER", "POINTER",
    "GATEWAY", "MTU", "SPI", "UID", "GID", "MARK",
))  # fmt: skip
WORDS = frozenset(("CE", "DF", "MF", "INCOMPLETE", "OPT", "bytes]"))
TCP_FLAGS = ("AE", "CWR", "ECE", "URG", "ACK", "PSH", "RST", "SYN", "FIN")
_INTERFACES = frozenset(("IN", "OUT", "PHYSIN", "PHYSOUT"))
_PRINTED_ECHO_TYPES = {"icmp": (0, 8), "icmpv6": (128, 129)}
_OF_IPV4, _OF_IPV6 = frozenset(("TTL", "TOS", "PREC")), frozenset(("HOPLIMIT", "TC", "FLOWLBL"))
_PROTO_WORDS = {
    "TCP": "tcp", "UDP": "udp", "UDPLITE": "udplite", "ICMP": "icmp", "ICMPv6": "icmpv6",
    "AH": "ah", "ESP": "esp", "132": "sctp", "33": "dccp", "47": "gre", "2": "igmp", "4": "ipip",
    "41": "ipv6", "103": "pim", "112": "vrrp",
}  # fmt: skip
_PROTO_NUMBER = re.compile("[0-9]{1,3}", re.ASCII)
"""The kernel has no name for it."""
_LEADING_NUMBER = re.compile(r"[0-9]{1,18}(?=$|[A-Z\"',;)\]])")
"""No field of a header has more; int() would refuse a far longer one. Words can be glued to
it (``ID=45471DF``); dots behind it say that its end was left out."""
_LEADING_HEX = re.compile(r"(?:0x)?([0-9a-fA-F]{1,16})(?![0-9a-fA-F.])")
_BRACKETS = re.compile(r"(?<!\S)\[[^\[\]]*(?:\]|$)")
"""Another packet's header; the name of an interface may hold a bracket too."""
_OPTIONS = re.compile(r"OPT ?\(([^()]*)\)")
_OPEN_OPTIONS = re.compile(r"(?<!\S)OPT ?(?:\([^()]*)?$")
_KEY_INSIDE = re.compile("(" + "|".join(sorted(KEYS, key=len, reverse=True)) + ")=")
_PRINTED_FLAGS = re.compile(
    rf"(?:RES=0x[0-9A-Fa-f]{{2}}|WINDOW=[0-9]{{1,5}})((?:\s{{1,8}}|{'|'.join(TCP_FLAGS)}){{0,32}})URGP="
)
"""The flags that are set, all of them: where an end is missing, so can others be."""
_FLAG_NAME = re.compile("|".join(TCP_FLAGS))
_LEFT_OUT = re.compile(r"\S*(?:\.{3}|\u2026)\S*")
"""A word of which a copy says that something is missing."""


class Body(NamedTuple):
    """The devices, the mark and the header of one record."""

    state: PacketState
    is_whole: bool
    """Whether its end is there, as far as its protocol tells: what follows can be another's."""


class _Fields:
    """Values by key in their order, and bare words."""

    def __init__(self, words: list[str]) -> None:
        self.all: dict[str, list[str]] = {}
        self.bare: list[str] = []
        if not self._read(words):
            own = frozenset(self.all)
            self.all, self.bare = {}, []
            self._read([part for word in words for part in _unglued(word, own)])

    def first(self, key: str) -> Optional[str]:
        """The value of the key's first."""
        values = self.all.get(key)
        return values[0] if values else None

    def _read(self, words: list[str]) -> bool:
        """Take the words in; whether they look as the kernel parts them."""
        is_plain, found = True, self.all
        for word in words:
            key, equals, value = word.partition("=")
            if equals:
                if key in found:
                    found[key].append(value)
                else:
                    found[key] = [value]
                if key not in KEYS or "=" in value:
                    is_plain = False
            else:
                self.bare.append(word)
        return is_plain


def _unglued(word: str, own: frozenset[str]) -> Iterator[str]:
    """The parts of a word that lost its blanks; ``own`` are the keys that have words of their own.

    In an interface's name such a key is part of the name.
    """
    key, equals, _ = word.partition("=")
    names = own if equals and key in _INTERFACES else frozenset()
    starts = [
        found.start()
        for found in _KEY_INSIDE.finditer(word)
        if not found.start() or found[1] not in names
    ]
    cuts = [0, *(start for start in starts if start), len(word)]
    yield from (word[one:other] for one, other in zip(cuts, cuts[1:]) if one < other)


@lru_cache(maxsize=4096)
def read(text: str) -> Body:
    """Decode a body; all hops of one hook share it byte for byte."""
    outer = _BRACKETS.sub(" ", text) if "[" in text else text
    if "..." in outer or "\u2026" in outer:
        outer = _LEFT_OUT.sub(" ? ", outer)
    options: list[str] = []
    is_open = False
    if "OPT" in outer:
        options = _OPTIONS.findall(outer)
        outer = _OPTIONS.sub(" ", outer)
        is_open = _OPEN_OPTIONS.search(outer) is not None
        outer = _OPEN_OPTIONS.sub(" ", outer) if is_open else outer
    fields = _Fields(outer.split())
    header = _header(fields, options, outer)
    state = PacketState(
        iif=fields.first("IN") or None,
        oif=fields.first("OUT") or None,
        mark=hexadecimal(fields.first("MARK")) or None,
        mac=ethernet.printed_addresses(fields.first("MAC") or ""),
        header=header,
    )
    return Body(state, header is not None and not is_open and _is_whole(text, fields, header))


def _header(fields: _Fields, options: list[str], text: str) -> Optional[Header]:
    """The packet's header; None if not even its family can be told."""
    first = fields.first
    src, dst = address(first("SRC")), address(first("DST"))
    family = _family(src or dst, fields)
    if family is None:
        return None
    proto = _proto(first("PROTO"), options)
    is_icmp, is_tcp = proto in _PRINTED_ECHO_TYPES, proto == "tcp"
    ids = fields.all.get("ID", [])
    icmp_ids = ids[1:] if family == 4 else ids
    fragment_id, fragment = _fragment(family, fields.bare, options)
    sequence = number(first("SEQ"))
    return Header(
        family=family,
        proto=proto,
        src=src,
        dst=dst,
        sport=number(first("SPT")),
        dport=number(first("DPT")),
        length=number(first("LEN")),
        ip_id=number(ids[0]) if family == 4 and ids else fragment_id,
        ttl=number(first("TTL") or first("HOPLIMIT")),
        flags=_flags(text) if is_tcp else None,
        tcp_seq=sequence if is_tcp else None,
        tcp_ack=number(first("ACK")) if is_tcp else None,
        icmp_type=number(first("TYPE")) if is_icmp else None,
        icmp_code=number(first("CODE")) if is_icmp else None,
        icmp_id=number(icmp_ids[0]) if is_icmp and icmp_ids else None,
        icmp_seq=sequence if is_icmp else None,
        fragment=fragment,
        spi=hexadecimal(first("SPI") or _option_spi(options)),
    )


def _flags(text: str) -> Optional[str]:
    found = _PRINTED_FLAGS.search(text)
    return None if found is None else " ".join(_FLAG_NAME.findall(found[1]))


def _family(known: Optional[str], fields: _Fields) -> Optional[int]:
    """By an address, or where both are masked by what is printed of one family only."""
    if known is not None:
        return 6 if ":" in known else 4
    found = fields.all.keys()
    return 4 if _OF_IPV4 & found else 6 if _OF_IPV6 & found else None


def _is_whole(text: str, fields: _Fields, header: Header) -> bool:
    found = fields.all
    if text.count("[") != text.count("]"):
        return False
    if header.proto is None or "INCOMPLETE" in fields.bare or header.fragment:
        return header.proto is not None
    if header.proto == "tcp":
        return bool(fields.first("URGP"))
    if header.proto in ("udp", "udplite"):
        return len([one for one in found.get("LEN", ()) if one]) > 1
    if header.proto in _PRINTED_ECHO_TYPES:
        is_echo = header.icmp_type in _PRINTED_ECHO_TYPES[header.proto]
        return bool(fields.first("CODE")) and (not is_echo or bool(fields.first("SEQ")))
    return True


def _proto(printed: Optional[str], options: list[str]) -> Optional[str]:
    if printed is None:
        # After ESP as an IPv6 extension header nothing is printed any more.
        return "esp" if any("ESP" in option for option in options) else None
    return _PROTO_WORDS.get(printed) or (printed if _PROTO_NUMBER.fullmatch(printed) else None)


def _fragment(
    family: int, bare: list[str], options: list[str]
) -> tuple[Optional[int], Optional[int]]:
    """The IPv6 fragment's id, and the offset in bytes: IPv4 prints units of 8 bytes, IPv6 bytes."""
    if not bare and not options:
        return None, None
    words = bare if family == 4 else " ".join(options).split()
    offset = next((number(word[5:]) for word in words if word.startswith("FRAG:")), None)
    if family == 4:
        return None, offset * 8 if offset else None
    found = next((hexadecimal(word[3:]) for word in words if word.startswith("ID:")), None)
    return found, offset or None


def _option_spi(options: list[str]) -> Optional[str]:
    found = re.search(r"SPI=(0x[0-9a-fA-F]+)", " ".join(options)) if options else None
    return found[1] if found else None


@lru_cache(maxsize=4096)
def address(printed: Optional[str]) -> Optional[str]:
    """The address in its usual form; None for one that was masked or cut.

    The kernel prints no scope behind an address.
    """
    try:
        return None if "%" in (printed or "") else ipaddress.ip_address(printed or "").compressed
    except ValueError:
        return None


def number(printed: Optional[str]) -> Optional[int]:
    """The digits a value begins with: copies glue words to them (``ID=45471DF``)."""
    if not printed:
        return None
    found = _LEADING_NUMBER.match(printed)
    return int(found[0]) if found else None


def hexadecimal(printed: Optional[str]) -> Optional[int]:
    """The hexadecimal digits a value begins with, behind ``0x`` or without."""
    found = _LEADING_HEX.match(printed) if printed else None
    return int(found[1], 16) if found else None
