"""A live trace: what the collector sends becomes packets, rules and notices."""

from __future__ import annotations

import contextlib
import itertools
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
from tracetui.protocol import events, frames
from tracetui.protocol.commands import (
    AddRules,
    ArmGuard,
    Command,
    DeleteRule,
    ExtendRules,
    Flush,
    ListChain,
    LoadModule,
    ReadRulesets,
    Request,
    SetThreshold,
)
from tracetui.protocol.frames import Frame
from tracetui.protocol.replies import ErrorKind, Outcome, Reply
from tracetui.session.live.client import SILENCE_SECONDS, CollectorClient
from tracetui.session.live.last_minute import LastMinute
from tracetui.session.live.outcome_notices import OutcomeNotices, untraced_half
from tracetui.session.rulesets.rulesets import Rulesets
from tracetui.session.state.explanations import Explanations
from tracetui.session.state.guard_state import GuardState
from tracetui.session.state.notices import Notices
from tracetui.session.state.sent_command import SentCommand
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
LINKS_REMEMBERED = 1 << 16
"""Interfaces whose names are remembered; the oldest of more are forgotten."""
_ENDED = Outcome(ErrorKind.GONE, "the collector has ended", "start tracetui again")
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
        """Bytes of the readings that are under way."""
        self._is_silent = False
        self._on_exit: threading.Thread | None = None
        """Waits for what the watchdog of a dead collector removes."""
        self._ids = itertools.count(1)
        self._unanswered: dict[int, SentCommand] = {}
        self._outcome_notices = OutcomeNotices()
        self._last_minute = LastMinute()
        arguments = ["--source", source, "--guard", str(threshold)]
        if netns:
            arguments += ["--netns", netns]
        self._client = CollectorClient(arguments, launcher, program)
        self._takers: dict[int, Callable[[Frame], None]] = {
            frames.NFLOG_RECORDS: lambda f: self._take_hops(f, self._datagrams["legacy"].hops),
            frames.NFTRACE_RECORDS: lambda f: self._take_hops(f, self._datagrams["nft"].hops),
            frames.KMSG_RECORDS: lambda f: self._take_hops(f, partial(starmap, self._kmsg_hop)),
            frames.RULESET: self._take_ruleset,
            frames.READING: self._take_reading,
            frames.CHAIN: self._take_chain,
            frames.HELLO: self._take_hello,
            frames.LINKS: self._take_links,
            frames.STATUS: self._take_status,
            frames.NODE: self._take_node,
            frames.RULES: self._take_rules,
            frames.NOTICE: self._take_notice,
            frames.REPLY: self._take_reply,
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
        if self._client.has_ended and not self.ended:
            self._note_end()
            return True
        return taken or learned

    def take_notices(self) -> list[Notice]:
        """Take the notices for the user since the last call, oldest first."""
        return self._notices.take()

    def add_rules(
        self, rules: Sequence[TraceRule], backend: str, override: bool = False
    ) -> SentCommand:
        """Have rules installed: all of them, or none."""
        for rule in rules:
            self.trip_report.note_request(rule, backend)
        return self._send(AddRules(tuple(rules), backend, override))

    def delete_rule(self, rule_id: str) -> SentCommand:
        """Have one rule of ours removed."""
        return self._send(DeleteRule(rule_id))

    def extend_rules(self, rule_ids: Sequence[str] = ()) -> SentCommand:
        """Have rules of this session end later, all of them if none is named."""
        return self._send(ExtendRules(tuple(rule_ids)))

    def flush(self, foreign_ids: Sequence[str] = ()) -> SentCommand:
        """Have all rules of this session, and the named foreign ones, removed at once."""
        return self._send(Flush(tuple(foreign_ids)))

    def explain(self, packet: Packet) -> PacketExplanation:
        """Explain a packet by what is known now."""
        return self.explanations.of(packet)

    def ask_chain(self, ref: ChainRef) -> None:
        """Have a chain listed with its counters; :meth:`chain_listing` has it when it came."""
        self._asked.add(ref)
        self._send(ListChain(*ref))

    def chain_listing(self, ref: ChainRef) -> Optional[ChainListing]:
        """The newest listing of a chain that was asked for; None before it came."""
        return self._listings.get(ref)

    def read_rulesets(self) -> None:
        """Have the node's rules read once more, soon."""
        self._send(ReadRulesets())

    def take_readings(self) -> list[dict[str, Any]]:
        """The rulesets read since the last call, each as it is recorded."""
        taken = self._readings or []
        if self._readings is not None:
            self._readings = []
        return taken

    def arm(self) -> SentCommand:
        """Arm the guard again after a trip."""
        return self._send(ArmGuard())

    def set_threshold(self, hops_per_second: int) -> SentCommand:
        """Change the guard's threshold."""
        return self._send(SetThreshold(hops_per_second))

    def load_module(self, name: str) -> SentCommand:
        """Have a kernel module that tracing needs loaded."""
        return self._send(LoadModule(name))

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
        if self._on_exit is not None:
            self._on_exit.join()
        self._answer_rest()
        self.ended = True

    def _send(self, command: Command) -> SentCommand:
        sent = SentCommand(next(self._ids), command)
        if self._is_leaving:
            # Nothing else is to be done any more.
            sent.outcome = _ENDED
            return sent
        self._unanswered[sent.id] = sent
        try:
            self._client.send(Request(sent.id, command))
        except CollectorGone as error:
            gone = Outcome(ErrorKind.GONE, str(error), "start tracetui again")
            self._answer(sent.id, gone)
            self._notices.keep(Notice(time.time(), "error", gone.why, sent.id))
        except Failure as error:
            self._answer(sent.id, Outcome(ErrorKind.INVALID, str(error)))
        return sent

    def _answer(self, command_id: int, outcome: Outcome) -> None:
        """Note the outcome of a command, once, and tell the user of it."""
        sent = self._unanswered.pop(command_id, None)
        if sent is None:
            return
        sent.outcome = outcome
        sentences = self._outcome_notices.of(sent.command, outcome)
        if isinstance(sent.command, AddRules):
            sentences += untraced_half(outcome, self.status.node, self.rules)
        for severity, text in sentences:
            self._notices.keep(Notice(time.time(), severity, text, command_id))

    def _answer_rest(self) -> None:
        """Answer what waits for a collector that has ended."""
        for command_id in list(self._unanswered):
            self._answer(command_id, _ENDED)

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
        if self._is_silent and not was and self.has_begun and not self._client.has_ended:
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
        return None if hop is None else hop.with_(interval=self.rulesets.interval("legacy"))

    def _take_ruleset(self, frame: Frame) -> None:
        self._ruleset_bytes += len(frame.payload)
        if self._ruleset_bytes > RULESET_BYTES:
            raise Failure("a ruleset without end")
        self.rulesets.take_text(*frame.text())

    def _take_reading(self, frame: Frame) -> None:
        self._ruleset_bytes = 0
        record = self.rulesets.take_mark(events.checked(frame))
        self._set_windows()
        self.rulesets.begin_era(self._assembler.next_id)
        if record is not None and self._readings is not None:
            self._readings.append(record)

    def _take_chain(self, frame: Frame) -> None:
        value = events.checked(frame)
        place = ChainRef(value["backend"], value["family"], value["table"], value["chain"])
        if place in self._asked:
            self._listings[place] = ChainListing(
                value["time"], value.get("text", ""), value.get("error")
            )

    def _take_hello(self, frame: Frame) -> None:
        self.has_begun = True
        self._set_status(host=events.checked(frame)["host"])

    def _take_links(self, frame: Frame) -> None:
        # Interfaces that went away keep their name: their hops may still be on the way.
        names = events.checked(frame)
        self._set_status(interfaces=frozenset(names.values()))
        for index, name in names.items():
            self._links.pop(int(index), None)
            self._links[int(index)] = name
        while len(self._links) > LINKS_REMEMBERED:
            del self._links[next(iter(self._links))]
        for datagrams in self._datagrams.values():
            datagrams.set_links(self._links)

    def _set_windows(self) -> None:
        """Have hops that come now stand between the readings that are known now."""
        for backend, datagrams in self._datagrams.items():
            datagrams.set_interval(self.rulesets.interval(backend))

    def _take_status(self, frame: Frame) -> None:
        value = events.checked(frame)
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
            self.trip_report.note_trip(guard.trip.at, [rule for rule in self.rules if rule.mine])
            self._say("error", f"guard tripped: {guard.reason}")

    def _take_node(self, frame: Frame) -> None:
        value = events.checked(frame)
        known = {name: value[name] for name in Node._fields}
        node = Node(**{**known, "backends": tuple(known["backends"])})
        why_not = (
            None if node.backends else "no iptables command here; install the iptables package"
        )
        self._set_status(node=node, why_not=why_not)

    def _take_rules(self, frame: Frame) -> None:
        value = events.checked(frame)
        self.rules = tuple(InstalledRule.from_json(rule) for rule in value["rules"])
        self._set_status(sysctls=value["sysctls"])
        self.explanations.explainer.set_sysctls(value["sysctls"], self._assembler.next_id)
        self.is_ready = True

    def _take_notice(self, frame: Frame) -> None:
        value = events.checked(frame)
        self._notices.keep(Notice(frame.time, value["severity"], value["text"]))

    def _take_reply(self, frame: Frame) -> None:
        reply = Reply.from_frame(frame)
        self._answer(reply.id, reply.outcome)

    def _take_bye(self, frame: Frame) -> None:
        value = events.checked(frame)
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

    def _note_end(self) -> None:
        """Note that the collector ended unasked; say so, and what its watchdog removes."""
        self.ended = True
        self._answer_rest()
        self.rulesets.end()
        if self._client.received_bye:
            why_not = self.status.why_not or "the collector was told to end; start tracetui again"
            self._set_status(why_not=why_not, rate=0)
            return
        fault = self._client.fault
        if fault:
            # It may be well, and not know that it is not heard any more.
            self._client.leave()
        words = fault or self._client.last_error_line()
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

        self._on_exit = threading.Thread(target=wait, name="on exit")
        self._on_exit.start()
