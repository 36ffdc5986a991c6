"""Claims by which the tracetuis that need the nf_log binding of a namespace know each other.

They may have a /run and pids of their own, as in containers, and be killed at any moment. What all
of one network namespace see, what needs CAP_NET_ADMIN, and what the kernel takes back from the dead
is a group of nfnetlink_log: a claim is one, and its number says the rest.
"""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple, Optional

from tracetui.kernel import nf_log
from tracetui.kernel.netlink import LogGroup, NfLog

_FIRST = 0x7400
"""The number of the first group that can be a claim; few programs go beyond the tens."""
_TURN = _FIRST - 1
"""The group that is held while claims, loggers and the record are looked at and changed."""
CLAIM_TURN_SECONDS = 1.0
"""Seconds that another one's turn is waited for. It takes milliseconds, unless its process was
stopped; then whoever waits goes on, for the node's log must be given back."""
_CLAIM_PAUSE_SECONDS = 0.005
_SLOTS = 16
"""Claims that say the same can be so many."""
_ABSENT, _OWN_CLAIM, _NONE, _NETLINK = range(4)
"""Loggers that a family can have been bound to: not known, its own, none, nfnetlink_log."""


class Claim(NamedTuple):
    """The claim of one tracetui that needs the binding."""

    originals: Mapping[int, Optional[str]]
    """The logger of each family before the first of them came; None where it is not known."""
    receives: bool
    """Whether the claimant holds group 0; else it waits for the one that does."""

    @property
    def number(self) -> int:
        """Encode the claim as a number."""
        said = 0
        for family in nf_log.SYSCTL_FAMILIES:
            said = said << 2 | _kind_of(self.originals.get(family))
        return said << 1 | self.receives

    @classmethod
    def of(cls, number: int) -> Claim:
        """The claim that a number says."""
        kinds = number >> 1
        originals: dict[int, Optional[str]] = {}
        for family in reversed(nf_log.SYSCTL_FAMILIES):
            originals[family] = _logger_of(kinds & 3, family)
            kinds >>= 2
        return cls(originals, bool(number & 1))


_CLAIMS = range(_FIRST, _FIRST + (1 << 5) * _SLOTS)


class Claims:
    """The claims of a namespace, and the one that this process makes there."""

    def __init__(self) -> None:
        self.receives = False
        """Whether this process holds group 0."""
        self._mine: Optional[LogGroup] = None

    def make(self, claim: Claim) -> None:
        """Make a claim in place of the one made before.

        Without one, for want of a group or a descriptor, others don't know of this process.
        """
        before, self._mine = self._mine, None
        first = _FIRST + claim.number * _SLOTS
        for group in range(first, first + _SLOTS):
            with contextlib.suppress(OSError):
                self._mine = LogGroup(group)
                break
        if before is not None:
            before.close()

    def withdraw(self) -> None:
        """Take the claim of this process back."""
        if self._mine is not None:
            self._mine.close()
        self._mine, self.receives = None, False

    def others(self) -> list[Claim]:
        """The claims of other processes."""
        return [
            Claim.of((group - _FIRST) // _SLOTS)
            for group in self._groups_of_others()
            if group in _CLAIMS
        ]

    def are_others_listening(self) -> Optional[bool]:
        """Whether any other socket holds a group, for whatever; None if the kernel doesn't tell."""
        if nf_log.holders() is None:
            return None
        return bool(self._groups_of_others())

    def _groups_of_others(self) -> list[int]:
        mine = {_TURN}
        if self._mine is not None:
            mine.add(self._mine.group)
        if self.receives:
            mine.add(NfLog.GROUP)
        return [group for group in nf_log.holders() or () if group not in mine]


@contextlib.contextmanager
def turn() -> Iterator[None]:
    """Keep every other tracetui of the namespace from looking at claims, or changing loggers."""
    held = _taken(time.monotonic() + CLAIM_TURN_SECONDS)
    try:
        yield
    finally:
        if held is not None:
            held.close()


def _taken(end: float) -> Optional[LogGroup]:
    while True:
        try:
            return LogGroup(_TURN)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EBUSY) or time.monotonic() > end:
                return None
        time.sleep(_CLAIM_PAUSE_SECONDS)


def _kind_of(logger: Optional[str]) -> int:
    return {None: _ABSENT, nf_log.NO_LOGGER: _NONE, nf_log.NETLINK_LOGGER: _NETLINK}.get(
        logger, _OWN_CLAIM
    )


def _logger_of(kind: int, family: int) -> Optional[str]:
    if kind == _OWN_CLAIM:
        return nf_log.own_logger(family)
    return {_NONE: nf_log.NO_LOGGER, _NETLINK: nf_log.NETLINK_LOGGER}.get(kind)
