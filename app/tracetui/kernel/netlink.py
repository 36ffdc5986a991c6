"""Netlink sockets that carry TRACE: the nft trace group and the nflog group 0.

They move bytes; ``tracetui.parse`` reads them. Constants are the kernel's
(include/uapi/linux/netfilter/{nfnetlink,nfnetlink_log}.h, include/uapi/linux/netlink.h).
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import struct
import time

from tracetui.errors import Failure, NotPermitted
from tracetui.kernel.many_datagrams import DATAGRAM, ManyDatagrams
from tracetui.kernel.names import text_of
from tracetui.kernel.uapi import NETLINK_NETFILTER, NLMSG_ERROR

RECEIVE_BUFFER = 64 << 20
"""Bytes asked of the kernel: room for about 160,000 nflog or 104,000 nft records."""
COPY_RANGE = 128
"""Bytes of a packet that nflog hands out: IPv6, extension headers and a whole TCP header."""
KERNEL = 0
"""The kernel's own port, on every netlink protocol."""

_SOL_NETLINK = 270
_ADD_MEMBERSHIP = 1
_NFNLGRP_NFTRACE = 9
_RTMGRP_LINK = 1
_SO_RCVBUFFORCE = 33
_SO_MEMINFO = 55
_MEMINFO_DROPS = 8

_NFULNL_MSG_CONFIG = 0x401
_NLM_REQUEST_ACK = 5
_CFG_CMD, _CFG_MODE, _CFG_QTHRESH, _CFG_FLAGS = 1, 2, 5, 6
_CMD_BIND = 1
_COPY_PACKET = 2
_FLAG_SEQ = 1
_ACK_SECONDS = 2.0


class NetlinkSource:
    """A netlink socket with a big buffer, read without blocking; it hears the kernel only.

    Another process, if it has CAP_NET_ADMIN, can send to every netlink socket. What it sends to
    this one alone is refused, for the socket is connected to the kernel (net/netlink/af_netlink.c,
    netlink_getsockbyportid); what it sends to a group still comes, as does what was under way when
    it was connected. That is told by its sender.
    """

    def __init__(self, protocol: int = NETLINK_NETFILTER, groups: int = 0) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        self._socket.setblocking(False)
        self._seen_drops = 0
        self._many = ManyDatagrams(self._socket)
        try:
            self._enlarge()
            self._socket.bind((0, groups))
            if groups:
                self._socket.connect((KERNEL, 0))
            else:
                close_to_others(self._socket)
                self.lost()
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """The descriptor to select on."""
        return self._socket.fileno()

    def receive(self, limit: int) -> tuple[list[bytes], list[float], bool]:
        """Take up to ``limit`` datagrams: the kernel's, when they were read, whether none is left.

        Times are seconds since the epoch. ENOBUFS only reports an overrun, which :meth:`lost`
        counts exactly; reading goes on.
        """
        datagrams: list[bytes] = []
        times: list[float] = []
        left, many = limit, self._many
        while left:
            try:
                found, count = many.receive(left, KERNEL)
            except BlockingIOError:
                return datagrams, times, True
            except OSError as error:
                if error.errno not in (errno.ENOBUFS, errno.EINTR):
                    raise
                continue
            left -= count
            datagrams += found
            times += [time.time()] * len(found)
        return datagrams, times, False

    def lost(self) -> int:
        """Datagrams the kernel dropped since the last call (SO_MEMINFO, exact)."""
        info = self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 36)
        drops = int(struct.unpack_from("=9I", info)[_MEMINFO_DROPS])
        new = (drops - self._seen_drops) & 0xFFFFFFFF
        self._seen_drops = drops
        return new

    def close(self) -> None:
        """Give the socket back; the kernel forgets what it was bound to."""
        self._socket.close()

    def _enlarge(self) -> None:
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER)
        except PermissionError:
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)


