"""Messages: what the user asks for with the packet under the cursor."""

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
        """Rule number; None for the hop's own rule."""


class PacketAction(Message):
    """The user chose an action for the packet under the cursor."""

    def __init__(self, action: str, packet: Packet) -> None:
        super().__init__()
        self.action = action
        """``about``, ``copy`` or ``trace``."""
        self.packet = packet


class FilterRequested(Message):
    """The user wants to filter by the packet under the cursor."""

    def __init__(self, scope: str, packet: Packet) -> None:
        super().__init__()
        self.scope = scope
        """``flow``, ``host`` or ``hide``."""
        self.packet = packet


class FindRequested(Message):
    """The user wants to search for a text."""


class NoticeRequested(Message):
    """A notice is to be shown."""

    def __init__(self, text: str, severity: str = "information") -> None:
        super().__init__()
        self.text = text
        self.severity = severity


class CompareRequested(Message):
    """The user wants to see two packets side by side."""

    def __init__(self, first: Packet, second: Packet) -> None:
        super().__init__()
        self.first, self.second = first, second
