"""The receive loop: hops up, commands down, the guard between them.

The loop's thread receives and counts; whatever can block (iptables, listings) runs in two workers,
one of which is kept for removing rules. Nothing here decodes a packet.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple, Optional

from tracetui.collector.commands import CommandHandler
from tracetui.collector.guard.alarm import Alarm
from tracetui.collector.reactor.mailbox import Mailbox
from tracetui.collector.reactor.outbox import Outbox
from tracetui.collector.reactor.worker import Worker, failure_text, go_before_others
from tracetui.collector.rules.node_changes import NodeChanges
from tracetui.collector.snapshots.ruleset_reader import (
    LegacyRulesetReader,
    NftRulesetReader,
    RulesetReader,
)
from tracetui.collector.snapshots.snapshots import Snapshots
from tracetui.collector.sources.receiver import HopReceiver
from tracetui.collector.sources.sources import RECORDS_AT_ONCE, Source
from tracetui.kernel import netns
from tracetui.kernel.kmsg import KernelLog
from tracetui.kernel.netlink import LinkEvents, NftTrace, interface_names
from tracetui.kernel.xtables_lock import XtablesLock
from tracetui.model.tracing.guard import DEFAULT_THRESHOLD, Guard
from tracetui.protocol import frames
from tracetui.protocol.commands import CommandReader, Request
from tracetui.protocol.replies import CommandRefused, ErrorKind, refused

BUSY_STATUS_SECONDS = 0.25
"""Seconds between two status frames while hops arrive."""
IDLE_STATUS_SECONDS = 1.0
LISTING_PAUSE_SECONDS = 2.0
"""Seconds between two listings while a rule of ours stands."""
IDLE_LISTING_PAUSE_SECONDS = 10.0
LISTING_SHARE = 0.1
"""The part of one core that listings may take."""
FAREWELL_SECONDS = 1.0
"""Seconds that the last frames may take to leave."""
THREAD_TURN_SECONDS = 0.0005
"""Seconds that a thread may keep others from their turn: a flood must not slow its removal."""
BUSY_RATE = 2000
"""Hops per second above which the loop does not wake for each of them."""
BUSY_PAUSE = 0.004
"""Seconds; of that much less than of the guard's time to trip."""
LAST_READING_SECONDS = 0.5
"""Seconds that a reading of the rules may take to end when leaving; it changes nothing."""
LAST_JOB_SECONDS = 20.0
"""Seconds that a job under way may take to end when leaving."""
NAMESPACE_CHECK_SECONDS = 2.0
"""Seconds between two looks whether the namespace is still somebody's."""


class CollectorOptions(NamedTuple):
    """The options of a collector's command line."""

    netns: Optional[str] = None
    """The name by which its namespace was asked for; the process is in it already."""
    source: str = "auto"
    """A choice of ``sources.SOURCE_CHOICES``."""
    threshold: int = DEFAULT_THRESHOLD


