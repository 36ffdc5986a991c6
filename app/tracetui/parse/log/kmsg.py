"""Records of /dev/kmsg (Documentation/ABI/testing/dev-kmsg)."""

from __future__ import annotations

import re
from typing import Optional, Union

from tracetui.model.trace.hop import KMSG, Hop
from tracetui.parse.log import trace_record

_KERN_LEVELS = tuple("01234567")
"""Facility 0 (kern) << 3 | level."""
_MICROSECONDS = re.compile(r"[0-9]{1,18}")
_KERNEL_ESCAPE = re.compile(rb"\\x([0-9a-fA-F]{2})")


def parse(record: Union[bytes, str], received: Optional[float]) -> Optional[Hop]:
    """The hop of one record; None if it holds none or no kernel printed it.

    A program that writes to /dev/kmsg can't use facility 0. netfilter prints its prefix first, so
    a record that says the same further on is another's. The record's own stamp counts from boot,
    so it is the hop's time only where ``received``, seconds since the epoch, is not known.
    """
    text = record.decode(errors="backslashreplace") if isinstance(record, bytes) else record
    head, _, rest = text.partition(";")
    message = rest.partition("\n")[0]
    fields = head.split(",")
    found = trace_record.find(message)
    if found is None or found.start() or fields[0] not in _KERN_LEVELS:
        return None
    time = received
    if time is None and len(fields) > 2 and _MICROSECONDS.fullmatch(fields[2]):
        time = int(fields[2]) / 1e6
    hop = trace_record.parse(message, time)
    return None if hop is None else _named(hop).with_(source=KMSG)


def unescape(name: str) -> str:
    r"""A name with the kernel's ``\xNN`` undone, as the other sources have it."""
    if "\\x" not in name:
        return name
    raw = name.encode(errors="backslashreplace")
    data = _KERNEL_ESCAPE.sub(lambda found: bytes((int(found[1], 16),)), raw)
    return data.decode(errors="backslashreplace")


def _named(hop: Hop) -> Hop:
    """The hop with its names as they are: until here nothing in them could be taken for a blank."""
    table, chain = unescape(hop.table), unescape(hop.chain)
    iif, oif = (name and unescape(name) for name in (hop.iif, hop.oif))
    return hop.with_(table=table, chain=chain, iif=iif, oif=oif)
