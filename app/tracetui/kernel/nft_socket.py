"""A netlink socket to nf_tables: questions, answers and batches of changes, by their attributes.

Names and numbers are the kernel's (include/uapi/linux/netfilter/{nfnetlink,nf_tables}.h).
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator, Mapping
from typing import Optional, Protocol

from tracetui.errors import Failure, KernelRefused, NotPermitted
from tracetui.kernel.netlink import KERNEL, close_to_others
from tracetui.kernel.uapi import NETLINK_NETFILTER, NLMSG_DONE, NLMSG_ERROR

DUMP = 0x300
"""The flag that asks for all of a kind (NLM_F_DUMP)."""
NFT_FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
"""nf_tables' families by number, in nft's words."""
NUMBERS = {name: number for number, name in NFT_FAMILIES.items()}

Message = tuple[str, dict[int, bytes]]
"""Family in nft's words, and attributes by type."""

_NFTABLES = 10
_SUBSYSTEM = _NFTABLES << 8
_BATCH_BEGIN, _BATCH_END = 16, 17
_BATCH_GENERATION = 1
_GET_GENERATION = 16
_GENERATION_ID = 1
_REQUEST, _ACKNOWLEDGE = 1, 4
_INTERRUPTED = 0x10
"""NLM_F_DUMP_INTR: something changed while a dump was told (netlink_dump)."""
_RECEIVE = 1 << 18
"""Bytes; the kernel fills a dump's datagrams up to 32 KiB (netlink_dump)."""
_ANSWER_SECONDS = 5.0
_MESSAGE_HEAD = struct.Struct("=IHHIIBBH")
_ATTRIBUTE_HEAD = struct.Struct("=HH")


class Wire(Protocol):
    """A socket that carries questions to the kernel and its answers back, a datagram at a time."""

    def send(self, request: bytes, /) -> int:
        """Hand over a question."""
        ...

    def recvfrom(self, size: int, /) -> tuple[bytes, tuple[int, int]]:
        """The next datagram, and port id and group of who sent it; raises OSError if none comes."""
        ...

    def close(self) -> None:
        """Give it back."""
        ...


class NftSocket:
    """A socket, used by one thread at a time, in the namespace it was opened in."""

    def __init__(self, wire: Optional[Wire] = None) -> None:
        """Ask over ``wire``, or a socket of its own; raises Failure where there is no nf_tables."""
        self._wire = wire or _netlink_socket()
        self._sequence = 0
        self.was_interrupted = False
        """Whether the last dump can lack what was there all the time."""

    def generation(self) -> int:
        """The number of the last committed change (NFT_MSG_GETGEN); raises Failure."""
        for _, found in self.ask(_GET_GENERATION):
            return required_number(found, _GENERATION_ID)
        raise Failure("nf_tables did not tell its generation")

    def ask(
        self, kind: int, flags: int = 0, family: int = 0, attributes: bytes = b""
    ) -> Iterator[Message]:
        """The messages of an answer, as they come; raises Failure, KernelRefused for an errno.

        A dump that is not read to its end goes on in the socket: close it then.
        """
        self._sequence += 1
        self.was_interrupted = False
        request = _message(_SUBSYSTEM | kind, _REQUEST | flags, self._sequence, family, attributes)
        try:
            self._wire.send(request)
            for found, name, data, start, end in self._answers():
                if found == NLMSG_DONE:
                    return
                if found == NLMSG_ERROR:
                    raise _refusal(data[start - 4 : start])
                yield name, attributes_of(data, start, end)
                if not flags & DUMP:
                    return
        except OSError as error:
            raise Failure(f"nf_tables did not answer: {error}") from None

    def change(self, kind: int, family: int, attributes: bytes, generation: int) -> None:
        """Make one change, if ``generation`` is still that of the ruleset; raises KernelRefused.

        The kernel holds its lock from that comparison to the commit (nfnetlink_rcv_batch), and
        answers ERESTART where another change came first (nf_tables_valid_genid).
        """
        self._sequence += 1
        number = self._sequence
        wanted = attribute(_BATCH_GENERATION, struct.pack(">I", generation))
        batch = (
            _message(_BATCH_BEGIN, _REQUEST, number, 0, wanted, _NFTABLES)
            + _message(_SUBSYSTEM | kind, _REQUEST | _ACKNOWLEDGE, number, family, attributes)
            + _message(_BATCH_END, _REQUEST, number, 0, b"", _NFTABLES)
        )
        try:
            self._wire.send(batch)
            for found, _, data, start, _ in self._answers():
                if found == NLMSG_ERROR:
                    code = data[start - 4 : start]
                    if any(code):
                        raise _refusal(code)
                    return
        except OSError as error:
            raise Failure(f"nf_tables did not answer: {error}") from None

    def close(self) -> None:
        """Give the socket back."""
        self._wire.close()

    def _answers(self) -> Iterator[tuple[int, str, bytes, int, int]]:
        """Each message that answers the last question; raises OSError.

        Type, family, and a datagram with where in it the attributes begin and end.
        """
        while True:
            data, (sender, _) = self._wire.recvfrom(_RECEIVE)
            at = 0 if sender == KERNEL else len(data)
            while at + 16 <= len(data):
                size, found, flags, sequence, _, family, _, _ = _MESSAGE_HEAD.unpack_from(
                    data.ljust(at + _MESSAGE_HEAD.size, b"\0"), at
                )
                if sequence == self._sequence:
                    self.was_interrupted |= bool(flags & _INTERRUPTED)
                    name = NFT_FAMILIES.get(family, str(family))
                    yield found, name, data, at + _MESSAGE_HEAD.size, at + size
                at += (size + 3) & ~3 or len(data)


