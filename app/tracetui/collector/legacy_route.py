"""Where hops of legacy tables reach us: nflog with the nf_log binding, else the kernel log."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple, Optional

from tracetui.collector.nf_log_binding import NfLogBinding
from tracetui.collector.sources import Source
from tracetui.errors import Failure
from tracetui.kernel import netns
from tracetui.kernel.kmsg import KernelLog
from tracetui.kernel.legacy_tables import registered_tables
from tracetui.kernel.netlink import NfLog

Say = Callable[[str], None]


class Change(NamedTuple):
    """What the receive loop has to do when the route changed."""

    opened: Optional[Source] = None
    """To be listened to from now on."""
    closed: Optional[Source] = None
    """To be drained and closed."""


class LegacyRoute:
    """Opened with the first rule of ours that legacy tables can see, closed after the last.

    Safe to use from several threads; the sources it opens are read by the receive loop.
    """

    def __init__(self, choice: str, binding: NfLogBinding, say: Say) -> None:
        self.detail = ""
        """Why hops do not come through nflog; empty while they do, or need not."""
        self._wants_nflog = choice in ("auto", "nflog")
        self._may_fall_back = choice == "auto"
        self._binding = binding
        self._say = say
        self._lock = threading.Lock()
        self._source: Source | None = None
        self._holds_binding = False

    def is_needed(self, backend: str) -> bool:
        """Whether packets traced by a rule of ``backend`` can cross legacy tables."""
        used = registered_tables(4) + registered_tables(6)
        return self._wants_nflog and (backend == "legacy" or bool(used))

    def open(self) -> Change:
        """Open the route, or take nflog now if it could not be had so far."""
        with self._lock:
            if self._source is not None and self._source.name == "nflog":
                return Change()
            try:
                opened = self._nflog()
            except Failure as error:
                return Change() if self.detail else self._do_without(str(error))
            fallback, self._source, self.detail = self._source, opened, ""
            return Change(opened, fallback)

    def close(self) -> Change:
        """Restore the binding; the source is to be closed once it is drained."""
        with self._lock:
            source, self._source, self.detail = self._source, None, ""
            if self._holds_binding:
                self._holds_binding = False
                try:
                    self._binding.give_back()
                except Failure as error:
                    self._say(f"nf_log was NOT restored: {error}; `tracetui flush` tries again")
            return Change(closed=source)

    def lose_source(self) -> None:
        """Note that the receive loop closed the source; :meth:`open` opens another."""
        with self._lock:
            self._source, self.detail = None, ""

    def states(self) -> list[Mapping[str, str]]:
        """What nflog is, while it is not an open source."""
        source = self._source
        if not self._wants_nflog or (source is not None and source.name == "nflog"):
            return []
        if self.detail:
            return [{"name": "nflog", "state": "failed", "detail": self.detail}]
        return [{"name": "nflog", "state": "waiting", "detail": "opens with the first rule"}]

    def _nflog(self) -> Source:
        receiver = NfLog()
        try:
            self._binding.take()
        except Failure:
            receiver.close()
            raise
        self._holds_binding = True
        return Source("nflog", receiver)

    def _do_without(self, why: str) -> Change:
        """Nflog can't be had: leave it to another tracetui, or read the kernel log."""
        try:
            if self._binding.sharers():
                # It must not be unbound when the other one leaves: then it is our turn.
                self._binding.take()
                self._holds_binding = True
                self.detail = "another tracetui receives this namespace's legacy hops"
                self._say(f"{self.detail}; they come here when it ends")
                return Change()
        except Failure as error:
            why += f"; {error}"
        return self._fall_back(why)

    def _fall_back(self, why: str) -> Change:
        self.detail = why
        if not self._may_fall_back:
            self._say(f"legacy hops can't be shown: {why}")
            return Change()
        try:
            self._source = Source("kmsg", KernelLog())
        except Failure as second:
            self.detail += f"; {second}"
            self._say(f"legacy hops can't be shown: {self.detail}")
            return Change()
        if not netns.is_initial():
            self.detail += "; /dev/kmsg shows other namespaces only with nf_log_all_netns=1"
        self._say(f"legacy hops come from the kernel log: {self.detail}")
        return Change(self._source)
