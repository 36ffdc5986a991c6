"""Commands and changes of others that come between: a flush wins, and a rule is what it was."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.safety.live import send

from tracetui.collector.reactor.worker import WAITING_JOBS
from tracetui.collector.rules.removal import NAMED_FAILURES
from tracetui.kernel.nft_raw_tables import NftRawTables
from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.protocol.replies import ErrorKind
from tracetui.session.live.live import LiveSession

from .test_collector_safety import BACKENDS, add, expiring, live, wait_for
from .test_removal import inside, lock_held, pid_limits, program

pytestmark = pytest.mark.kernel
__all__ = ["lock_held"]

TRIES = 6


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_rule_that_is_extended_as_it_is_flushed_does_not_come_back(namespace, backend):
    """iptables-restore fails then, as it does for a table that it can't read."""
    with live(namespace) as session:
        for number in range(TRIES):
            add(session, expiring(), backend)
            session.extend_rules()
            time.sleep(0.002 * number)  # the moments at which one can overtake the other
            session.flush()
            wait_for(session, lambda: not session.rules)
            time.sleep(0.2)  # in which the rule would have come back
            assert namespace.trace_rules() == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_rules_that_were_asked_for_before_a_flush_are_not_added_after_it(
    namespace, lock_held, backend
):
    with live(namespace) as session:
        with lock_held():
            waiting = [
                session.add_rules([expiring(TraceRule(proto="udp", family=4, dport=port))], backend)
                for port in map(str, range(1000, 1008))
            ]
            flush = session.flush()
            time.sleep(0.3)  # in which the commands come to the collector
        wait_for(session, lambda: all(sent.outcome for sent in (*waiting, flush)), 20)
        kinds = [sent.outcome.error for sent in waiting]
        # What was done before the flush came is no more than the first of them.
        done = kinds.count(None)
        assert kinds == [None] * done + [ErrorKind.OVERTAKEN] * (8 - done)
        assert done < 8
        assert {sent.outcome.text for sent in waiting if sent.is_refused} == {"flushed meanwhile"}
        assert flush.outcome.error is None
        assert namespace.trace_rules() == []
        texts = [notice.text for notice in session.take_notices()]
        told = sum(text.startswith("no rule added: flushed meanwhile") for text in texts)
        assert told == kinds.count(ErrorKind.OVERTAKEN)
        add(session, expiring(), backend)


def test_a_rule_that_was_asked_for_before_a_trip_is_not_added_after_it(namespace, lock_held):
    with live(namespace, threshold=50) as session:
        add(session, expiring(TraceRule(chain="OUTPUT", family=4, proto="udp", limit=None)), "nft")
        with lock_held():
            waiting = session.add_rules([expiring()], "legacy")
            send(namespace, 500)
            wait_for(session, lambda: session.status.guard.trip)
            # It needs no lock to go.
            wait_for(session, lambda: namespace.trace_rules() == [] == list(session.rules))
        wait_for(session, lambda: waiting.outcome, 20)
        assert waiting.outcome.error is ErrorKind.OVERTAKEN
        assert "the guard tripped" in waiting.outcome.text
        later = session.add_rules([expiring()], "nft")
        wait_for(session, lambda: later.outcome)
        assert (later.outcome.error, later.outcome.remedy) == (ErrorKind.REFUSED, "arm it first")
        assert namespace.trace_rules() == []
        armed, again = session.arm(), session.add_rules([expiring()], "nft")
        wait_for(session, lambda: armed.outcome and again.outcome)
        assert not armed.is_refused
        assert not again.is_refused
        assert len(namespace.trace_rules()) == 1


@contextmanager
def churning(namespace, tmp_path):
    """Somebody else puts 6,000 rules into a chain before ours, and takes them out, on and on."""
    file, stop = tmp_path / "churn.nft", threading.Event()
    lines = "\n".join(
        f"add rule ip raw PREROUTING ip saddr 203.0.113.{n % 256}" for n in range(6000)
    )
    file.write_text(lines)

    def churn() -> None:
        while not stop.is_set():
            namespace.run("nft", "-f", str(file), check=False)
            namespace.run("nft", "flush", "chain", "ip", "raw", "PREROUTING", check=False)

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_an_answer_that_a_change_interrupted_is_none(namespace, tmp_path):
    """The kernel passes over rules when others before them go, and says so (NLM_F_DUMP_INTR)."""
    namespace.run("iptables-nft", "-t", "raw", "-P", "PREROUTING", "ACCEPT")
    rule = ("--chain", "OUTPUT", "-4", "-p", "icmp", "--backend", "nft")
    with churning(namespace, tmp_path):
        for _ in range(TRIES):
            assert program(namespace, "rules", "add", *rule).returncode == 0
            flushed = program(namespace, "flush")
            assert (flushed.returncode, "removed nft IPv4 OUTPUT" in flushed.stdout) == (0, True)
    assert namespace.trace_rules() == []


