"""Rules of ours go, whatever else is in the tables: they are known by what the kernel says."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.any_name import delete_chain, make_chain
from tests.programs import before_others

from tracetui.collector.process import owner
from tracetui.collector.rules import table_counts
from tracetui.collector.rules.trace_rules import TraceRules, tag_of
from tracetui.errors import Failure
from tracetui.kernel import netns
from tracetui.kernel.legacy_tables import LegacyTables
from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.session.live.live import LiveSession

from .test_collector_safety import (
    BACKENDS,
    ICMP,
    add,
    expiring,
    flood,
    live,
    wait_for,
)

pytestmark = pytest.mark.kernel

UNKNOWN_TO_IPTABLES = {
    "meta skuid 0 counter": "unknown ipv4 meta key",
    "ct state new counter": "table `raw' is incompatible",
    "ip length 100-200 counter": "unknown payload offset",
}
"""Rules for which iptables-nft 1.8.9 lists nothing of their table, and removes nothing: three ways
to say so. A verdict map it lists as a rule without a match."""
MARKER = "MARKER-that-is-no-option"
PHANTOM = (
    f"x\n-A OUTPUT -p 99 -m comment --comment tracetui:1.1.1/ab {MARKER} -c 0 0 -j TRACE\n-N y"
).encode()


def inside(namespace, function):
    return netns.call_inside(netns.resolve(namespace.name), function)


def program(namespace, *argv: str, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*before, sys.executable, "-m", "tracetui", *argv, "--netns", namespace.name],
        capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip


def tripped(namespace, session: LiveSession, backend: str) -> None:
    """Flood a rule of the session until its guard has removed it."""
    rule = expiring()._replace(proto="udp", limit=None)
    add(session, rule, backend, override=True)
    with flood(namespace, seconds=6):
        wait_for(session, lambda: session.status.guard.tripped, 6)
        wait_for(session, lambda: session.status.guard.trip.removed, 6)
    wait_for(session, lambda: not any(rule.backend == backend for rule in session.rules))


@pytest.mark.parametrize("native", UNKNOWN_TO_IPTABLES)
def test_a_rule_that_iptables_can_t_read_keeps_none_of_ours(namespace, native):
    with live(namespace, threshold=1000) as session:
        add(session, expiring(), "nft")
        namespace.run("nft", "add", "rule", "ip", "raw", "OUTPUT", *native.split())
        with pytest.raises(AssertionError, match=UNKNOWN_TO_IPTABLES[native]):
            namespace.run("iptables-nft", "-t", "raw", "-S")
        session.delete_rule(session.rules[0].id)
        wait_for(session, lambda: not session.rules)
        add(session, expiring(), "nft")
        session.extend_rules()
        wait_for(session, lambda: any("ends at" in n.text for n in session.take_notices()))
        session.flush()
        wait_for(session, lambda: not session.rules)
        tripped(namespace, session, "nft")
        assert "nftrace" not in namespace.run("nft", "list", "table", "ip", "raw")
        session.arm()
        add(session, expiring(), "nft")
    left = namespace.run("nft", "list", "table", "ip", "raw")
    assert "nftrace" not in left
    assert native.split()[0] in left


def test_commands_find_ours_among_rules_that_iptables_can_t_read(namespace):
    """Their words are not known; they are listed by place and handle, and removed."""
    rule = ("--chain", "OUTPUT", "-4", "-p", "icmp", "--backend", "nft")
    assert program(namespace, "rules", "add", *rule).returncode == 0
    namespace.run("nft", "add", "rule", "ip", "raw", "OUTPUT", "meta", "skuid", "0")
    listed = program(namespace, "rules")
    assert listed.returncode == 0
    assert "ours" in listed.stdout
    assert "rule 1 of OUTPUT (handle " in listed.stdout
    flushed = program(namespace, "flush")
    assert (flushed.returncode, flushed.stdout.count("removed nft IPv4 OUTPUT")) == (0, 1)
    assert program(namespace, "rules").stdout == "no TRACE rules\n"


def test_a_rule_is_found_and_removed_in_a_chain_of_many(namespace, tmp_path):
    """The kernel tells a chain's rules in a time that grows with the square of their number."""
    rules = [f"-A OUTPUT -p udp -m udp --dport {1 + n % 60_000}" for n in range(20_000)]
    saved = tmp_path / "saved"
    saved.write_text("\n".join(["*raw", ":OUTPUT ACCEPT [0:0]", *rules, "COMMIT", ""]))
    for backend in BACKENDS:
        namespace.run(f"iptables-{backend}-restore", str(saved))
    with live(namespace, threshold=100) as session:
        for backend in BACKENDS:
            tripped(namespace, session, backend)
            assert "TRACE" not in namespace.run(f"iptables-{backend}-save", "-t", "raw")
            session.arm()


