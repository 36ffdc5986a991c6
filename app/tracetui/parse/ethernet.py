"""Ethernet headers, as bytes and as the kernel log prints them."""

from __future__ import annotations

from functools import lru_cache
from typing import Optional

LENGTH = 14
"""Bytes: destination, source, type."""
ARPHRD_ETHER = 1
"""Of devices that have one (include/uapi/linux/if_arp.h)."""


@lru_cache(maxsize=4096)
def addresses(header: bytes) -> Optional[str]:
    """``source > destination``, as tcpdump has them; None for what is no Ethernet header."""
    if len(header) != LENGTH:
        return None
    destination, source = header[:6].hex(":"), header[6:12].hex(":")
    return f"{source} > {destination}"


@lru_cache(maxsize=4096)
def printed(text: str) -> Optional[str]:
    """The same out of ``MAC=`` of the kernel log, which is the header in hex."""
    try:
        return addresses(bytes.fromhex(text.replace(":", "")))
    except ValueError:
        return None