class Collector:
    """A run of the collector, from the first sweep to the last rule removed."""

    def __init__(self, options: CollectorOptions, stdin: int, stdout: int) -> None:
        self._options = options
        self._stdin = stdin
        self._reader = CommandReader()
        self._outbox = Outbox(stdout)
        self._selector = selectors.DefaultSelector()
        self._mailbox = Mailbox()
        self._guard = Guard(options.threshold)
        self._reception = HopReceiver(
            self._selector,
            self._outbox,
            self._guard,
            lambda: self._alarm.trip(),
            self._source_broke,
        )
        self._node = NodeChanges(self, options.source)
        self._lock = XtablesLock()
        xtables = self._node.trace_rules.xtables
        readers: dict[str, RulesetReader] = {
            "legacy": LegacyRulesetReader(xtables, self._lock),
            "nft": NftRulesetReader(xtables),
        }
        self._snapshots = Snapshots(
            self, self._mailbox, self._outbox, self._reception, readers, xtables
        )
        self._worker = Worker("rules", self._job_failed)
        self._remover = Worker("removal", self._job_failed, is_urgent=True)
        self._alarm = Alarm(
            self._guard, self._node, self._remover, self._worker, self._mailbox, self
        )
        self._node.is_needed_elsewhere = lambda: self._remover.has_waiting
        self._commands = CommandHandler(
            self._node,
            self._worker,
            self._remover,
            self._snapshots,
            self._alarm,
            self._mailbox,
            self._outbox,
            self,
        )
        self._links = LinkEvents()
        self._listing_seconds = 0.0
        self._leaving = self._clean = self._is_listing = self._is_relist_due = False
        self._bye: dict[str, Any] = {"removed": (), "why": None}
        self._next_status = self._next_look = 0.0
        self._refreshed = time.monotonic()

    def run(self) -> None:
        """Serve until told to leave, or until the other end of a pipe is gone.

        When this returns nothing of ours is left on the node, however long that takes.
        """
        # The guard has to act on a node that is busy too, and what a late loop misses is lost. So
        # has what removes our rules; whatever else runs here has time.
        go_before_others()
        sys.setswitchinterval(THREAD_TURN_SECONDS)
        try:
            self._start()
            while not self._clean:
                self._turn()
        except BaseException:
            self._node.refuse(_leaving())
            self._node.is_needed_elsewhere = lambda: False
            self._node.remove_mine()
            raise
        self._snapshots.stop(LAST_READING_SECONDS)
        self._mailbox.run()
        self._commands.answer_rest()
        totals = {"hops": self._reception.hops, "lost": self._reception.lost}
        self._outbox.put(frames.BYE, {**totals, **self._bye})
        self._outbox.farewell(FAREWELL_SECONDS)

    def say(self, severity: str, text: str) -> None:
        """Send the user one sentence; safe from every thread."""
        self.send(frames.NOTICE, {"severity": severity, "text": text})

    def send(self, kind: int, value: Mapping[str, Any]) -> None:
        """Send a JSON frame; safe from every thread."""
        self._mailbox.post(lambda: self._put(kind, value))

    def _put(self, kind: int, value: Mapping[str, Any]) -> None:
        self._outbox.put(kind, value)

    def listen(self, source: Source) -> None:
        """Receive hops from a source from now on; safe from every thread."""
        self._mailbox.post(partial(self._listen, source))

    def _listen(self, source: Source) -> None:
        self._reception.add(source)
        self._make_status_due()

    def drop(self, source: Source) -> None:
        """Take what a source still holds and close it; safe from every thread."""
        self._mailbox.post(partial(self._reception.drop, source))

    def mute(self) -> None:
        """Close every source; safe from every thread."""
        self._mailbox.post(self._mute)

    def _mute(self) -> None:
        self._reception.silence("closed: the flood went on; armed again, it listens again")
        self._node.legacy_source.lose_source()
        self._make_status_due()

    def unmute(self) -> None:
        """Open the sources again; nflog waits for a rule of ours. Safe from every thread."""
        self._mailbox.post(self._unmute)

    def _unmute(self) -> None:
        self._reception.end_silence()
        self._open_sources()
        self._make_status_due()

    def _source_broke(self, name: str, why: str) -> None:
        self.say("error", f"{name} broke ({why}): its hops are not seen until it is opened again")
        if name != "nftrace":
            # It is opened again at the next listing of the rules.
            self._node.legacy_source.lose_source()
        self._make_status_due()

    def read_rulesets(self) -> None:
        """Have the rulesets of both backends read soon; safe from every thread."""
        self._mailbox.post(self._snapshots.want)

    def _start(self) -> None:
        os.set_blocking(self._stdin, False)
        self._mailbox.wake_on_signals()
        signal.signal(signal.SIGTERM, lambda *_: self._leave())
        self._selector.register(self._mailbox, selectors.EVENT_READ, self._mailbox.run)
        self._selector.register(self._links, selectors.EVENT_READ, self._send_links)
        try:
            self._selector.register(self._stdin, selectors.EVENT_READ, self._read_commands)
        except PermissionError:
            # No pipe, but a file: nobody sends commands (epoll_ctl(2)).
            self._leave("its commands come through no pipe")
        if self._lock.fileno() >= 0:
            self._selector.register(self._lock, selectors.EVENT_READ, self._lock.look)
        me = {"host": socket.gethostname(), "netns": self._options.netns, "pid": os.getpid()}
        self._outbox.put(frames.HELLO, me)
        self._send_links()
        self._open_sources()
        self._worker.submit(self._node.begin)

    def _open_sources(self) -> None:
        """Open what is listened to from the start; nflog waits for a rule of ours."""
        for name, receiver, choices in (
            ("nftrace", NftTrace, ("auto", "nftrace")),
            ("kmsg", KernelLog, ("kmsg",)),
        ):
            if self._options.source in choices and (why := self._reception.open(name, receiver)):
                self.say("error", why)

    def _turn(self) -> None:
        self._tick(time.monotonic())
        self._watch_writing()
        if self._outbox.broken:
            self._leave()
        now = time.monotonic()
        if self._guard.rate(now) > BUSY_RATE and self._reception.is_dry:
            # Then records are taken many at a time; there is room for a hundred times as many.
            time.sleep(BUSY_PAUSE)
        next_due = min(
            self._next_status, self._next_refresh(), self._snapshots.next_due(), self._outbox.due
        )
        due = next_due - now
        for key, _ in self._selector.select(min(max(due, 0.0), IDLE_STATUS_SECONDS)):
            key.data()

    def _tick(self, now: float) -> None:
        self._reception.tick(now)
        self._alarm.tick(now)
        if now >= self._next_look:
            self._next_look = now + NAMESPACE_CHECK_SECONDS
            self._look_for_namespace()
        if not self._leaving:
            self._snapshots.tick(now)
        if now >= self._next_status:
            rate = self._guard.rate(now)
            self._next_status = now + (BUSY_STATUS_SECONDS if rate else IDLE_STATUS_SECONDS)
            self._outbox.put(frames.STATUS, self._status(rate))
        if now >= self._next_refresh():
            self._refreshed = now
            self._refresh()

    def _next_refresh(self) -> float:
        pause = LISTING_PAUSE_SECONDS if self._node.has_rules else IDLE_LISTING_PAUSE_SECONDS
        return self._refreshed + max(pause, self._listing_seconds / LISTING_SHARE)

    def _watch_writing(self) -> None:
        self._outbox.write()
        writing = self._outbox.fd in self._selector.get_map()
        if self._outbox.is_empty and writing:
            self._selector.unregister(self._outbox.fd)
        elif not self._outbox.is_empty and not writing:
            self._selector.register(self._outbox.fd, selectors.EVENT_WRITE, self._outbox.write)

    def _status(self, rate: int) -> dict[str, Any]:
        return {
            "rate": rate,
            "hops": self._reception.hops,
            "lost": self._reception.lost,
            "unshown": self._outbox.dropped,
            "sources": [*self._reception.states(), *self._node.legacy_source.states()],
            "guard": self._alarm.state(),
        }

    def send_status(self) -> None:
        """Send the state at the next turn; safe from every thread."""
        self._mailbox.post(self._make_status_due)

    def _make_status_due(self) -> None:
        self._next_status = 0.0

    def relist(self) -> None:
        """Have the rules listed soon, and sent; safe from every thread."""
        self._mailbox.post(self._make_listing_due)

    def _make_listing_due(self) -> None:
        if self._is_listing:
            # It may have looked already at what changed since.
            self._is_relist_due = True
        else:
            self._refreshed = float("-inf")

    def _send_links(self) -> None:
        # Bounded, as other programs can send to the group too: the loop has more to do.
        self._links.receive(RECORDS_AT_ONCE)
        names = {str(index): name for index, name in interface_names().items()}
        self._outbox.put(frames.LINKS, names)

    def _refresh(self) -> None:
        """Have the rules listed, unless the last listing is still under way."""
        if not self._is_listing:
            self._is_listing = self._worker.submit(self._list_rules)

    def _list_rules(self) -> None:
        began = time.monotonic()
        try:
            self._node.refresh()
        finally:
            self._mailbox.post(partial(self._end_listing, time.monotonic() - began))

    def _end_listing(self, seconds: float) -> None:
        self._is_listing, self._listing_seconds = False, seconds
        if self._is_relist_due:
            self._is_relist_due = False
            self._make_listing_due()

    def _look_for_namespace(self) -> None:
        """Leave a namespace that was deleted: our being in it keeps it, and its devices, alive."""
        name = self._options.netns
        if name and not self._leaving and netns.is_gone(name):
            self._leave(f"the namespace {name} is gone")

    def _read_commands(self) -> None:
        try:
            data = os.read(self._stdin, 65536)
        except BlockingIOError:
            return
        if not data:
            self._selector.unregister(self._stdin)
            self._leave()
        for command in self._reader.feed(data):
            if not isinstance(command, Request):
                self._commands.send_reply(command)
            elif not self._leaving:
                self._commands.obey(command)
            else:
                self._commands.refuse(command)

    def _leave(self, why: Optional[str] = None) -> None:
        """Have everything of ours removed, and end then; ``why`` if nobody asked for it."""
        if self._leaving:
            return
        self._leaving = True
        self._bye["why"] = why
        self._node.refuse(_leaving())
        self._remover.insist(self._clean_up)

    def _clean_up(self) -> None:
        # From here on nothing comes first.
        self._node.is_needed_elsewhere = lambda: False
        try:
            removed = self._node.remove_noted()
            self._worker.stop(LAST_JOB_SECONDS)
            removed += self._node.remove_all()
        except Exception as error:
            self._mailbox.post(partial(self._fail, error))
        else:
            self._mailbox.post(partial(self._note_clean, removed))

    def _note_clean(self, removed: list[str]) -> None:
        self._bye["removed"] = removed
        self._clean = True

    def _fail(self, error: Exception) -> None:
        """End as a crash, after which the watchdog sweeps."""
        raise error

    def _job_failed(self, error: Exception) -> None:
        self.say("error", failure_text(error))


def _leaving() -> CommandRefused:
    return refused(ErrorKind.GONE, "leaving")
