"""Routes legacy TRACE to nflog while somebody of ours needs it, and puts everything back.

The loggers found at first are written to a state file before they are changed, so that whoever of
ours leaves last, or sweeps after a crash, can restore them. One file per network namespace.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tracetui.collector import owner
from tracetui.errors import Failure
from tracetui.kernel import netns, nf_log

_MAX_RECORD = 1 << 20
"""Characters of a record; a longer one is not ours."""
_LOGGER = re.compile(r"[A-Za-z0-9_.-]{1,64}")
STATE = Path("/run/tracetui")
"""0700 and root's own; /run is a tmpfs, so nothing outlives the kernel it describes."""


class NfLogBinding:
    """The nf_log binding of the namespace this process is in, shared by every collector there."""

    def __init__(self, owner_text: str, state: Path = STATE) -> None:
        self._owner = owner_text
        self._state = state
        self._path = state / f"nf_log-{netns.name_for_ever()}.json"

    def take(self) -> None:
        """Bind IPv4 and IPv6 to nfnetlink_log; raises Failure and changes nothing if it can't."""
        if all(nf_log.read(family) is None for family in nf_log.FAMILIES):
            raise Failure("this kernel has no net.netfilter.nf_log to bind")
        with self._locked() as record:
            if not record or self._is_of_another(record):
                record = {"saved": {str(f): nf_log.read(f) for f in nf_log.FAMILIES}, "owners": []}
            if self._owner not in record["owners"]:
                record["owners"].append(self._owner)
            self._save(record)
            try:
                for family in nf_log.FAMILIES:
                    if record["saved"].get(str(family)) is not None:
                        nf_log.write(family, nf_log.NETLINK_LOGGER)
            except Failure:
                self._leave(record)
                raise

    def sharers(self) -> list[str]:
        """The other live owners that need the binding now."""
        if not self._path.exists():
            return []
        with self._locked() as record:
            return self._others(record)

    def give_back(self) -> None:
        """Restore what was found at first, unless another live collector needs the binding."""
        if not self._path.exists():
            return
        with self._locked() as record:
            self._leave(record)

    def sweep(self) -> bool:
        """Restore after collectors that died; True if something was restored."""
        fresh = self._path.with_suffix(".new")
        if not (self._path.exists() or fresh.exists()):
            return False
        with self._locked() as record:
            # Left by one that was killed before it could give the record its name.
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
            return self._leave(record)

    def _leave(self, record: dict[str, Any]) -> bool:
        """Take this owner and dead ones off the record; the last one restores."""
        others = self._others(record)
        if others:
            record["owners"] = others
            # Without room for the new record the old one stands: dead owners do no harm in it.
            with contextlib.suppress(Failure):
                self._save(record)
            return False
        for family in nf_log.FAMILIES:
            saved = record.get("saved", {}).get(str(family))
            # Somebody who bound another logger meanwhile meant it.
            if saved is not None and nf_log.read(family) == nf_log.NETLINK_LOGGER:
                nf_log.write(family, saved)
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise Failure(f"{self._path}: {error.strerror}; remove it") from None
        return bool(record)

    def _others(self, record: dict[str, Any]) -> list[str]:
        owners = [one for one in record.get("owners", ()) if one != self._owner]
        return [one for one in owners if owner.Owner.parse(one) and not owner.is_dead(one)]

    def _is_of_another(self, record: dict[str, Any]) -> bool:
        """Whether a record was left about a namespace that is gone, whose inode this one got."""
        bound = [nf_log.read(family) == nf_log.NETLINK_LOGGER for family in nf_log.FAMILIES]
        return not self._others(record) and self._owner not in record["owners"] and not any(bound)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[dict[str, Any]]:
        """The state record, with every other collector kept out; raises Failure."""
        try:
            self._state.mkdir(mode=0o700, exist_ok=True)
            fd = os.open(self._state, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise Failure(f"{self._state}: {error.strerror}; remove it") from None
        try:
            found = os.fstat(fd)
            if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
                raise Failure(f"{self._state} is open to others; remove it")
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield self._load()
        finally:
            os.close(fd)

    def _load(self) -> dict[str, Any]:
        """The record; empty for what is none, or is no file of ours."""
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(fd) as file:
                value = json.loads(file.read(_MAX_RECORD) if _is_file(fd) else "")
        except (OSError, ValueError, RecursionError):
            return {}
        return value if _is_sound(value) else {}

    def _save(self, record: dict[str, Any]) -> None:
        fresh = self._path.with_suffix(".new")
        try:
            fresh.unlink(missing_ok=True)
            fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(fd, "w") as file:
                json.dump(record, file)
            fresh.replace(self._path)
        except OSError as error:
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise Failure(f"{self._path}: {error.strerror}") from None


def _is_file(fd: int) -> bool:
    return stat.S_ISREG(os.fstat(fd).st_mode)


def _is_sound(value: object) -> bool:
    """Whether a record says what was bound, and names owners."""
    if not isinstance(value, dict):
        return False
    saved, owners = value.get("saved"), value.get("owners")
    if not isinstance(saved, dict) or not isinstance(owners, list):
        return False
    loggers = [saved.get(str(family)) for family in nf_log.FAMILIES]
    return all(isinstance(one, str) for one in owners) and all(
        one is None or (isinstance(one, str) and _LOGGER.fullmatch(one)) for one in loggers
    )
