"""The errors a user can meet.

    TracetuiError
    ├── UsageError            the text typed has no valid meaning; exit status 2
    │   └── InvalidRule       which field of a TRACE rule is wrong, and why
    └── Failure               the request could not be carried out; exit status 1
        ├── NotPermitted      a privilege is missing
        ├── KernelRefused     the kernel answered with an error
        ├── NotStarted        a command could not be run at all
        ├── CommandFailed     an iptables command ended badly
        └── CollectorGone     the privileged process ended

Whoever raises writes one sentence with the remedy in it; only ``cli`` prints and exits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class TracetuiError(Exception):
    """Something a user can act on; its text is one plain sentence."""


class UsageError(TracetuiError):
    """The text typed has no valid meaning."""


class InvalidRule(UsageError):
    """A TRACE rule with at least one field that no command may be run with."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self.fields = dict(fields)
        """Field name to the reason it is wrong."""
        super().__init__("; ".join(f"{name}: {why}" for name, why in self.fields.items()))


class Failure(TracetuiError):
    """The request could not be carried out."""


class NotPermitted(Failure):
    """A privilege is missing."""


class KernelRefused(Failure):
    """The kernel answered a question, or an order, with an error."""

    def __init__(self, text: str, number: int) -> None:
        super().__init__(text)
        self.number = number
        """The error's number (errno(3))."""


class NotStarted(Failure):
    """A command that never ran: for want of it, of descriptors, of memory or of processes."""


class CommandFailed(Failure):
    """A command ended with a status other than 0, or not at all."""

    def __init__(self, argv: Sequence[str], status: int | None, stderr: str) -> None:
        self.argv = tuple(argv)
        self.status = status
        """Exit status; None when the command was stopped by our time limit."""
        self.stderr = stderr
        ended = "did not end in time" if status is None else f"exit status {status}"
        reason = f": {stderr.strip().splitlines()[-1]}" if stderr.strip() else ""
        super().__init__(f"{' '.join(argv)}: {ended}{reason}")


class CollectorGone(Failure):
    """The privileged process ended while it was still needed."""
