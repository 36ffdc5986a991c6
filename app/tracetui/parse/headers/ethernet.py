"""Ethernet headers, as bytes and as the kernel log prints them."""

from __future__ import annotations

from functools import lru_cache
from typing import Optional

ETHERNET_BYTES = 14
"""Bytes: destination, source, type."""
ETHERNET_VLAN_BYTES = 18
"""Bytes with a VLAN's tag in between."""
ARPHRD_ETHER = 1
"""Of devices that have one (include/uapi/linux/if_arp.h)."""


@lru_cache(maxsize=4096)
def addresses(header: bytes) -> Optional[str]:
    """``source > destination``, as tcpdump has them, and the VLAN's id where the header has one.

    None for what is no Ethernet header.
    """
    if len(header) not in (ETHERNET_BYTES, ETHERNET_VLAN_BYTES):
        return None
    destination, source = header[:6].hex(":"), header[6:12].hex(":")
    both = f"{source} > {destination}"
    return f"{both} vlan {_vlan(header)}" if len(header) == ETHERNET_VLAN_BYTES else both


def _vlan(header: bytes) -> int:
    """The id in a header with a tag (IEEE 802.1Q): the lower twelve bits behind the tag's type."""
    return int.from_bytes(header[14:16], "big") & 0xFFF


@lru_cache(maxsize=4096)
def printed_addresses(text: str) -> Optional[str]:
    """``source > destination`` out of ``MAC=`` of the kernel log, which is the header in hex."""
    try:
        return addresses(bytes.fromhex(text.replace(":", "")))
    except ValueError:
        return None
