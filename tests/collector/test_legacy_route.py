"""Who receives legacy hops where several want to, and what the others do meanwhile."""

from __future__ import annotations

import pytest

from tracetui.collector.sources.legacy_source import ANOTHER, LegacySource
from tracetui.collector.sources.nf_log_binding import NfLogBinding
from tracetui.kernel import netns, nf_log
from tracetui.kernel.netlink import NfLog

pytestmark = pytest.mark.kernel

OWN = {2: "nf_log_ipv4", 10: "nf_log_ipv6"}
BOUND = {2: nf_log.NETLINK_LOGGER, 10: nf_log.NETLINK_LOGGER}


class Route:
    """A route with a record of its own, as of a container, and what the user was told."""

    def __init__(self, name: str, state) -> None:
        self.told: list[str] = []
        binding = NfLogBinding(name, state / name)
        self._route = LegacySource("auto", binding, self.told.append)
        self._sources: list = []

    def refresh(self) -> str:
        """Open it, or try again; the sources that are listened to from now on."""
        return self._follow(self._route.open())

    def leave(self) -> str:
        return self._follow(self._route.close())

    def _follow(self, change) -> str:
        if change.opened is not None:
            self._sources.append(change.opened)
        if change.closed is not None:
            self._sources.remove(change.closed)
            change.closed.close()
        return " ".join(source.name for source in self._sources)


def test_who_waits_takes_over_and_is_told_once(namespace, tmp_path):
    def run():
        first, second = Route("first", tmp_path), Route("second", tmp_path)
        assert first.refresh() == "nflog"
        for _ in range(3):
            assert second.refresh() == ""
        assert second.told == [f"{ANOTHER}; they come here when it ends"]
        assert first.leave() == ""
        assert namespace.loggers() == BOUND
        assert second.refresh() == "nflog"
        assert second.leave() == ""
        assert first.told == []

    netns.call_inside(netns.resolve(namespace.name), run)
    assert namespace.loggers() == OWN


def test_who_waits_for_what_a_program_takes_reads_the_kernel_log(namespace, tmp_path):
    """Group 0 is anybody's between two of ours; then there is nothing to wait for."""

    def run():
        first, second = Route("first", tmp_path), Route("second", tmp_path)
        first.refresh()
        second.refresh()
        first.leave()
        program = NfLog()
        assert second.refresh() == "kmsg"
        assert "legacy hops come from the kernel log" in second.told[-1]
        assert namespace.loggers() == OWN
        assert second.refresh() == "kmsg"
        assert len(second.told) == 2
        program.close()
        assert second.refresh() == "nflog"
        assert namespace.loggers() == BOUND
        second.leave()

    netns.call_inside(netns.resolve(namespace.name), run)
    assert namespace.loggers() == OWN


def test_who_reads_the_kernel_log_leaves_it_where_another_tracetui_receives(namespace, tmp_path):
    """The kernel prints no hop then: they go to the other one."""

    def run():
        first, second = Route("first", tmp_path), Route("second", tmp_path)
        program = NfLog()
        assert first.refresh() == second.refresh() == "kmsg"
        program.close()
        assert first.refresh() == "nflog"
        assert second.refresh() == ""
        assert ANOTHER in second.told[-1]
        first.leave()
        second.leave()

    netns.call_inside(netns.resolve(namespace.name), run)
    assert namespace.loggers() == OWN
