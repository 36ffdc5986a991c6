"""Routes legacy TRACE to nflog while somebody of ours needs it, and puts everything back.

The loggers found at first are written to a state file before they are changed, so that whoever of
ours leaves last, or sweeps after a crash, can restore them. One file per network namespace. Those
that have another /run, as containers do, are known by their claims (``nf_log_claims``).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tracetui.collector.process import owner
from tracetui.collector.sources.nf_log_claims import Claim, Claims, turn
from tracetui.errors import Failure
from tracetui.kernel import netns, nf_log, writing

STATE_LOCK_SECONDS = 3.0
"""Seconds that another one that looks at the loggers is waited for; it takes milliseconds."""
_BINDING_RETRY_SECONDS = 0.01
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
        self._claims = Claims()
        self._taken: dict[str, Any] = {}
        """The record, while this process needs the binding."""

    def take(self, receives: bool = True) -> None:
        """Bind IPv4 and IPv6 to nfnetlink_log; raises Failure and changes nothing if it can't.

        ``receives`` says whether this process holds nflog's group 0, or waits for it.
        """
        if all(nf_log.read(family) is None for family in nf_log.SYSCTL_FAMILIES):
            raise Failure("this kernel has no net.netfilter.nf_log to bind")
        self._claims.receives = receives
        with turn(), self._locked() as record:
            if not record or self._is_of_another(record):
                record = {"saved": self._found(), "owners": []}
            if self._owner not in record["owners"]:
                record["owners"].append(self._owner)
            self._save(record)
            self._taken = record
            saved = _saved_in(record)
            self._claims.make(Claim(saved, receives))
            try:
                for family, logger in saved.items():
                    if logger is not None:
                        nf_log.write(family, nf_log.NETLINK_LOGGER)
            except Failure:
                self._leave(record)
                self._forget()
                raise

    def why_not(self) -> str:
        """Tell why :meth:`take` would fail, as far as looking tells; empty if nothing does."""
        state = self._state if self._state.exists() else self._state.parent
        return nf_log.why_not_writable() or writing.why_not(state)

    def is_received_by_another(self) -> bool:
        """Whether another tracetui, wherever it runs, holds nflog's group 0 of this namespace."""
        return any(claim.receives for claim in self._claims.others())

    def give_back(self) -> None:
        """Restore what was found at first, unless another live collector needs the binding.

        Raises Failure; what can be restored is restored all the same.
        """
        if not (self._taken or self._path.exists()):
            return
        with turn():
            try:
                with self._locked() as record:
                    self._leave(record or self._taken)
            except Failure:
                if not self._claims.others():
                    _restore(_saved_in(self._taken))
                raise
            finally:
                self._forget()

    def sweep(self) -> bool:
        """Restore after collectors that died; True if something was restored. Raises Failure."""
        fresh = self._path.with_suffix(".new")
        if not (self._path.exists() or fresh.exists()):
            return False
        with turn(), self._locked() as record:
            # Left by one that was killed before it could give the record its name.
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
            return self._leave(record)

    def flush(self) -> bool:
        """Sweep, and give families that were left bound without a record their own logger.

        A container that was killed takes its /run along. Raises Failure.
        """
        is_swept = self.sweep()
        if not self.left_behind():
            return is_swept
        with turn():
            left = self.left_behind()
            _restore({family: nf_log.own_logger(family) for family in left})
        return is_swept or bool(left)

    def left_behind(self) -> list[int]:
        """The families that are bound to nfnetlink_log though nobody listens to any group of it.

        What they get is lost. A program that is there for it, ulogd for instance, has a group.
        """
        if self._claims.are_others_listening() is not False:
            return []
        return [
            family
            for family in nf_log.SYSCTL_FAMILIES
            if nf_log.read(family) == nf_log.NETLINK_LOGGER
        ]

    def _forget(self) -> None:
        self._claims.withdraw()
        self._taken = {}

    def _found(self) -> dict[str, str | None]:
        """Return the logger of each family before the first tracetui came; None for not known."""
        others = self._claims.others()
        is_anybody_there = self._claims.are_others_listening() is not False
        loggers: dict[str, str | None] = {}
        for family in nf_log.SYSCTL_FAMILIES:
            logger = nf_log.read(family)
            if logger == nf_log.NETLINK_LOGGER and others:
                logger = others[0].originals.get(family) or logger
            elif logger == nf_log.NETLINK_LOGGER and not is_anybody_there:
                logger = nf_log.own_logger(family)
            loggers[str(family)] = logger
        return loggers

    def _leave(self, record: dict[str, Any]) -> bool:
        """Take this owner and dead ones off the record; the last one restores. Raises Failure."""
        owners = self._live(record)
        if owners:
            record["owners"] = owners
            # Without room for the new record the old one stands: dead owners do no harm in it.
            with contextlib.suppress(Failure):
                self._save(record)
            return False
        # Others without a part in this record know from claims what it says.
        is_last = not self._claims.others()
        if is_last:
            _restore(_saved_in(record))
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise Failure(f"{self._path}: {error.strerror}; remove it") from None
        return bool(record) and is_last

    def _live(self, record: dict[str, Any]) -> list[str]:
        """The other owners on a record that may be alive, by their pids and by what they hold."""
        owners = [name for name in record.get("owners", ()) if name != self._owner]
        live = [name for name in owners if owner.Owner.parse(name) and not owner.is_dead(name)]
        # Of another pid namespace's the first tells nothing; but a live one has a group.
        return live if self._claims.are_others_listening() is not False else []

    def _is_of_another(self, record: dict[str, Any]) -> bool:
        """Whether a record was left about a namespace that is gone, whose inode this one got."""
        bound = [nf_log.read(family) == nf_log.NETLINK_LOGGER for family in nf_log.SYSCTL_FAMILIES]
        return not self._live(record) and self._owner not in record["owners"] and not any(bound)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[dict[str, Any]]:
        """The state record, with every other collector kept out; raises Failure."""
        try:
            self._state.mkdir(mode=0o700, exist_ok=True)
            fd = os.open(self._state, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise Failure(f"{self._state}: {error.strerror}; remove it") from None
        try:
            status = os.fstat(fd)
            if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
                raise Failure(f"{self._state} is open to others; remove it")
            self._take(fd)
            yield self._load()
        finally:
            os.close(fd)

    def _take(self, fd: int) -> None:
        """Take the lock of the state folder, waited for so long at most; raises Failure."""
        end = time.monotonic() + STATE_LOCK_SECONDS
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() > end:
                    raise Failure(f"{self._state} is locked by another process") from None
                time.sleep(_BINDING_RETRY_SECONDS)
            else:
                return

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


def _saved_in(record: Mapping[str, Any]) -> dict[int, str | None]:
    """Read from a record the logger that was bound to each family; None where it has none."""
    return {family: record.get("saved", {}).get(str(family)) for family in nf_log.SYSCTL_FAMILIES}


def _restore(loggers: Mapping[int, str | None]) -> None:
    """Bind families to loggers again, each even if another one fails; raises Failure.

    Somebody who bound another logger meanwhile meant it.
    """
    errors: list[str] = []
    for family, logger in loggers.items():
        if logger is not None and nf_log.read(family) == nf_log.NETLINK_LOGGER:
            try:
                nf_log.write(family, logger)
            except Failure as error:
                errors.append(str(error))
    if errors:
        raise Failure("; ".join(errors))


def _is_file(fd: int) -> bool:
    return stat.S_ISREG(os.fstat(fd).st_mode)


def _is_sound(value: object) -> bool:
    """Whether a record says what was bound, and names owners."""
    if not isinstance(value, dict):
        return False
    saved, owners = value.get("saved"), value.get("owners")
    if not isinstance(saved, dict) or not isinstance(owners, list):
        return False
    loggers = [saved.get(str(family)) for family in nf_log.SYSCTL_FAMILIES]
    return all(isinstance(name, str) for name in owners) and all(
        logger is None or (isinstance(logger, str) and _LOGGER.fullmatch(logger))
        for logger in loggers
    )
