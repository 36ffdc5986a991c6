"""A live trace: what the collector sends becomes packets, rules and notices."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import starmap
from typing import Any, Optional

from tracetui.errors import CollectorGone, Failure
from tracetui.model.explain.explanation import PacketExplanation
from tracetui.model.trace.assembler import Assembler
from tracetui.model.trace.batch import batches_of
from tracetui.model.trace.hop import Hop
from tracetui.model.trace.packet import Packet
from tracetui.model.tracing.guard import DEFAULT_THRESHOLD
from tracetui.model.tracing.installed_rule import InstalledRule
from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.parse.log import kmsg
from tracetui.parse.netlink.datagrams import Datagrams, Record
from tracetui.parse.netlink.nflog_datagrams import NflogDatagrams
from tracetui.parse.netlink.nftrace_datagrams import NftraceDatagrams
from tracetui.protocol import frames
from tracetui.protocol.frames import Frame
from tracetui.session.live import frame_shapes as shapes
from tracetui.session.live.client import SILENCE_SECONDS, CollectorClient
from tracetui.session.live.frame_shapes import Each, checked
from tracetui.session.live.last_minute import LastMinute
from tracetui.session.rulesets.rulesets import Rulesets
from tracetui.session.state.explanations import Explanations
from tracetui.session.state.guard_state import GuardState
from tracetui.session.state.notices import Notices
from tracetui.session.state.session import (
    POLL_SECONDS,
    ChainListing,
    ChainRef,
    Node,
    Notice,
    SourceState,
    Status,
)
from tracetui.session.state.store import PacketStore
from tracetui.session.state.trip_report import TripReport

RULESET_BYTES = 512 << 20
"""The largest ruleset that is taken in, some millions of rules."""
LINKS = 1 << 16
"""Interfaces whose names are remembered; the oldest of more are forgotten."""
_MALFORMED = (Failure, LookupError, TypeError, ValueError, ArithmeticError, RecursionError)
"""Errors that taking in a frame raises that is not as ours are."""


class LiveSession:
    """A trace of this node, or of one of its namespaces; see :class:`Session`."""

    def __init__(
        self,
        netns: Optional[str] = None,
        source: str = "auto",
        threshold: int = DEFAULT_THRESHOLD,
        packets: Optional[PacketStore] = None,
        called: Optional[str] = None,
        keep_readings: bool = False,
        launcher: Sequence[str] = (),
        program: Sequence[str] = (),
    ) -> None:
        """Start the collector; raises Failure. ``called`` is what to call the namespace.

        ``keep_readings`` collects the rulesets read, for :meth:`take_readings`. ``launcher`` makes
        the collector root where this process is not, and ``program`` are the words of an installed
        one.
        """
        self.packets = PacketStore() if packets is None else packets
        self.status = Status(netns=called or netns, guard=GuardState(threshold))
        self.rules: tuple[InstalledRule, ...] = ()
        self.ended = False
        self._is_leaving = False
        self.has_begun = False
        """Whether the collector runs: a password, where one is asked for, was given."""
        self.is_ready = False
        """Whether the node was looked at: the first listing of its rules is here."""
        self.rulesets = Rulesets()
        self.explanations = Explanations(self.rulesets)
        self.trip_report = TripReport(self.packets)
        self._readings: Optional[list[dict[str, Any]]] = [] if keep_readings else None
        self._listings: dict[ChainRef, ChainListing] = {}
        self._asked: set[ChainRef] = set()
        self._assembler = Assembler()
        self._links: dict[int, str] = {}
        self._datagrams: dict[str, Datagrams] = {
            "legacy": NflogDatagrams(),
            "nft": NftraceDatagrams(),
        }
        self._set_windows()
        self._notices = Notices()
        self._ruleset_bytes = 0
        """Of the readings that are under way."""
        self._is_silent = False
        self._funeral: threading.Thread | None = None
        self._last_minute = LastMinute()
        arguments = ["--source", source, "--guard", str(threshold)]
        if netns:
            arguments += ["--netns", netns]
        self._client = CollectorClient(arguments, launcher, program)
        self._takers: dict[int, Callable[[Frame], None]] = {
            frames.NFLOG: lambda f: self._take_hops(f, self._datagrams["legacy"].hops),
            frames.NFTRACE: lambda f: self._take_hops(f, self._datagrams["nft"].hops),
            frames.KMSG: lambda f: self._take_hops(f, partial(starmap, self._kmsg_hop)),
            frames.RULESET: self._take_ruleset,
            frames.READING: self._take_reading,
            frames.CHAIN: self._take_chain,
            frames.HELLO: self._take_hello,
            frames.LINKS: self._take_links,
            frames.STATUS: self._take_status,
            frames.NODE: self._take_node,
            frames.RULES: self._take_rules,
            frames.NOTICE: self._take_notice,
            frames.BYE: self._take_bye,
        }

    @property
    def collector_pid(self) -> int:
        """The process id of the collector."""
        return self._client.pid

    def poll(self, seconds: float = POLL_SECONDS) -> bool:
        """Take in what arrived, for so long at most; True if anything changed."""
        until = time.monotonic() + seconds
        taken = False
        while self._take_next():
            taken = True
            if time.monotonic() > until:
                break
        self._look_for_silence()
        for text in self._last_minute.news(self.rules, time.time()):
            self._say("warning", text)
        self.rulesets.forget_before(self.packets.first_id)
        learned = self.rulesets.work(max(until, time.monotonic() + seconds / 2))
        if self._client.gone and not self.ended:
            self._mourn()
            return True
        return taken or learned

    def take_notices(self) -> list[Notice]:
        """What is to be told to the user since the last call, oldest first."""
        return self._notices.take()

    def add_rule(self, rule: TraceRule, backend: str, override: bool = False) -> None:
        """Have the rule installed; the outcome is a notice."""
        self.trip_report.note_request(rule, backend)
        self._order("add", rule=rule.to_json(), backend=backend, override=override)

    def delete_rule(self, rule_id: str) -> None:
        """Have one rule of ours removed; the outcome is a notice."""
        self._order("delete", id=rule_id)

    def extend_rules(self, rule_ids: Sequence[str] = ()) -> None:
        """Have rules of this session end later, all of them if none is named; notices tell."""
        self._order("extend", ids=list(rule_ids))

    def flush(self, foreign_ids: Sequence[str] = ()) -> None:
        """Have all rules of this session, and the named foreign ones, removed at once."""
        self._order("flush", ids=list(foreign_ids))

    def explain(self, packet: Packet) -> PacketExplanation:
        """What is known of a packet now."""
        return self.explanations.of(packet)

    def ask_chain(self, ref: ChainRef) -> None:
        """Have a chain listed with its counters; :meth:`chain_listing` has it when it came."""
        self._asked.add(ref)
        self._order("chain", **ref._asdict())

    def chain_listing(self, ref: ChainRef) -> Optional[ChainListing]:
        """The newest listing of a chain that was asked for; None before it came."""
        return self._listings.get(ref)

    def read_rulesets(self) -> None:
        """Have the node's rules read once more, soon."""
        self._order("read")

    def take_readings(self) -> list[dict[str, Any]]:
        """The rulesets read since the last call, each as it is recorded."""
        taken = self._readings or []
        if self._readings is not None:
            self._readings = []
        return taken

    def arm(self) -> None:
        """Arm the guard again after a trip."""
        self._order("arm")

    def set_threshold(self, hops_per_second: int) -> None:
        """Change the guard's threshold."""
        self._order("threshold", value=hops_per_second)

    def load_module(self, name: str) -> None:
        """Have a kernel module that tracing needs loaded; the outcome is a notice."""
        self._order("modprobe", module=name)

    def leave(self) -> None:
        """Have our rules removed without waiting for that; may be called by a signal's handler."""
        self._is_leaving = True
        self._client.leave()

    def abandon(self) -> None:
        """End the trace without waiting: what has not begun is ended, the rest cleans itself up."""
        self._client.abandon()
        self.ended = True

    def close(self, on_notices: Callable[[], None] = lambda: None) -> None:
        """End the trace; when this returns nothing of ours is left, or a notice says what is."""

        def hear(frame: Frame) -> None:
            with contextlib.suppress(*_MALFORMED):
                self._take(frame)
            if self._notices:
                on_notices()

        for line in self._client.close(hear):
            self._say("warning", line)
        self.rulesets.end()
        self.rulesets.work_all()
        if self._funeral is not None:
            self._funeral.join()
        self.ended = True

    def _order(self, name: str, **values: Any) -> None:
        if self._is_leaving:
            # Nothing else is to be done any more.
            return
        try:
            self._client.send(name, **values)
        except CollectorGone as error:
            self._say("error", f"{error}; start tracetui again")

    def _take_next(self) -> bool:
        """Take the next frame; False if there is none. One that is malformed ends the trace."""
        try:
            frame = self._client.take()
            if frame is not None:
                self._take(frame)
        except _MALFORMED as error:
            why = str(error) if isinstance(error, Failure) else repr(error)
            self._client.refuse(f"the collector sent what can't be understood: {why}")
            return False
        return frame is not None

    def _take(self, frame: Frame) -> None:
        taker = self._takers.get(frame.kind)
        if taker is not None:
            taker(frame)

    def _look_for_silence(self) -> None:
        """Warn, once, of a collector that tells nothing: what is shown is not what is."""
        was, self._is_silent = self._is_silent, self._client.silence > SILENCE_SECONDS
        if self._is_silent and not was and self.has_begun and not self._client.gone:
            self._say(
                "warning",
                f"the collector has told nothing for {SILENCE_SECONDS:.0f} s: it hangs, or the "
                "node does; rules of ours end at their expiry, or when this is left",
            )

    def _take_hops(
        self, frame: Frame, read: Callable[[Iterable[Record]], Iterable[Optional[Hop]]]
    ) -> None:
        hops = [hop for hop in read(frame.records()) if hop is not None]
        self._assembler.take(batches_of(hops), self.packets.took)
        skipped = frame.record_count - len(hops)
        if skipped:
            self._set_status(skipped=self.status.skipped + skipped)

    def _kmsg_hop(self, record: bytes, received: float) -> Optional[Hop]:
        hop = kmsg.parse(record, received)
        return None if hop is None else hop.with_(readings=self.rulesets.interval("legacy"))

    def _take_ruleset(self, frame: Frame) -> None:
        self._ruleset_bytes += len(frame.payload)
        if self._ruleset_bytes > RULESET_BYTES:
            raise Failure("a ruleset without end")
        self.rulesets.take_text(*frame.text())

    def _take_reading(self, frame: Frame) -> None:
        self._ruleset_bytes = 0
        record = self.rulesets.take_mark(checked(frame, shapes.READING))
        self._set_windows()
        self.rulesets.begin_era(self._assembler.next_id)
        if record is not None and self._readings is not None:
            self._readings.append(record)

    def _take_chain(self, frame: Frame) -> None:
        value = checked(frame, shapes.CHAIN)
        place = ChainRef(value["backend"], value["family"], value["table"], value["chain"])
        if place in self._asked:
            self._listings[place] = ChainListing(
                float(value["time"]), value.get("text", ""), value.get("error")
            )

    def _take_hello(self, frame: Frame) -> None:
        self.has_begun = True
        self._set_status(host=checked(frame, shapes.HELLO)["host"])

    def _take_links(self, frame: Frame) -> None:
        # Interfaces that went away keep their name: their hops may still be on the way.
        for index, name in checked(frame, Each(str)).items():
            self._links.pop(int(index), None)
            self._links[int(index)] = name
        while len(self._links) > LINKS:
            del self._links[next(iter(self._links))]
        for one in self._datagrams.values():
            one.set_links(self._links)

    def _set_windows(self) -> None:
        """Have hops that come now stand between the readings that are known now."""
        for backend, one in self._datagrams.items():
            one.set_interval(self.rulesets.interval(backend))

    def _take_status(self, frame: Frame) -> None:
        value = checked(frame, shapes.STATUS)
        guard, before = GuardState.from_json(value["guard"]), self.status.guard
        self._set_status(
            rate=value["rate"],
            hops=value["hops"],
            lost=value["lost"],
            unshown=value["unshown"],
            sources=tuple(
                SourceState(*(source[name] for name in SourceState._fields))
                for source in value["sources"]
            ),
            guard=guard,
        )
        if guard.trip is not None and (before.trip is None or before.trip.at != guard.trip.at):
            self.trip_report.note_trip(guard.trip.at)
            self._say("error", f"guard tripped: {guard.reason}")

    def _take_node(self, frame: Frame) -> None:
        value = checked(frame, shapes.NODE)
        known = {name: value[name] for name in Node._fields}
        node = Node(**{**known, "backends": tuple(known["backends"])})
        why_not = (
            None if node.backends else "no iptables command here; install the iptables package"
        )
        self._set_status(node=node, why_not=why_not)

    def _take_rules(self, frame: Frame) -> None:
        value = checked(frame, shapes.RULES)
        self.rules = tuple(InstalledRule.from_json(rule) for rule in value["rules"])
        self._set_status(sysctls=value["sysctls"])
        self.explanations.explainer.set_sysctls(value["sysctls"], self._assembler.next_id)
        self.is_ready = True

    def _take_notice(self, frame: Frame) -> None:
        value = checked(frame, shapes.NOTICE)
        self._notices.keep(Notice(frame.time, value["severity"], value["text"]))

    def _take_bye(self, frame: Frame) -> None:
        value = checked(frame, shapes.BYE)
        self.rules = ()
        self._set_status(hops=value["hops"], lost=value["lost"])
        for text in value["removed"]:
            self._say("information", f"removed {text}")
        if why := value["why"]:
            self._set_status(why_not=f"tracing ended: {why}")
            self._say("error", f"tracing ended: {why}")

    def _set_status(self, **changes: Any) -> None:
        self.status = self.status.with_(**changes)

    def _say(self, severity: str, text: str) -> None:
        self._notices.say(severity, text)

    def _mourn(self) -> None:
        """The collector ended unasked: say so, and what its watchdog removes."""
        self.ended = True
        self.rulesets.end()
        if self._client.said_bye:
            why_not = self.status.why_not or "the collector was told to end; start tracetui again"
            self._set_status(why_not=why_not, rate=0)
            return
        fault = self._client.fault
        if fault:
            # It may be well, and not know that it is not heard any more.
            self._client.leave()
        words = fault or self._client.last_words()
        if not self.has_begun:
            self._set_status(why_not=words or "the collector did not start")
            return
        why = fault or f"the collector ended{f' ({words})' if words else ''}"
        self._set_status(why_not=f"{why}; start tracetui again", rate=0)
        self._say("error", f"{why}: its rules are being removed")

        def wait() -> None:
            for line in self._client.after_death() or ["nothing was left on the node"]:
                self._say("warning", line)
            self.rules = ()

        self._funeral = threading.Thread(target=wait, name="funeral")
        self._funeral.start()