def test_a_ruleset_restored_with_our_rule_in_it_loses_it(namespace, tmp_path):
    """Its handle is another one then."""
    for backend in BACKENDS:
        with live(namespace) as session:
            add(session, expiring(), backend)
            saved = tmp_path / "saved"
            saved.write_text(namespace.run(f"iptables-{backend}-save", "-t", "raw"))
            namespace.run(f"iptables-{backend}", "-t", "raw", "-F")
            namespace.run(f"iptables-{backend}", "-t", "raw", "-A", "OUTPUT", "-j", "NOTRACK")
            namespace.run(f"iptables-{backend}-restore", str(saved))
            assert len(namespace.trace_rules()) == 1
        assert namespace.trace_rules() == []


def test_a_rule_that_got_the_handle_of_ours_stays(namespace):
    """A table that is made anew counts its handles from the beginning."""
    with live(namespace) as session:
        add(session, expiring(), "nft")
        listed = namespace.run("nft", "-a", "list", "chain", "ip", "raw", "OUTPUT")
        handle = next(line for line in listed.splitlines() if "nftrace" in line).split()[-1]
        namespace.run("nft", "delete", "table", "ip", "raw")
        namespace.run("iptables-nft", "-t", "raw", "-N", "filler")
        while f"# handle {handle}\n" not in (
            theirs := namespace.run("nft", "-a", "list", "table", "ip", "raw")
        ):
            namespace.run("iptables-nft", "-t", "raw", "-A", "OUTPUT", "-p", "udp", "-j", "TRACE")
    assert namespace.run("nft", "-a", "list", "table", "ip", "raw") == theirs


def test_names_that_print_as_rules_make_no_rules_and_reach_no_command(namespace, tmp_path):
    """Phantoms kept the collector from starting, and their words were passed to iptables."""
    log, tool = tmp_path / "given", tmp_path / "programs/iptables-nft"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\nprintf "%s " "$@" >> {log}\nexec /usr/sbin/iptables-nft "$@"\n')
    tool.chmod(0o755)
    namespace.run("iptables-nft", "-t", "raw", "-A", "OUTPUT", "-p", "udp", "-j", "TRACE")
    make_chain(namespace.name, b"raw", PHANTOM)
    assert MARKER in namespace.run("iptables-nft", "-t", "raw", "-S")
    began = time.monotonic()
    with live(namespace, launcher=before_others(tool.parent)) as session:
        assert [rule.is_ours for rule in session.rules] == [False]
        assert session.rules[0].words == ()
        told = [notice.text for notice in session.take_notices()]
        assert any("is not trusted: a chain is named 'x\\n-A OUTPUT" in text for text in told)
        add(session, expiring(), "nft")
        session.flush()
        wait_for(session, lambda: len(session.rules) == 1)
    assert time.monotonic() - began < 30
    assert MARKER not in log.read_text()
    flushed = program(namespace, "flush", before=before_others(tool.parent))
    assert (flushed.returncode, flushed.stdout) == (0, "nothing to remove\n")
    assert MARKER not in log.read_text()
    delete_chain(namespace.name, b"raw", PHANTOM)


def test_a_table_named_like_an_option_is_no_option(namespace, eventually, tmp_path):
    """Nft takes options behind its words; a table's name was passed on among them."""
    log, tool = tmp_path / "given", tmp_path / "programs/nft"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\nprintf "%s " "$@" >> {log}\nexec /usr/sbin/nft "$@"\n')
    tool.chmod(0o755)
    for name in ("plain", "dashed"):
        namespace.run("nft", "add", "table", "inet", name)
        namespace.run("nft", "add", "chain", "inet", name, "c")
    make_chain(namespace.name, b"plain", b"-" + MARKER.encode(), family=1)
    with live(namespace, launcher=before_others(tool.parent)) as session:
        add(session, expiring(), "nft")
        namespace.ping()
        eventually(lambda: session.poll() is None or log.exists(), 10.0)
    given = log.read_text()
    assert "-f -" in given
    assert MARKER not in given
    assert "plain" not in given


def test_what_can_t_be_looked_at_is_never_nothing(namespace, monkeypatch):
    """A kernel that does not answer, whatever the reason."""

    def refuse(*_: object) -> None:
        raise Failure("nf_tables did not answer: timed out")

    book = inside(namespace, lambda: TraceRules(tag_of(owner.unattended()), print))
    try:
        monkeypatch.setattr("tracetui.kernel.nft_socket.NftSocket.ask", refuse)
        found = inside(namespace, book.listing)
    finally:
        book.close()
    assert len(found.doubts) == 2
    assert found.doubts[0].startswith("it is not known which TRACE rules are in the nft raw table")


