"""Many datagrams with one system call: recvmmsg(2), which Python has no name for."""

from __future__ import annotations

import ctypes
import os
import socket
import struct

DATAGRAM = 8192
"""Bytes; a longer datagram is cut, and no TRACE record is (payload is cut to COPY_RANGE)."""
DATAGRAMS_AT_ONCE = 64
"""Datagrams of one call."""

_libc = ctypes.CDLL(None, use_errno=True)
_ADDRESS_SIZE = struct.calcsize("HHII")
"""Bytes of a netlink address: family, padding, port, groups (netlink(7))."""


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    """struct msghdr (recvmsg(2))."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.POINTER(_Vector)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Header(ctypes.Structure):
    """struct mmsghdr (recvmmsg(2))."""

    _fields_ = (("message", _Message), ("length", ctypes.c_uint32))


class ManyDatagrams:
    """Room for the datagrams of one netlink socket, and their senders."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self._data = ctypes.create_string_buffer(DATAGRAMS_AT_ONCE * DATAGRAM)
        self._names = ctypes.create_string_buffer(DATAGRAMS_AT_ONCE * _ADDRESS_SIZE)
        self._vectors = (_Vector * DATAGRAMS_AT_ONCE)()
        self._headers = (_Header * DATAGRAMS_AT_ONCE)()
        data, names = ctypes.addressof(self._data), ctypes.addressof(self._names)
        for at in range(DATAGRAMS_AT_ONCE):
            self._vectors[at] = _Vector(data + at * DATAGRAM, DATAGRAM)
            message = self._headers[at].message
            message.name, message.name_length = names + at * _ADDRESS_SIZE, _ADDRESS_SIZE
            message.vectors, message.vector_count = ctypes.pointer(self._vectors[at]), 1
        self._view = memoryview(self._data)
        self._ports = memoryview(self._names).cast("B").cast("I")
        self._numbers = memoryview(self._headers).cast("B").cast("I")

    def receive(self, most: int, sender: int) -> tuple[list[bytes], int]:
        """Receive at most ``most`` datagrams: those that came from a port, and the number of all.

        Raises OSError, as recvmmsg(2) does; ENOBUFS tells of an overrun, once.
        """
        asked = min(most, DATAGRAMS_AT_ONCE)
        count = _libc.recvmmsg(
            self._socket.fileno(), self._headers, asked, socket.MSG_DONTWAIT, None
        )
        if count < 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
        view, ports, numbers = self._view, self._ports, self._numbers
        return [
            view[at * DATAGRAM : at * DATAGRAM + numbers[at * _STRIDE + _LENGTH_AT]].tobytes()
            for at in range(count)
            if ports[at * _PORT_STRIDE + 1] == sender
        ], count


_STRIDE = ctypes.sizeof(_Header) // 4
_LENGTH_AT = _Header.length.offset // 4
_PORT_STRIDE = _ADDRESS_SIZE // 4