def attribute(kind: int, value: bytes) -> bytes:
    """Encode an attribute."""
    return _ATTRIBUTE_HEAD.pack(4 + len(value), kind) + value + bytes(-len(value) % 4)


def attributes_of(data: bytes, at: int = 0, end: int | None = None) -> dict[int, bytes]:
    """Attributes by type, up to one that is not whole."""
    return dict(each_attribute(data, at, end))


def each_attribute(data: bytes, at: int = 0, end: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Type and value of each attribute in order, up to one that is not whole."""
    end = len(data) if end is None else min(end, len(data))
    while end - at >= 4:
        size, kind = _ATTRIBUTE_HEAD.unpack_from(data, at)
        if size < 4 or at + size > end:
            return
        yield kind & 0x3FFF, data[at + 4 : at + size]
        at += (size + 3) & ~3


def required_value(found: Mapping[int, bytes], kind: int) -> bytes:
    """An attribute that every message of its sort has; raises Failure for one that has not."""
    if kind not in found:
        raise Failure("nf_tables sent something that can't be read")
    return found[kind]


def required_number(found: Mapping[int, bytes], kind: int) -> int:
    """An attribute as a number, which is never longer than 64 bits; raises Failure."""
    digits = required_value(found, kind)
    if not 1 <= len(digits) <= 8:
        raise Failure("nf_tables sent something that can't be read")
    return int.from_bytes(digits, "big")


def _message(
    kind: int, flags: int, sequence: int, family: int, attributes: bytes, resource: int = 0
) -> bytes:
    size = _MESSAGE_HEAD.size + len(attributes)
    # The resource id is in network order (struct nfgenmsg).
    resource = int.from_bytes(resource.to_bytes(2, "big"), sys.byteorder)
    return _MESSAGE_HEAD.pack(size, kind, flags, sequence, 0, family, 0, resource) + attributes


def _netlink_socket() -> socket.socket:
    try:
        opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        opened.bind((0, 0))
        close_to_others(opened)
    except OSError as error:
        raise Failure(f"no nf_tables: {os.strerror(error.errno or 0)}") from None
    opened.settimeout(_ANSWER_SECONDS)
    return opened


def _refusal(code: bytes) -> Failure:
    found = -int.from_bytes(code, sys.byteorder, signed=True)
    if found == errno.EPERM:
        return NotPermitted("the nf_tables ruleset can be read by root only")
    if 0 < found < 4096:
        return KernelRefused(f"nf_tables: {os.strerror(found)}", found)
    return Failure("nf_tables: no answer")
