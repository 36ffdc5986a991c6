"""What a user wants of a packet: messages to those who can do it."""

from __future__ import annotations

from typing import Optional

from textual.message import Message

from tracetui.model.trace.packet import Packet


class ChainRequested(Message):
    """The user wants to see a hop in its chain."""

    def __init__(self, packet: Packet, hop: int, number: Optional[int]) -> None:
        super().__init__()
        self.packet = packet
        self.hop = hop
        self.number = number
        """Of the rule meant; None for the hop's own place."""


class PacketAction(Message):
    """Something is to be done with the packet under the cursor."""

    def __init__(self, what: str, packet: Packet) -> None:
        super().__init__()
        self.what = what
        """``about``, ``copy`` or ``trace``."""
        self.packet = packet


class FilterRequested(Message):
    """Only what is like the packet under the cursor is to be shown, or anything but that."""

    def __init__(self, how: str, packet: Packet) -> None:
        super().__init__()
        self.how = how
        """``flow``, ``host`` or ``hide``."""
        self.packet = packet


class FindRequested(Message):
    """The user wants to look for a text."""


class NoticeRequested(Message):
    """The user is to be told something."""

    def __init__(self, text: str, severity: str = "information") -> None:
        super().__init__()
        self.text = text
        self.severity = severity


class CompareRequested(Message):
    """The user wants to see two packets side by side."""

    def __init__(self, one: Packet, other: Packet) -> None:
        super().__init__()
        self.one, self.other = one, other
