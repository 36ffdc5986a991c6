"""A command that was given to a session, and its reply once that came."""

from __future__ import annotations

from typing import Optional

from tracetui.protocol.commands import Command
from tracetui.protocol.replies import Outcome


class SentCommand:
    """A command with its id; :attr:`outcome` is None until its one reply came."""

    def __init__(self, command_id: int, command: Command) -> None:
        self.id = command_id
        """As :attr:`Notice.command_id` names it."""
        self.command = command
        self.outcome: Optional[Outcome] = None

    @property
    def is_refused(self) -> bool:
        """Whether the reply says that it was not done."""
        return self.outcome is not None and self.outcome.error is not None
