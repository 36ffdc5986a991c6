"""Sends packets that were never seen before, or those of 16 flows; started by ``peers.py``.

``python sender.py DESTINATION PORT PROTO COUNT RATE``: RATE is packets a second, 0 for as many as
can be. With ``tcp`` each packet opens a connection of its own, with ``udp`` they belong to 16
flows. Prints how many packets a second it sent.
"""

from __future__ import annotations

import socket
import struct
import sys
import time

FLOWS = 16
SOURCE = "10.200.1.2"
_LONG = 0.0005
"""Seconds that are slept and not waited through: packets are sent one by one, not in bursts."""


def main() -> None:
    destination, port, proto, count, rate = sys.argv[1:]
    packet = bytearray(_packet(destination, int(port), proto))
    is_new = proto == "tcp"
    constant = _sum(packet)
    sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    sender.connect((destination, 0))
    pack, total, pace = struct.pack_into, int(count), int(rate)
    began = time.perf_counter()
    for number in range(total):
        if pace:
            due = began + number / pace
            while (ahead := due - time.perf_counter()) > 0:
                if ahead > _LONG:
                    time.sleep(ahead - _LONG)
        pack(">H", packet, 4, 1 + number % 65_535)
        port = 1024 + number % (60_000 if is_new else FLOWS)
        pack(">H", packet, 20, port)
        if is_new:
            sequence = number + 1
            pack(">I", packet, 24, sequence)
            # With a wrong one the connection would not be tracked, and no service be found.
            whole = constant + port + (sequence >> 16) + (sequence & 0xFFFF)
            whole = (whole & 0xFFFF) + (whole >> 16)
            pack(">H", packet, 36, ~(whole + (whole >> 16)) & 0xFFFF)
        sender.send(packet)
    print(f"{total / (time.perf_counter() - began):.0f}")


def _sum(packet: bytes) -> int:
    """The sum of what TCP's checksum is of (RFC 9293), as long as port and sequence are 0."""
    pseudo = packet[12:20] + struct.pack(">HH", socket.IPPROTO_TCP, len(packet) - 20)
    return sum(word for (word,) in struct.iter_unpack(">H", pseudo + packet[20:]))


def _packet(destination: str, port: int, proto: str) -> bytes:
    addresses = socket.inet_aton(SOURCE) + socket.inet_aton(destination)
    if proto == "udp":
        # Without a checksum, as UDP may be.
        inner = struct.pack(">HHHH", 0, port, 26, 0) + bytes(18)
    else:
        inner = struct.pack(">HHIIBBHHH", 0, port, 0, 0, 5 << 4, 2, 65_535, 0, 0)
    head = struct.pack(
        ">BBHHHBBH", 0x45, 0, 20 + len(inner), 0, 0, 64, 17 if proto == "udp" else 6, 0
    )
    return head + addresses + inner


if __name__ == "__main__":
    main()
