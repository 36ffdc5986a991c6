"""A program behind NFQUEUE that has each packet pass its hook once more (NF_REPEAT)."""

from __future__ import annotations

import socket
import struct
import threading
from types import TracebackType
from typing import Optional

from tracetui.lab.network import Lab

_NETFILTER, _SUBSYSTEM = 12, 3 << 8
_PACKET, _VERDICT, _CONFIG = (_SUBSYSTEM | number for number in range(3))
_REQUEST = 1
_REPEAT = 4
SEEN_MARK = 0x77
"""Of packets that passed it: a rule that looks for no mark queues them once."""


class Repeater:
    """Answers one queue of the lab's node while the context lasts."""

    def __init__(self, lab: Lab, queue: int) -> None:
        def opened() -> socket.socket:
            return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER)

        self._socket = lab.inside(lab.node, opened)
        self._socket.settimeout(0.1)
        self._queue = queue
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._answer, daemon=True)

    def __enter__(self) -> Repeater:
        bind = struct.pack(">BBH", 1, 0, 0)
        self._send(_CONFIG, _attribute(1, bind))
        self._send(_CONFIG, _attribute(2, struct.pack(">IB", 0xFFFF, 2)))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()

    def _send(self, kind: int, attributes: bytes) -> None:
        body = struct.pack(">BBH", 0, 0, self._queue) + attributes
        self._socket.send(struct.pack("=IHHII", 16 + len(body), kind, _REQUEST, 0, 0) + body)

    def _answer(self) -> None:
        while not self._stop.is_set():
            try:
                data = self._socket.recv(1 << 17)
            except OSError:
                continue
            if struct.unpack_from("=H", data, 4)[0] != _PACKET:
                continue
            # The first attribute is struct nfqnl_msg_packet_hdr, which begins with the packet's id.
            (number,) = struct.unpack_from(">I", data, 24)
            mark = _attribute(3, struct.pack(">I", SEEN_MARK))
            self._send(_VERDICT, _attribute(2, struct.pack(">II", _REPEAT, number)) + mark)


def _attribute(kind: int, value: bytes) -> bytes:
    size = 4 + len(value)
    return struct.pack("=HH", size, kind) + value + bytes(-size % 4)
