"""Records of /dev/kmsg (Documentation/ABI/testing/dev-kmsg)."""

from __future__ import annotations

import re
from typing import Optional, Union

from tracetui.model.hop import Hop
from tracetui.parse import logline

_KERN_LEVELS = tuple("01234567")
"""Facility 0 (kern) << 3 | level."""
_MICROSECONDS = re.compile(r"[0-9]{1,18}")
_ESCAPE = re.compile(r"\\x([0-9a-fA-F]{2})")


def parse(record: Union[bytes, str], received: Optional[float]) -> Optional[Hop]:
    """The hop of one record; None if it holds none or no kernel printed it.

    A program that writes to /dev/kmsg can't use facility 0. The record's own stamp counts from
    boot, so it is the hop's time only where ``received``, seconds since the epoch, is not known.
    """
    text = record.decode(errors="backslashreplace") if isinstance(record, bytes) else record
    head, semicolon, message = text.partition(";")
    fields = head.split(",")
    if not semicolon or fields[0] not in _KERN_LEVELS:
        return None
    time = received
    if time is None and len(fields) > 2 and _MICROSECONDS.fullmatch(fields[2]):
        time = int(fields[2]) / 1e6
    return logline.parse(unescape(message.partition("\n")[0]), time)


def unescape(message: str) -> str:
    r"""The message with the kernel's ``\xNN`` undone; control characters stay escaped."""

    def character(found: re.Match[str]) -> str:
        code = int(found[1], 16)
        return chr(code) if 0x20 <= code < 0x7F else found[0]

    return _ESCAPE.sub(character, message)
