"""The end of a rule: put off, announced, and kept where the kernel can't."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .live import Told, add, live, poll_for, poll_until, quiet, rule, send, sender
from .terminal import PROGRAM, Terminal

pytestmark = pytest.mark.kernel

BACKENDS = ("legacy", "nft")
PACKETS = 2_000


@pytest.mark.parametrize("backend", BACKENDS)
def test_while_a_rule_is_extended_every_packet_is_traced_once(faults, backend):
    with live(faults.namespace, threshold=10**9) as session:
        add(session, rule(), backend)
        send(faults.namespace, 1)
        poll_until(session, lambda: session.packets.hops)
        quiet(session)
        each, packets = session.packets.hops, len(session.packets)
        argv = ["ip", "netns", "exec", faults.namespace.name]
        running = subprocess.Popen([*argv, sys.executable, "-c", sender(PACKETS, 0.001)])
        extended = 0
        while running.poll() is None:
            # Each puts the end off by ten minutes, and a rule ends within a day.
            if extended < 100:
                extend(session)
                extended += 1
            else:
                poll_for(session, 0.1)
        assert extended > 5
        assert len(faults.namespace.trace_rules()) == 1
        quiet(session)
        assert session.packets.hops == each * (PACKETS + 1)
        assert len(session.packets) == packets * (PACKETS + 1)
        assert max(len(packet.hops) for packet in session.packets) <= each
    faults.leaves_nothing("a rule is extended under traffic")


def extend(session) -> None:
    """Have the only rule of a session end later, and wait for that."""
    ends = session.rules[0].expires
    session.extend_rules()
    poll_until(session, lambda: session.rules and session.rules[0].expires > ends)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_extended_rule_ends_later_in_the_kernel(faults, backend):
    with live(faults.namespace) as session:
        add(session, rule(seconds=30), backend)
        add(session, rule(seconds=30, dport="11"), backend)
        before = {one.text: one.expires for one in session.rules}
        chosen = next(one for one in session.rules if "11" in one.text)
        told = Told(session)
        session.extend_rules([chosen.id])
        poll_until(session, lambda: "ends at" in told)
        poll_until(session, lambda: {o.text: o.expires for o in session.rules} != before)
        after = {one.text: one.expires for one in session.rules}
        assert {text: after[text] - before[text] for text in before} == {
            chosen.text: 600,
            next(text for text in before if text != chosen.text): 0,
        }
        for _ in range(150):
            session.extend_rules()
        poll_for(session, 1.0)
        assert max(one.expires for one in session.rules) <= time.time() + 24 * 3600


def test_the_last_minute_is_announced_and_a_key_extends(faults):
    name = faults.namespace.name
    rule = ("--chain", "OUTPUT", "-4", "-p", "icmp", "--expire", "75s")
    with Terminal("--netns", name, *rule, mark=name, size=(160, 40)) as program:
        program.wait_for(faults.namespace.trace_rules)
        program.wait_for("ends 1:")
        assert "e extends" not in program.text
        program.wait_for("e extends", 40)
        # Looked at once a second; a machine with much to do has it some seconds late.
        program.wait_for(lambda: re.search(r"ends in (60|5\d) s: ", program.text))
        program.type("e")
        program.wait_for("ends 10:")
        assert len(faults.namespace.trace_rules()) == 1
        program.type("q")
        program.process.wait(20)
        faults.leaves_nothing("a rule is extended by a key", program)


@pytest.fixture
def lacking(tmp_path):
    """Has iptables refuse rules with these matches, as it does where the kernel lacks them.

    What is given are the words before a command for which iptables' extensions lack some.
    """
    real = next(path for path in Path("/usr/lib").glob("*/xtables") if path.is_dir())

    def lack(*names: str) -> tuple[str, ...]:
        fewer = tmp_path / "xtables"
        shutil.copytree(real, fewer)
        for name in names:
            (fewer / f"libxt_{name}.so").unlink()
        return ("unshare", "-m", "sh", "-c", f'mount --bind {fewer} {real} && exec "$@"', "sh")

    return lack


@pytest.mark.parametrize("backend", BACKENDS)
def test_without_xt_time_the_collector_ends_the_rule_and_says_so(faults, lacking, backend):
    with live(faults.namespace, launcher=lacking("time")) as session:
        told = Told(session)
        add(session, rule(seconds=4, limit=20), backend)
        assert "only tracetui ends it" in told
        (text,) = faults.namespace.trace_rules()
        assert "--datestop" not in text
        assert "--limit 20/sec" in text
        (shown,) = session.rules
        assert shown.is_watched
        assert 0 < shown.expires - time.time() <= 5
        poll_until(session, lambda: not session.rules)
        assert "expired" in told
        faults.leaves_no_rules("the kernel has no xt_time")
        add(session, rule(seconds=30, limit=20), backend)
        before = session.rules[0].expires
        session.extend_rules()
        poll_until(session, lambda: session.rules[0].expires > before + 500)
    faults.leaves_nothing("the kernel has no xt_time")


def test_without_limit_a_rule_on_nft_is_added_and_that_is_said(faults, lacking):
    with live(faults.namespace, launcher=lacking("limit")) as session:
        told = Told(session)
        session.add_rules([rule(limit=20)], "nft")
        poll_until(session, lambda: session.rules)
        assert "only the guard bounds it" in told
        (text,) = faults.namespace.trace_rules()
        assert "--limit" not in text
        assert "--datestop" in text
    faults.leaves_nothing("the kernel has no limit match")


def test_without_limit_a_rule_on_legacy_needs_an_override(faults, lacking):
    with live(faults.namespace, launcher=lacking("limit", "time")) as session:
        told = Told(session)
        session.add_rules([rule(limit=20)], "legacy")
        poll_until(session, lambda: "no rule added" in told)
        faults.leaves_no_rules("the kernel has no limit match")
        session.add_rules([rule(limit=20)], "legacy", override=True)
        poll_until(session, lambda: session.rules)
        assert "only the guard bounds it" in told
        assert "only tracetui ends it" in told
    faults.leaves_nothing("the kernel has no limit match")


def test_without_xt_time_no_rule_is_added_that_nobody_watches(faults, lacking):
    argv = [*lacking("time"), *PROGRAM, "--netns", faults.namespace.name]
    done = subprocess.run(
        [*argv, "rules", "add", "-4", "-p", "udp"], capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "time" in done.stderr
    faults.leaves_nothing("the kernel has no xt_time")
