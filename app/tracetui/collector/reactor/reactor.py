"""The receive loop, as its parts see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

Say = Callable[[str], None]
"""Takes a warning for the user, from any thread."""
SourceT = TypeVar("SourceT", contravariant=True)


class Reactor(Protocol[SourceT]):
    """The loop of the collector; every method is safe from every thread, and none blocks.

    What they ask for is done by the loop's own thread, in the order in which it was asked for.
    """

    def say(self, severity: str, text: str) -> None:
        """Send the user one sentence; ``severity`` as a NOTICE has it."""
        ...

    def send(self, kind: int, value: Mapping[str, Any]) -> None:
        """Send a JSON frame to the session."""
        ...

    def listen(self, source: SourceT) -> None:
        """Receive hops from a source from now on."""
        ...

    def drop(self, source: SourceT) -> None:
        """Take what a source still holds, and close it."""
        ...

    def mute(self) -> None:
        """Close every source: what comes is more than the node should pay for."""
        ...

    def unmute(self) -> None:
        """Open the sources again; nflog waits for a rule of ours."""
        ...

    def send_status(self) -> None:
        """Send the state at the next turn."""
        ...

    def relist(self) -> None:
        """Have the rules listed soon, and sent."""
        ...

    def read_rulesets(self) -> None:
        """Have the rulesets of both backends read soon."""
        ...
