"""Devices of this thread's namespace that put a packet into another one (rtnetlink(7))."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator, Mapping

from tracetui.errors import Failure
from tracetui.kernel.names import text_of
from tracetui.kernel.netlink import close_to_others
from tracetui.kernel.nft_socket import attributes_of
from tracetui.kernel.uapi import NLMSG_DONE, NLMSG_ERROR

TUNNELS = frozenset((
    "vxlan", "geneve", "gre", "gretap", "ip6gre", "ip6gretap", "erspan", "ip6erspan", "ipip",
    "ip6tnl", "sit", "vti", "vti6", "xfrm", "wireguard", "tun", "bareudp", "gtp", "ovpn",
))  # fmt: skip
"""Kinds (IFLA_INFO_KIND) whose devices send what they are given inside a packet of their own."""
_GET_LINK, _DUMP_REQUEST = 18, 0x301
_LINK_NAME, _LINK_INFO, _LINK_KIND = 3, 18, 1
_NLMSG_SIZE, _NLMSG_LINK_SIZE = 16, 32
"""Bytes of struct nlmsghdr, and of that with struct ifinfomsg behind it."""
_MOST_BYTES, _LINKS_SECONDS, _MOST_TUNNELS = 1 << 20, 0.5, 256


def tunnels() -> Mapping[str, str]:
    """The kind of each tunnel device by its name; empty where the kernel does not tell."""
    found: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for device in _links():
            name, kind = name_and_kind(device)
            if kind in TUNNELS and name and len(found) < _MOST_TUNNELS:
                found[name] = kind
    return found


def name_and_kind(attributes: bytes) -> tuple[str, str]:
    """A device's name and kind, given its attributes (IFLA_*); empty where they do not tell."""
    try:
        parts = attributes_of(attributes)
        info = attributes_of(parts.get(_LINK_INFO, b""))
    except Failure:
        return "", ""
    name = parts.get(_LINK_NAME, b"").rstrip(b"\0").decode(errors="surrogateescape")
    return text_of(name), info.get(_LINK_KIND, b"").rstrip(b"\0").decode(errors="replace")


def _links() -> Iterator[bytes]:
    """The attributes of every device; raises OSError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as asked:
        asked.bind((0, 0))
        close_to_others(asked)
        asked.settimeout(_LINKS_SECONDS)
        asked.send(
            struct.pack("=IHHII", _NLMSG_LINK_SIZE, _GET_LINK, _DUMP_REQUEST, 1, 0) + bytes(16)
        )
        taken = 0
        while taken < _MOST_BYTES:
            data = asked.recv(1 << 16)
            taken += len(data)
            while len(data) >= _NLMSG_SIZE:
                length, kind = struct.unpack_from("=IH", data)
                if kind in (NLMSG_DONE, NLMSG_ERROR) or not _NLMSG_SIZE <= length <= len(data):
                    return
                yield data[_NLMSG_LINK_SIZE:length]
                data = data[(length + 3) & ~3 :]