def test_a_foreign_rule_that_got_the_handle_of_another_is_another(namespace):
    """A ruleset is flushed and written anew between the list and the key that removes."""
    namespace.run("iptables-nft", "-t", "raw", "-A", "PREROUTING", "-s", "10.0.0.1", "-j", "TRACE")
    with live(namespace) as session:
        (listed,) = session.rules
        namespace.run("nft", "flush", "ruleset")
        namespace.run(
            "iptables-nft", "-t", "raw", "-A", "PREROUTING", "-s", "192.0.2.77", "-j", "TRACE"
        )
        session.flush([listed.id])
        wait_for(session, lambda: session.rules and session.rules[0].id != listed.id)
        assert "192.0.2.77" in session.rules[0].text
    assert namespace.trace_rules() == ["-A PREROUTING -s 192.0.2.77/32 -j TRACE"]


def test_one_rule_of_a_pair_is_extended_alone(namespace):
    """Both families' rules bear one comment."""
    with live(namespace) as session:
        session.add_rules([expiring(seconds=60)._replace(family=None, proto="tcp")], "nft")
        wait_for(session, lambda: len(session.rules) == 2)
        ends = {rule.family: rule.expires for rule in session.rules}
        six = next(rule for rule in session.rules if rule.family == 6)
        session.extend_rules([six.id])
        wait_for(session, lambda: {r.family: r.expires for r in session.rules}[6] > ends[6])
        assert {rule.family: rule.expires for rule in session.rules}[4] == ends[4]


def said(session) -> str:
    return " ".join(notice.text for notice in session.take_notices())


def test_rules_are_listed_again_after_too_many_commands(namespace, lock_held):
    with live(namespace) as session:
        with lock_held():
            for _ in range(2 * WAITING_JOBS):
                session.add_rules([expiring()], "legacy")
            wait_for(session, lambda: "more are left out" in said(session), 20)
        session.flush()
        # As long as the others wait, this one is left out too.
        time.sleep(3.0)  # in which most of the others are done
        add(session, expiring(), "nft")
        namespace.run("iptables-nft", "-t", "raw", "-F")
        wait_for(session, lambda: not session.rules, 20)


def test_a_watchdog_whose_limit_was_lowered_still_sweeps(namespace, eventually):
    with live(namespace) as session:
        add(session, expiring(), "nft")
        pid = session.collector_pid
        watchdog = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        pid_limits(watchdog, resource.RLIMIT_NOFILE, 3)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: namespace.trace_rules() == [], 10.0)


def test_many_rules_of_dead_owners_are_swept_in_bounded_time(namespace, tmp_path):
    """Anybody can write a comment; what is left is told by its number."""
    inode = os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116 - a magic link, no path
    comment = f'-m comment --comment "tracetui:99999999.1.{inode}/ab"'
    rules = [f"-A OUTPUT -p udp --dport {1 + n} {comment} -j TRACE" for n in range(3000)]
    saved = tmp_path / "saved"
    saved.write_text("\n".join(["*raw", ":OUTPUT ACCEPT [0:0]", *rules, "COMMIT", ""]))
    namespace.run("iptables-legacy-restore", str(saved))
    session = LiveSession(namespace.name)
    try:
        wait_for(session, lambda: session.is_ready, 40)
        add(session, expiring(), "nft")
        texts = [notice.text for notice in session.take_notices()]
        assert len([text for text in texts if "NOT removed" in text]) <= NAMED_FAILURES + 1
    finally:
        session.close()


def test_record_says_nothing_of_a_collector_that_it_told_to_leave(namespace, eventually):
    process = subprocess.Popen(
        [sys.executable, "-m", "tracetui", "--netns", namespace.name, "record", "-d", "127.0.0.1"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    eventually(namespace.trace_rules, 20.0)
    time.sleep(0.5)  # in which it takes in what the collector told of the rule
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert "has ended" not in said
    assert "removed " in said


def test_what_is_removed_by_its_handle_is_still_what_was_listed(namespace):
    """Between the listing and the removal too."""
    foreign = ("-t", "raw", "-A", "PREROUTING", "-j", "TRACE", "-s")
    namespace.run("iptables-nft", *foreign, "10.0.0.1")
    tables = inside(namespace, NftRawTables)
    try:
        (listed,) = inside(namespace, lambda: tables.rules(4))
        namespace.run("nft", "flush", "ruleset")
        namespace.run("iptables-nft", *foreign, "192.0.2.77")
        assert tables.rule(4, "PREROUTING", listed.handle) is not None
        assert not tables.delete(listed)
    finally:
        tables.close()
    assert len(namespace.trace_rules()) == 1
