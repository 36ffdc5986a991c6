"""The sources a collector listens to, all at once, and what each of them lost."""

from __future__ import annotations

from typing import Protocol

from tracetui.protocol import frames

SOURCE_CHOICES = ("auto", "nftrace", "nflog", "kmsg")
RECORDS_AT_ONCE = 1024
"""Records taken from one source before the others have their turn: keeps their order close."""


class RecordSource(Protocol):
    """A receiver that hands out raw records without blocking."""

    def fileno(self) -> int:
        """The descriptor to select on."""
        ...

    def receive(self, limit: int) -> tuple[list[bytes], list[float], bool]:
        """Take at most ``limit`` records that arrived, when they were read, whether none is left.

        Times are seconds since the epoch.
        """
        ...

    def lost(self) -> int:
        """Records lost since the last call."""
        ...

    def close(self) -> None:
        """Give the descriptor back."""
        ...


class Source:
    """An open source: its records, its losses added up."""

    def __init__(self, name: str, receiver: RecordSource) -> None:
        self.name = name
        """``nftrace``, ``nflog`` or ``kmsg``."""
        self.lost = 0
        """Records lost since it was opened."""
        self.is_dry = True
        """Whether the last look at it found its end."""
        self.backend = "nft" if name == "nftrace" else "legacy"
        """The backend whose hops it carries."""
        self._receiver = receiver
        self.kind = _FRAME_KINDS[name]
        """The kind of the frames that carry its records."""

    def fileno(self) -> int:
        """The descriptor to select on."""
        return self._receiver.fileno()

    def take(self, limit: int = RECORDS_AT_ONCE) -> tuple[list[bytes], list[float]]:
        """Take at most ``limit`` records that had arrived, and when: seconds since the epoch."""
        records, times, self.is_dry = self._receiver.receive(limit)
        return records, times

    def newly_lost(self) -> int:
        """Records the kernel dropped since the last call."""
        new = self._receiver.lost()
        self.lost += new
        return new

    def close(self) -> None:
        """Give the descriptor back."""
        self._receiver.close()


_FRAME_KINDS = {
    "nflog": frames.NFLOG_RECORDS,
    "nftrace": frames.NFTRACE_RECORDS,
    "kmsg": frames.KMSG_RECORDS,
}
