"""Replies: the one answer of the collector to each command, with the command's id."""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple, Optional

from tracetui.errors import Failure
from tracetui.model.tracing.installed_rule import InstalledRule
from tracetui.protocol.events import INSTALLED_RULE, checked_as
from tracetui.protocol.frames import Frame


class ErrorKind(Enum):
    """The reason why a command was not done, or not all of it."""

    UNKNOWN_COMMAND = "unknown command"
    """The collector has no command of that name: it is of another version."""
    INVALID = "invalid"
    """A value that the command can't have."""
    BUSY = "busy"
    """Too many commands wait to be done already."""
    OVERTAKEN = "overtaken"
    """A flush or a trip of the guard came after it, and wins."""
    REFUSED = "refused"
    """A rule of safety forbids it: the guard tripped, the cost, the owner."""
    NOT_FOUND = "not found"
    """The rule is not there any more."""
    FAILED = "failed"
    """The node would not: iptables, modprobe or the kernel said no."""
    INTERNAL = "internal"
    """A fault of the collector's own."""
    GONE = "gone"
    """The collector ended, or ends, before it was done."""


class LeftRule(NamedTuple):
    """A rule that a command was meant for and that is as it was."""

    rule: InstalledRule
    why: str
    """Empty where notices told it already."""


class Outcome(NamedTuple):
    """The result of a command."""

    error: Optional[ErrorKind] = None
    """The kind of the error; None where the command was done."""
    text: str = ""
    """The reason why it was not done."""
    remedy: str = ""
    """The user's way out, where the text does not say it; may be empty."""
    rules: tuple[InstalledRule, ...] = ()
    """The rules it installed, extended or removed, as they are or were in the kernel."""
    undone: tuple[InstalledRule, ...] = ()
    """Rules of the command that had been installed, and were removed again as another failed."""
    left: tuple[LeftRule, ...] = ()
    """Rules it was meant for and that it could not change."""

    @property
    def why(self) -> str:
        """The text and the remedy in one sentence."""
        return f"{self.text}; {self.remedy}" if self.remedy else self.text


COMMAND_DONE = Outcome()
"""The outcome of a command that was done and concerns no rule."""


class Reply(NamedTuple):
    """The outcome of one command."""

    id: int
    """The command's."""
    outcome: Outcome

    def to_json(self) -> dict[str, Any]:
        """Return the payload of a REPLY frame; ``from_frame`` is the way back."""
        error, text, remedy, rules, undone, left = self.outcome
        return {
            "id": self.id,
            "error": None if error is None else error.value,
            "text": text,
            "remedy": remedy,
            "rules": [rule.to_json() for rule in rules],
            "undone": [rule.to_json() for rule in undone],
            "left": [{"rule": rule.to_json(), "why": why} for rule, why in left],
        }

    @classmethod
    def from_frame(cls, frame: Frame) -> Reply:
        """Build a reply from its frame; raises Failure for a malformed one."""
        value = checked_as(frame, _SHAPE)
        outcome = Outcome(
            _error_kind(value["error"]),
            value["text"],
            value["remedy"],
            tuple(map(InstalledRule.from_json, value["rules"])),
            tuple(map(InstalledRule.from_json, value["undone"])),
            tuple(
                LeftRule(InstalledRule.from_json(each["rule"]), each["why"])
                for each in value["left"]
            ),
        )
        return cls(value["id"], outcome)


_SHAPE = {
    "id": int, "error": (str, type(None)), "text": str, "remedy": str, "rules": [INSTALLED_RULE],
    "undone": [INSTALLED_RULE], "left": [{"rule": INSTALLED_RULE, "why": str}],
}  # fmt: skip


def _error_kind(name: Optional[str]) -> Optional[ErrorKind]:
    """Return the kind of that name; of one that only a newer collector knows, ``FAILED``."""
    if name is None:
        return None
    try:
        return ErrorKind(name)
    except ValueError:
        return ErrorKind.FAILED


class CommandRefused(Failure):
    """A command that ends with an outcome other than done."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.why)
        self.outcome = outcome


def refused(error: ErrorKind, text: str, remedy: str = "") -> CommandRefused:
    """Make the error that ends a command with this kind."""
    return CommandRefused(Outcome(error, text, remedy))
