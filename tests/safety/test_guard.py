"""The guard on the real kernel: what trips it, what it leaves, and what it tells."""

from __future__ import annotations

import pytest

from .live import Told, add, live, poll_for, poll_until, rule, send
from .terminal import Terminal
from .test_terminal import flood

pytestmark = pytest.mark.kernel

BACKENDS = ("legacy", "nft")
FOREIGN = ("-t", "raw", "-A", "OUTPUT", "-p", "udp", "-j", "TRACE")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_flood_is_ended_and_narrower_rules_are_proposed(faults, backend):
    with live(faults.namespace, threshold=1000) as session:
        add(session, rule(), backend)
        with flood(faults.namespace, 5):
            poll_until(session, lambda: session.status.guard.trip)
            poll_until(session, lambda: session.status.guard.trip.removed)
            faults.leaves_no_rules("a flood trips the guard")
            poll_for(session, 0.5)
        assert session.status.guard.trip.removed == (f"{backend} IPv4 OUTPUT -p udp",)
        seen = session.trip_report.talkers
        assert seen.packets > 100
        assert seen.targets[0][0] == ("udp", "127.0.0.1", 9)
        assert seen.sources[0][0] == "127.0.0.1"
        gentle, narrow = session.trip_report.suggestions(1000)
        assert 0 < gentle.rule.limit < 1000
        assert (narrow.rule.dst, narrow.rule.dport) == ("127.0.0.1", "9")
        assert "100% of the packets went to udp 127.0.0.1:9" in narrow.why
        told = Told(session)
        session.add_rules([narrow.rule], backend)
        poll_until(session, lambda: "arm it first" in told)
        session.arm()
        add(session, narrow.rule, narrow.backend)
        with flood(faults.namespace, 3):
            poll_for(session, 2.0)
        assert session.status.guard.trip is None
        assert session.packets.hops
        assert len(session.status.guard.trips) == 1
    faults.leaves_nothing("a flood trips the guard")


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_burst_that_the_kernels_own_limit_lets_through_is_borne(faults, backend):
    """Six default rules at once, under a flood: twenty packets each come together."""
    with live(faults.namespace) as session:
        for dport in range(9, 15):
            add(session, rule(limit=20, dport=f"{dport - 5}:{dport}"), backend)
        with flood(faults.namespace, 3):
            poll_for(session, 2.0)
        assert session.packets.hops
        assert not session.status.guard.trips
        assert session.status.lost == 0
    faults.leaves_nothing("a flood under the default limit")


def test_foreign_rules_that_flood_are_named_and_flushed_only_when_asked(faults):
    namespace = faults.namespace
    namespace.run("iptables-nft", *FOREIGN)
    namespace.run("iptables-nft", "-t", "raw", "-A", "OUTPUT", "-p", "sctp", "-j", "TRACE")
    namespace.run("iptables-nft", "-t", "raw", "-A", "OUTPUT", "-p", "udp", "-j", "NOTRACK")
    with live(namespace, threshold=1000) as session:
        add(session, rule(limit=20), "nft")
        with flood(namespace, 8):
            poll_until(session, lambda: session.status.guard.trip)
            poll_until(session, lambda: session.status.guard.trip.foreign)
            (busy,) = session.status.guard.trip.foreign
            assert busy.rule.text == "-p udp -j TRACE"
            assert busy.rate > 100
            assert len(namespace.trace_rules()) == 2
            poll_until(session, lambda: session.status.guard.is_muted)
            states = {source.name: source.state for source in session.status.sources}
            assert states["nftrace"] == "off"
            session.flush([busy.rule.id])
            poll_until(session, lambda: len(session.rules) == 1)
            assert "sctp" in namespace.trace_rules()[0]
        session.arm()
        poll_until(session, lambda: not session.status.guard.tripped)
        poll_until(session, lambda: not session.status.guard.is_muted)
        hops = session.status.hops
        add(session, rule(limit=20), "nft")
        send(namespace, 3)
        poll_until(session, lambda: session.status.hops > hops)
    assert "-p udp" in namespace.run("iptables-nft-save", "-t", "raw")
    namespace.run("iptables-nft", "-t", "raw", "-F")
    faults.leaves_nothing("foreign TRACE rules flood")


def test_the_whole_story_on_the_screen(faults):
    """Trip, what flooded, a proposal, the form, and a foreign rule that goes by y only."""
    namespace = faults.namespace
    namespace.run("iptables-nft", *FOREIGN)
    options = ("--netns", namespace.name, "--guard", "1000")
    wanted = ("--chain", "OUTPUT", "-4", "-p", "udp", "--limit", "50", "--backend", "nft")
    with Terminal(*options, *wanted, mark=namespace.name, size=(120, 40)) as program:
        program.wait_for("added")
        program.wait_for("guard ARMED")
        with flood(namespace, 6):
            program.wait_for("GUARD TRIPPED")
            program.wait_for("foreign rules still trace")
        offer, question = "remove that foreign rule too", "Remove TRACE rules that are not ours?"
        program.type_until("g", offer)
        assert "a foreign rule still traces" in program.text
        assert "to udp 127.0.0.1:9" in program.text
        program.type_until("\x1b[F\r", question)
        program.type_until("n", "quit")
        assert len(namespace.trace_rules()) == 1
        program.type_until("g", offer)
        program.type_until("\x1b[F\r", question)
        program.type("y")
        program.wait_for(lambda: not namespace.trace_rules())
        program.type_until("g", "the same rule, at most 25 packets per second")
        program.type_until("\r", "Add a TRACE rule")
        program.type("\r")
        program.wait_for(namespace.trace_rules)
        (text,) = namespace.trace_rules()
        assert "--limit 25/sec" in text
        program.wait_for("guard ARMED (tripped)")
        program.type("q")
        program.process.wait(20)
        faults.leaves_nothing("foreign TRACE rules flood", program)
