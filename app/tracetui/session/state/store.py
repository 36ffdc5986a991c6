"""The packets a session keeps: bounded, oldest out first, every one that goes is counted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from tracetui.model.trace.packet import Packet

DEFAULT_CAPACITY = 1_000_000
"""Hops kept."""


class PacketStore:
    """Packets in the order they began; ids grow by one from 1."""

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        self.capacity = capacity
        self.hops = 0
        """Hops in the packets kept."""
        self.evicted = 0
        """Packets that had to go to stay within the capacity."""
        self.on_evicted: Callable[[Packet], None] = lambda packet: None
        """Called with each of them."""
        self._packets: deque[Packet] = deque()
        self._changed: dict[int, Packet] = {}

    def __len__(self) -> int:
        return len(self._packets)

    def __iter__(self) -> Iterator[Packet]:
        return iter(self._packets)

    def __reversed__(self) -> Iterator[Packet]:
        return reversed(self._packets)

    @property
    def first_id(self) -> int:
        """The id of the oldest packet kept; one past the newest when there is none."""
        return self._packets[0].id if self._packets else self.evicted + 1

    def get(self, packet_id: int) -> Packet | None:
        """The packet of that id while it is kept."""
        index = packet_id - self.first_id
        return self._packets[index] if 0 <= index < len(self._packets) else None

    def took(self, packet: Packet, hops: int = 1) -> None:
        """Note that ``packet``, new or known, has so many more hops."""
        if not self._packets or packet.id > self._packets[-1].id:
            self._packets.append(packet)
        elif packet.id < self.first_id:
            return
        self.hops += hops
        self._changed[packet.id] = packet
        while self.hops > self.capacity and len(self._packets) > 1:
            evicted_packet = self._packets.popleft()
            self._changed.pop(evicted_packet.id, None)
            self.hops -= evicted_packet.length
            self.evicted += 1
            self.on_evicted(evicted_packet)

    def take_changed(self) -> list[Packet]:
        """Packets new or changed since the last call, in the order they first changed."""
        changed = list(self._changed.values())
        self._changed.clear()
        return changed
