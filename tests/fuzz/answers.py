"""An nf_tables that answers what it is told to, whatever it is asked."""

from __future__ import annotations

from collections.abc import Iterable

from tracetui.kernel.netlink import KERNEL
from tracetui.kernel.nf_tables import NfTables, Places


class Answers:
    """Datagrams in place of a netlink socket; when they are used up, nothing comes in time."""

    def __init__(self, datagrams: Iterable[bytes]) -> None:
        self._datagrams = iter(datagrams)

    def send(self, request: bytes, /) -> int:
        return len(request)

    def recvfrom(self, size: int, /) -> tuple[bytes, tuple[int, int]]:
        for datagram in self._datagrams:
            return datagram[:size], (KERNEL, 0)
        raise TimeoutError("timed out")

    def close(self) -> None:
        """Nothing."""


def places(datagrams: Iterable[bytes]) -> Places:
    """What the ruleset is by these answers; raises Failure."""
    return NfTables(Answers(datagrams)).places()