def starved(namespace, *argv: str) -> subprocess.CompletedProcess:
    """Run the program where a socket to nf_tables can't be had."""
    code = (
        "import sys\nfrom tracetui.kernel import nft_socket\nfrom tracetui.errors import Failure\n"
        "def refuse(): raise Failure('no nf_tables: Too many open files')\n"
        "nft_socket._netlink_socket = refuse\n"
        "from tracetui.cli import main\nsys.exit(main(sys.argv[1:]))"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *argv, "--netns", namespace.name],
        capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("argv", [("rules",), ("flush",), ("flush", "--all"), ("doctor",)])
def test_commands_fail_where_they_can_t_look(namespace, argv):
    done = starved(namespace, *argv)
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "not known which TRACE rules are in the nft raw table of IPv4" in said
    assert "nothing to remove" not in said
    assert "no TRACE rules" not in said
    assert "this node can be traced" not in said


def pid_limits(pid: int, kind: int, soft: int) -> None:
    hard = resource.prlimit(pid, kind)[1]
    resource.prlimit(pid, kind, (soft, hard))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_command_that_could_not_be_started_did_nothing(namespace, backend):
    """Nothing is removed that was never inserted, and leaving waits for nothing."""
    with live(namespace) as session:
        pid = session.collector_pid
        pid_limits(pid, resource.RLIMIT_NOFILE, len(list(Path(f"/proc/{pid}/fd").iterdir())))
        session.add_rules([expiring()], backend)
        texts: list[str] = []

        def told() -> bool:
            texts.extend(notice.text for notice in session.take_notices())
            return any("no rule added" in text for text in texts)

        wait_for(session, told, 10)
        assert not any("still removing" in text for text in texts)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    assert namespace.trace_rules() == []


def test_the_guard_needs_no_descriptor_thread_or_process_on_nf_tables(namespace):
    with live(namespace, threshold=1000) as session:
        rule = expiring()._replace(proto="udp", limit=None)
        add(session, rule, "nft", override=True)
        pid = session.collector_pid
        pid_limits(pid, resource.RLIMIT_NOFILE, 3)
        with flood(namespace, seconds=6):
            wait_for(session, lambda: session.status.guard.tripped, 6)
            wait_for(session, lambda: session.status.guard.trip.removed, 6)
        assert namespace.trace_rules() == []


def test_a_collector_takes_over_nothing_of_who_starts_it(namespace):
    """A low limit, a library path or an open file of the user's would reach root's iptables."""
    kept = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(kept, True)
    code = (
        "import os, resource, sys\n"
        "for kind in (resource.RLIMIT_FSIZE, resource.RLIMIT_CPU):\n"
        "    resource.setrlimit(kind, (1 << 20, resource.getrlimit(kind)[1]))\n"
        "os.umask(0)\nos.execvp(sys.argv[1], sys.argv[1:])"
    )
    before = dict(os.environ)
    os.environ.update(LD_LIBRARY_PATH="/of-the-user", XTABLES_LIBDIR="/of-the-user")
    try:
        with live(namespace, launcher=(sys.executable, "-c", code)) as session:
            pid = session.collector_pid
            limits = {
                kind: resource.prlimit(pid, kind)
                for kind in (resource.RLIMIT_FSIZE, resource.RLIMIT_CPU, resource.RLIMIT_CORE)
            }
            status = Path(f"/proc/{pid}/status").read_text()
            add(session, expiring(), "nft")
            assert not Path(f"/proc/{pid}/fd/{kept}").exists() or Path(
                f"/proc/{pid}/fd/{kept}"
            ).resolve() != Path("/dev/null")
            assert Path(f"/proc/{pid}/cwd").resolve() == Path("/")
    finally:
        os.environ.clear()
        os.environ.update(before)
        os.close(kept)
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    assert list(limits.values()) == [unlimited, unlimited, (0, 0)]
    assert "Umask:\t0077" in status


def test_root_s_commands_get_none_of_the_user_s_environment(namespace, tmp_path, monkeypatch):
    log, tool = tmp_path / "given", tmp_path / "programs/iptables-nft"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\nenv >> {log}\nexec /usr/sbin/iptables-nft "$@"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("XTABLES_LIBDIR", "/of-the-user")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/of-the-user")
    with live(namespace, launcher=before_others(tool.parent)) as session:
        add(session, expiring(), "nft")
    rule = ("--chain", "OUTPUT", "-4", "-p", "icmp", "--backend", "nft")
    program(namespace, "rules", "add", *rule, before=before_others(tool.parent))
    program(namespace, "flush")
    assert "PATH=" in log.read_text()
    assert "of-the-user" not in log.read_text()


def test_orders_that_come_faster_than_they_are_done_are_bounded(namespace, lock_held):
    """And the end of input is not behind all of them."""
    with live(namespace) as session:
        with lock_held():
            for _ in range(3_000):
                session.add_rules([expiring()], "legacy")
            texts: list[str] = []

            def told() -> bool:
                texts.extend(notice.text for notice in session.take_notices())
                return any("are left out" in text for text in texts)

            wait_for(session, told, 20)
        began = time.monotonic()
    assert time.monotonic() - began < 20
    assert namespace.trace_rules() == []


