"""The source of hops of legacy tables: nflog with the nf_log binding, else the kernel log."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import NamedTuple, Optional

from tracetui.collector.reactor.reactor import Say
from tracetui.collector.sources.nf_log_binding import NfLogBinding
from tracetui.collector.sources.sources import Source
from tracetui.errors import Failure
from tracetui.kernel import nf_log
from tracetui.kernel.kmsg import KernelLog
from tracetui.kernel.legacy_tables import registered_tables
from tracetui.kernel.netlink import NfLog

ANOTHER = "another tracetui receives this namespace's legacy hops"
GROUP_PATIENCE_SECONDS = 0.5
"""Seconds that group 0 may be nobody's that can be named: between two of ours it changes hands."""
_GROUP_PAUSE_SECONDS = 0.02


class SourceChange(NamedTuple):
    """The sources that the receive loop has to open and close after a change."""

    opened: Optional[Source] = None
    """The source to be listened to from now on."""
    closed: Optional[Source] = None
    """The source to be drained and closed."""


class LegacySource:
    """Opened with the first rule of ours that legacy tables can see, closed after the last.

    Safe to use from several threads; the sources it opens are read by the receive loop.
    """

    def __init__(self, choice: str, binding: NfLogBinding, say: Say) -> None:
        self.detail = ""
        """The reason why hops do not come through nflog; empty while they do, or need not."""
        self._wants_nflog = choice in ("auto", "nflog")
        self._may_fall_back = choice == "auto"
        self._binding = binding
        self._say = say
        self._lock = threading.Lock()
        self._source: Source | None = None
        self._holds_binding = False

    def is_needed(self, backend: str) -> bool:
        """Whether packets traced by a rule of ``backend`` can cross legacy tables."""
        if not self._wants_nflog or backend == "legacy":
            return self._wants_nflog
        try:
            return bool(registered_tables(4) + registered_tables(6))
        except Failure:
            # There may be some.
            return True

    def open(self) -> SourceChange:
        """Open the source, or take nflog now if it could not be had so far."""
        with self._lock:
            if self._source is not None and self._source.name == "nflog":
                return SourceChange()
            try:
                opened = self._nflog()
            except Failure as error:
                return self._do_without(str(error))
            fallback, self._source, self.detail = self._source, opened, ""
            return SourceChange(opened, fallback)

    def close(self) -> SourceChange:
        """Restore the binding; the source is to be closed once it is drained."""
        with self._lock:
            source, self._source, self.detail = self._source, None, ""
            self._give_back()
            return SourceChange(closed=source)

    def lose_source(self) -> None:
        """Note that the receive loop closed the source; :meth:`open` opens another."""
        with self._lock:
            self._source, self.detail = None, ""

    def states(self) -> list[Mapping[str, str]]:
        """Name, state and detail of nflog, while it is not an open source."""
        source = self._source
        if not self._wants_nflog or (source is not None and source.name == "nflog"):
            return []
        if self.detail:
            return [{"name": "nflog", "state": "failed", "detail": self.detail}]
        return [{"name": "nflog", "state": "waiting", "detail": "opens with the first rule"}]

    def _nflog(self) -> Source:
        receiver = self._group_0()
        try:
            self._binding.take()
        except Failure:
            receiver.close()
            raise
        self._holds_binding = True
        return Source("nflog", receiver)

    def _group_0(self) -> NfLog:
        """Nflog's group 0; raises Failure when it is clear that others have it."""
        # Who has fallen back waits for nothing: that would be at every refresh.
        has_fallen_back = bool(self.detail) and self.detail != ANOTHER
        end = time.monotonic() + (0 if has_fallen_back else GROUP_PATIENCE_SECONDS)
        while True:
            try:
                return NfLog()
            except Failure:
                if time.monotonic() >= end or self._binding.is_received_by_another():
                    raise
            time.sleep(_GROUP_PAUSE_SECONDS)

    def _do_without(self, why: str) -> SourceChange:
        """Nflog can't be had: leave it to another tracetui, or read the kernel log."""
        waited = self.detail == ANOTHER
        if self._binding.is_received_by_another():
            if waited:
                return SourceChange()
            try:
                # It must not be unbound when the other one leaves: then it is our turn.
                self._binding.take(receives=False)
            except Failure as error:
                why += f"; {error}"
            else:
                return self._wait()
        if self.detail and not waited:
            return SourceChange()
        self._give_back()
        return self._fall_back(why)

    def _wait(self) -> SourceChange:
        """Leave the hops to another tracetui until it ends, and the kernel log to itself."""
        self._holds_binding, self.detail = True, ANOTHER
        self._say(f"{ANOTHER}; they come here when it ends")
        fallback, self._source = self._source, None
        return SourceChange(closed=fallback)

    def _give_back(self) -> None:
        if not self._holds_binding:
            return
        self._holds_binding = False
        try:
            self._binding.give_back()
        except Failure as error:
            self._say(f"nf_log was NOT restored: {error}; `tracetui flush` tries again")

    def _fall_back(self, why: str) -> SourceChange:
        self.detail = why
        if not self._may_fall_back:
            self._say(f"legacy hops can't be shown: {why}")
            return SourceChange()
        try:
            self._source = Source("kmsg", KernelLog())
        except Failure as second:
            self.detail += f"; {second}"
            self._say(f"legacy hops can't be shown: {self.detail}")
            return SourceChange()
        if nf_log.has_every_namespace() is None:
            self.detail += "; /dev/kmsg shows other namespaces only with nf_log_all_netns=1"
        self._say(f"legacy hops come from the kernel log: {self.detail}")
        return SourceChange(self._source)
