"""Owners of rules: the tag in a rule's comment names one process for ever."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from tracetui.kernel import process

UNATTENDED = "unattended"
"""Owner of rules that no process watches: their expiry ends them."""


class Owner(NamedTuple):
    """A live collector, by pid, start time (clock ticks after boot) and pid namespace (inode)."""

    pid: int
    start: int
    pid_namespace: int

    @classmethod
    def this_process(cls) -> Owner:
        """The owner that rules of this process bear."""
        pid = os.getpid()
        return cls(pid, process.start_time(pid) or 0, process.pid_namespace())

    @classmethod
    def parse(cls, text: str) -> Owner | None:
        """The owner a tag names; None for one that names no process."""
        matched = re.fullmatch(r"([0-9]{1,20})\.([0-9]{1,20})\.([0-9]{1,20})", text)
        return cls(*(int(part) for part in matched.groups())) if matched else None

    def __str__(self) -> str:
        return f"{self.pid}.{self.start}.{self.pid_namespace}"


def is_dead(text: str) -> bool:
    """Whether a tag's owner is known to be gone.

    A process of another pid namespace, a container's, can be looked up from the node's own only;
    elsewhere it counts as alive, and its rules expire. So does one that can't be looked up, for
    want of descriptors for instance: what a live one owns must not be swept.
    """
    owner = Owner.parse(text)
    if owner is None:
        return False
    try:
        if owner.pid_namespace == process.pid_namespace():
            return not process.is_same_start(process.start_time(owner.pid), owner.start)
        if not process.sees_every_process():
            return False
        start = process.start_time_in(owner.pid_namespace, owner.pid)
        return not process.is_same_start(start, owner.start)
    except OSError:
        return False


def unattended() -> str:
    """A new owner for one rule that outlives this command."""
    return f"{UNATTENDED}.{os.urandom(3).hex()}"