@pytest.fixture
def lock_held(xtables_lock):
    """Holds the xtables lock of this test's programs while the context lasts."""
    import fcntl
    from contextlib import contextmanager

    @contextmanager
    def held():
        fd = os.open(xtables_lock, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    return held


def test_a_removal_that_can_t_succeed_keeps_no_other(namespace, lock_held):
    """The next trip of the guard removes what it can, while a rule of before is waited for."""
    with live(namespace, threshold=1000) as session:
        add(session, expiring(), "legacy")
        with lock_held():
            session.flush()
            wait_for(session, lambda: any("removing" in n.text for n in session.take_notices()), 15)
            tripped(namespace, session, "nft")
            assert "nftrace" not in namespace.run("nft", "list", "ruleset")
        wait_for(session, lambda: not session.rules, 20)
    assert namespace.trace_rules() == []


def test_the_cost_is_that_of_the_tables_now(namespace, tmp_path):
    """A screen can be opened before kube-proxy has written its rules."""
    with live(namespace) as session:
        rules = [f"-A FORWARD -p udp -m udp --dport {1 + n % 60_000}" for n in range(40_000)]
        saved = tmp_path / "saved"
        saved.write_text("\n".join(["*filter", ":FORWARD ACCEPT [0:0]", *rules, "COMMIT", ""]))
        namespace.run("iptables-legacy-restore", str(saved))
        session.add_rules([expiring()._replace(limit=1000)], "legacy")
        texts: list[str] = []

        def told() -> bool:
            texts.extend(notice.text for notice in session.take_notices())
            return any("of one core" in text for text in texts)

        wait_for(session, told)
        session.add_rules([ICMP._replace(expires=int(time.time()) + 60)], "auto")
        wait_for(session, lambda: session.rules)
        assert session.rules[0].backend == "legacy"
        assert session.status.node.rules["legacy"] > 40_000


@pytest.mark.parametrize(
    "values",
    [
        {"proto": "tcp --marker"},
        {"src": "10.0.0.1 -j MARKER"},
        {"iif": "-i"},
        {"chain": "-MARKER"},
        {"dport": "80", "proto": "tcp", "sport": "1 2"},
        {"expires": 1},
        {"expires": 1 << 33},
        {"limit": 0},
    ],
)
def test_the_collector_checks_each_rule_itself(namespace, values):
    """Its pipe is not trusted to bring rules that were checked."""
    with live(namespace) as session:
        wanted = TraceRule(**{**expiring().to_json(), **values})
        session.add_rules([wanted], "nft", override=True)
        texts: list[str] = []

        def told() -> bool:
            texts.extend(notice.text for notice in session.take_notices())
            return any("no rule added" in text for text in texts)

        wait_for(session, told)
        assert namespace.trace_rules() == []


def test_values_are_rebuilt_in_iptables_form():
    wanted = {
        **TraceRule(proto="tcp").to_json(),
        "proto": "TCP",
        "dport": "080",
        "src": "10.1.2.3/8",
    }
    rule = TraceRule.from_json(wanted)
    assert (rule.proto, rule.dport, rule.src) == ("tcp", "80", "10.0.0.0/8")


def test_the_guard_removes_a_legacy_rule_when_no_descriptor_is_left(namespace):
    """It takes a process, so the collector takes back the limit that somebody lowered."""
    with live(namespace, threshold=1000) as session:
        rule = expiring()._replace(proto="udp", limit=None)
        add(session, rule, "legacy", override=True)
        pid_limits(session.collector_pid, resource.RLIMIT_NOFILE, 3)
        with flood(namespace, seconds=6):
            wait_for(session, lambda: session.status.guard.tripped, 6)
            wait_for(session, lambda: session.status.guard.trip.removed, 6)
        assert namespace.trace_rules() == []


def test_rules_are_counted_without_the_ends_of_chains(namespace):
    """The kernel counts entries: an empty table with two base chains has three."""
    for chain in ("a", "b"):
        namespace.run("iptables-legacy", "-t", "raw", "-N", chain)
    namespace.run("iptables-legacy", "-t", "raw", "-A", "a", "-p", "udp")
    namespace.run("ip6tables-legacy", "-L", "-n")
    tables = inside(namespace, LegacyTables)
    try:
        assert tables.size(4, "raw").entries == 1 + 2 + 2 * 2 + 1
        assert tables.rules(4, "raw") == 1
        assert tables.rules(6, "filter") == 0
        assert tables.rules(6, "nat") == 0
        assert table_counts.legacy(tables).total == 1
    finally:
        tables.close()