def close_to_others(opened: socket.socket) -> None:
    """Let only the kernel send to a bound netlink socket, and throw away what others sent before.

    They may have filled it up: the overrun that this left is taken off the socket too.
    """
    opened.connect((KERNEL, 0))
    while True:
        try:
            opened.recv(1, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno not in (errno.ENOBUFS, errno.EINTR):
                raise


class NftTrace(NetlinkSource):
    """The trace events of nf_tables (NFNLGRP_NFTRACE)."""

    def __init__(self) -> None:
        try:
            super().__init__()
        except OSError as error:
            raise Failure(f"no nftrace: {os.strerror(error.errno or 0)}") from None
        try:
            self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _NFNLGRP_NFTRACE)
        except PermissionError:
            self.close()
            raise NotPermitted("nftrace needs CAP_NET_ADMIN: run as root") from None
        except OSError as error:
            self.close()
            raise Failure(f"no nftrace: {os.strerror(error.errno or 0)}") from None


class LogGroup(NetlinkSource):
    """A group of nfnetlink_log, held until it is closed: the kernel gives each to one socket.

    CAP_NET_ADMIN is needed. All of the network namespace see who holds which
    (``kernel.nf_log.holders``), whatever their mounts and pids are.
    """

    def __init__(self, group: int) -> None:
        """Hold it; raises OSError: EPERM or EBUSY where another socket does."""
        super().__init__()
        self.group = group
        try:
            # Until it is told to copy packets the kernel sends nothing to it.
            self._configure(_CFG_CMD, struct.pack("B", _CMD_BIND))
        except OSError:
            self.close()
            raise

    @property
    def port(self) -> int:
        """Its netlink port, which no other socket of the namespace has."""
        return int(self._socket.getsockname()[0])

    def _configure(self, attribute: int, value: bytes) -> None:
        """Send one NFULNL_MSG_CONFIG and wait for its acknowledgement; raises OSError."""
        body = struct.pack(">BBH", socket.AF_UNSPEC, 0, self.group)
        body += struct.pack("=HH", 4 + len(value), attribute) + value
        body += bytes(-len(body) % 4)
        head = struct.pack("=IHHII", 16 + len(body), _NFULNL_MSG_CONFIG, _NLM_REQUEST_ACK, 0, 0)
        self._socket.send(head + body)
        while select.select([self._socket], [], [], _ACK_SECONDS)[0]:
            answer, (sender, _) = self._socket.recvfrom(DATAGRAM)
            is_whole = sender == KERNEL and len(answer) >= 20
            if is_whole and struct.unpack_from("=H", answer, 4)[0] == NLMSG_ERROR:
                code = -struct.unpack_from("=i", answer, 16)[0]
                if code:
                    raise OSError(code, os.strerror(code))
                return
        raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))


class NfLog(LogGroup):
    """Group 0 of nfnetlink_log, where legacy TRACE goes when nf_log is bound to it."""

    GROUP = 0

    def __init__(self) -> None:
        try:
            super().__init__(self.GROUP)
        except OSError as error:
            raise Failure(self._refusal(error)) from None
        try:
            # TRACE's records are sent one by one; those of a -j NFLOG rule would wait, and the next
            # hop with them, behind them in one datagram.
            self._configure(_CFG_QTHRESH, struct.pack(">I", 1))
            self._configure(_CFG_FLAGS, struct.pack(">H", _FLAG_SEQ))
            self._configure(_CFG_MODE, struct.pack(">IBx", COPY_RANGE, _COPY_PACKET))
        except OSError as error:
            self.close()
            raise Failure(self._refusal(error)) from None

    @staticmethod
    def _refusal(error: OSError) -> str:
        # nfulnl_recv_config() answers EPERM when another socket owns the group (and for a missing
        # CAP_NET_ADMIN), EBUSY when it is bound at the same moment.
        if error.errno in (errno.EPERM, errno.EBUSY):
            return "nflog group 0 is taken by another program (ulogd?) or CAP_NET_ADMIN is missing"
        return f"no nflog: {os.strerror(error.errno or 0)}"


class LinkEvents(NetlinkSource):
    """Says that interfaces came, went or were renamed; the datagrams themselves are not needed."""

    def __init__(self) -> None:
        super().__init__(socket.NETLINK_ROUTE, _RTMGRP_LINK)


def interface_names() -> dict[int, str]:
    """Interface index to name in the namespace of this thread."""
    return {index: text_of(name) for index, name in socket.if_nameindex()}
