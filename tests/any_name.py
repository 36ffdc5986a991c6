"""Chains of nf_tables with names that no command makes: the kernel takes any byte but NUL."""

from __future__ import annotations

import socket
import struct

from tracetui.kernel import netns

_NETFILTER, _NFTABLES = 12, 10
_NEW_CHAIN, _DELETE_CHAIN = 3, 5
_REQUEST, _ACKNOWLEDGE, _CREATE = 1, 4, 0x400
_CHAIN_TABLE, _CHAIN_NAME = 1, 3


def make_chain(namespace: str, table: bytes, name: bytes, family: int = 2) -> None:
    """Make a chain in a table that is there; raises OSError."""
    _change(namespace, _NEW_CHAIN, _CREATE, table, name, family)


def delete_chain(namespace: str, table: bytes, name: bytes, family: int = 2) -> None:
    """Delete such a chain; raises OSError."""
    _change(namespace, _DELETE_CHAIN, 0, table, name, family)


def _change(namespace: str, kind: int, flags: int, table: bytes, name: bytes, family: int) -> None:
    attributes = _attribute(_CHAIN_TABLE, table + b"\0") + _attribute(_CHAIN_NAME, name + b"\0")
    asked = _message(_NFTABLES << 8 | kind, flags | _ACKNOWLEDGE, family, 0, attributes)
    batch = _message(16, 0, 0, _NFTABLES) + asked + _message(17, 0, 0, _NFTABLES)

    def send() -> int:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER) as opened:
            opened.settimeout(5)
            opened.send(batch)
            return struct.unpack_from("=i", opened.recv(4096), 16)[0]

    if code := -netns.call_inside(netns.resolve(namespace), send):
        raise OSError(code, "the kernel refused the name")


def _message(kind: int, flags: int, family: int, resource: int, attributes: bytes = b"") -> bytes:
    size = 20 + len(attributes)
    head = struct.pack("=IHHIIBB", size, kind, flags | _REQUEST, 1, 0, family, 0)
    return head + struct.pack(">H", resource) + attributes


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)
