"""Where hops of legacy tables reach us: nflog with the nf_log binding, else the kernel log."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from tracetui.collector.nf_log_binding import NfLogBinding
from tracetui.collector.sources import Source
from tracetui.errors import Failure
from tracetui.kernel import netns, xtables
from tracetui.kernel.kmsg import KernelLog
from tracetui.kernel.netlink import NfLog

Say = Callable[[str], None]


class LegacyRoute:
    """Opened with the first rule of ours that legacy tables can see, closed after the last.

    Safe to use from several threads; the sources it opens are read by the receive loop.
    """

    def __init__(self, choice: str, binding: NfLogBinding, say: Say) -> None:
        self.detail = ""
        """Why the kernel log is used, or why nothing is."""
        self.failed = False
        self._wants_nflog = choice in ("auto", "nflog")
        self._may_fall_back = choice == "auto"
        self._binding = binding
        self._say = say
        self._lock = threading.Lock()
        self._source: Source | None = None
        self._bound = False

    @property
    def is_open(self) -> bool:
        """Whether legacy hops reach us, or were found not to."""
        return self._source is not None or self.failed

    def is_needed(self, backend: str) -> bool:
        """Whether packets traced by a rule of ``backend`` can cross legacy tables."""
        used = xtables.legacy_tables(4) + xtables.legacy_tables(6)
        return self._wants_nflog and (backend == "legacy" or bool(used))

    def open(self) -> Source | None:
        """Open the route; the new source, or None if it is open already or can't be had."""
        with self._lock:
            if self.is_open:
                return None
            try:
                self._source = self._nflog()
            except Failure as error:
                self._source = self._fall_back(error)
            self.failed = self._source is None
            return self._source

    def close(self) -> Source | None:
        """Restore the binding; the source that is to be closed once it is drained, if any."""
        with self._lock:
            source, self._source = self._source, None
            self.failed, self.detail = False, ""
            if self._bound:
                self._binding.give_back()
                self._bound = False
            return source

    def states(self) -> list[Mapping[str, str]]:
        """What nflog is, while it is not an open source."""
        if not self._wants_nflog or (self._source is not None and self._bound):
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
        self._bound = True
        return Source("nflog", receiver)

    def _fall_back(self, error: Failure) -> Source | None:
        self.detail = str(error)
        if not self._may_fall_back:
            self._say(f"legacy hops can't be shown: {error}")
            return None
        try:
            source = Source("kmsg", KernelLog())
        except Failure as second:
            self.detail += f"; {second}"
            self._say(f"legacy hops can't be shown: {self.detail}")
            return None
        if not netns.is_initial():
            self.detail += "; /dev/kmsg shows other namespaces only with nf_log_all_netns=1"
        self._say(f"legacy hops come from the kernel log: {self.detail}")
        return source
