"""Headless tracing in a namespace: rules, record, flush, and every way they end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tracetui.kernel import netns
from tracetui.kernel.netlink import NfLog
from tracetui.lab.network import CLIENT_SIDE, SERVER, Lab
from tracetui.lab.ruleset import LabRuleset
from tracetui.lab.traffic import Traffic

pytestmark = pytest.mark.kernel

LOGGERS = {2: "nf_log_ipv4", 10: "nf_log_ipv6"}
FOREIGN = ["-t", "raw", "-A", "OUTPUT", "-p", "udp", "-j"]


def records(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def packets_of(file: Path) -> dict[int, dict]:
    """The packets of a record that may still grow, each as it was written last."""
    whole = file.read_text().rpartition("\n")[0]
    return {one["id"]: one for one in records(whole) if one["kind"] == "packet"}


def start(namespace, *argv: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "tracetui", "--netns", namespace.name, "record", *argv],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("backend", ["legacy", "nft"])
def test_record_writes_the_packets_and_leaves_nothing(namespace, eventually, backend):
    rule = ["--chain", "OUTPUT", "-4", "-p", "icmp", "--backend", backend]
    recorder = start(namespace, *rule, "--packets", "2", "-w", "-")
    eventually(lambda: namespace.trace_rules(), 20.0)
    namespace.ping(count=3)
    out, err = recorder.communicate(timeout=30)
    assert recorder.returncode == 0, err
    found = records(out)
    assert (found[0]["kind"], found[-1]["kind"]) == ("hello", "bye")
    packets = [one for one in found if one["kind"] == "packet"]
    assert len({one["id"] for one in packets}) == 2
    assert {one["proto"] for one in packets} == {"icmp"}
    assert {hop["backend"] for one in packets for hop in one["hops"]} == {backend}
    assert found[-1]["lost"] == 0
    assert namespace.trace_rules() == []
    assert namespace.loggers() == LOGGERS


@pytest.mark.parametrize("backend", ["legacy", "nft"])
def test_a_record_explains_itself_where_there_is_no_such_node(
    tracetui, namespace, eventually, tmp_path, backend
):
    tool = f"iptables-{backend}"
    namespace.run(tool, "-N", "GATE")
    namespace.run(tool, "-A", "GATE", "-j", "DROP")
    gate = ["-A", "OUTPUT", "-p", "icmp", "-m", "comment", "--comment", "no pings", "-j", "GATE"]
    namespace.run(tool, *gate)
    file = tmp_path / "trace.ndjson"
    rule = ["--chain", "OUTPUT", "-4", "-p", "icmp", "--backend", backend]
    recorder = start(namespace, *rule, "--packets", "1", "-w", str(file))
    eventually(lambda: namespace.trace_rules(), 20.0)
    eventually(lambda: "added" in recorder.stderr.readline(), 20.0)
    namespace.run("ping", "-c", "1", "-W", "1", "127.0.0.1", check=False)
    _, err = recorder.communicate(timeout=30)
    assert recorder.returncode == 0, err
    (packet,) = [one for one in records(file.read_text()) if one["kind"] == "packet"]
    assert packet["verdict"] == "drop"
    rules = [hop["rule"] for hop in packet["hops"][-2:]]
    assert rules == ['-A OUTPUT -p icmp -m comment --comment "no pings" -j GATE', "-A GATE -j DROP"]
    kinds = [one["kind"] for one in records(file.read_text())]
    assert "ruleset" in kinds
    again = tracetui("replay", "--format", "json", str(file))
    (replayed,) = [one for one in records(again.out) if one["kind"] == "packet"]
    assert replayed == packet
    told = tracetui("replay", str(file)).out
    assert "drop  -A GATE -j DROP" in told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_record_ends_cleanly_on_a_signal(namespace, eventually, tmp_path, number):
    file = tmp_path / "trace.ndjson"
    recorder = start(namespace, "--chain", "OUTPUT", "-p", "icmp", "-w", str(file))
    eventually(lambda: namespace.trace_rules(), 20.0)
    namespace.ping()
    eventually(lambda: '"kind": "packet"' in file.read_text(), 20.0)
    recorder.send_signal(number)
    _, err = recorder.communicate(timeout=30)
    assert recorder.returncode == 0, err
    assert records(file.read_text())[-1]["kind"] == "bye"
    assert file.stat().st_mode & 0o777 == 0o600
    assert namespace.trace_rules() == []
    assert namespace.loggers() == LOGGERS


def test_record_ends_after_its_seconds(tracetui, namespace):
    done = tracetui(
        *("--netns", namespace.name, "record", "--chain", "OUTPUT", "-p", "icmp"),
        *("--seconds", "1", "-w", "-"),
    )
    assert done.status == 0
    assert records(done.out)[-1]["packets"] == 0


@pytest.mark.parametrize("kind", ["legacy", "nft"])
def test_a_replay_of_a_record_is_what_was_live(tracetui, tmp_path, eventually, kind):
    file = tmp_path / "lab.ndjson"
    with Lab(LabRuleset(kind, SERVER)) as lab, Traffic(lab) as traffic:
        argv = [
            *(sys.executable, "-m", "tracetui", "--netns", lab.node, "record"),
            *("-i", CLIENT_SIDE, "--limit", "none", "--force", "-w", str(file)),
        ]
        with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as recorder:
            while "added" not in recorder.stderr.readline():
                assert recorder.poll() is None
            for _ in range(3):
                traffic.ask("web")
                traffic.ask("dns")
            # The last packets of the traffic are recorded once no hop of theirs comes any more.
            eventually(lambda: len(packets_of(file)) > 10, 20.0)
            recorder.send_signal(signal.SIGINT)
            assert recorder.wait(30) == 0
    live = packets_of(file)
    assert any(one["nat"] for one in live.values())
    done = tracetui("replay", "--format", "json", str(file))
    again = [one for one in records(done.out) if one["kind"] == "packet"]
    ordered = sorted(live.values(), key=lambda one: one["id"])
    assert [without_id(one) for one in again] == [without_id(one) for one in ordered]


BURST = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    for _ in range(3000):
        sender.sendto(b"x", ("127.0.0.1", 9))
"""


@pytest.mark.parametrize("backend", ["legacy", "nft"])
def test_a_recording_holds_every_hop_that_came_though_it_is_ended_at_once(
    namespace, eventually, tmp_path, backend
):
    file = tmp_path / "burst.ndjson"
    rule = ["--chain", "OUTPUT", "-4", "-p", "udp", "--backend", backend, "--limit", "none"]
    recorder = start(namespace, "--guard", "10000000", *rule, "--force", "-w", str(file))
    eventually(lambda: namespace.trace_rules(), 20.0)
    namespace.run(sys.executable, "-c", BURST)
    recorder.send_signal(signal.SIGINT)
    _, err = recorder.communicate(timeout=60)
    assert recorder.returncode == 0, err
    told = records(file.read_text())
    last = {one["id"]: one for one in told if one["kind"] == "packet"}
    bye = told[-1]
    assert (bye["kind"], bye["lost"], bye["unshown"]) == ("bye", 0, 0)
    assert sum(len(one["hops"]) for one in last.values()) == bye["hops"]
    asked = [one for one in last.values() if one["proto"] == "udp" and one["dport"] == 9]
    # A legacy raw table has both hooks, so each is seen again as it comes in over loopback.
    assert len(asked) == (6000 if backend == "legacy" else 3000)


def without_id(packet: dict) -> dict:
    return {key: value for key, value in packet.items() if key != "id"}


def test_a_record_tells_of_rules_and_of_a_trip(tracetui, namespace, eventually, tmp_path):
    file = tmp_path / "trace.ndjson"
    rule = ["--chain", "OUTPUT", "-4", "-p", "icmp", "--backend", "nft", "--limit", "none"]
    recorder = start(namespace, "--guard", "20", *rule, "--force", "-w", str(file))
    eventually(lambda: namespace.trace_rules(), 20.0)
    namespace.run("ping", "-c", "300", "-i", "0.002", "-q", "127.0.0.1", check=False)
    eventually(lambda: '"rules": []' in file.read_text(), 20.0)
    recorder.send_signal(signal.SIGINT)
    _, err = recorder.communicate(timeout=30)
    assert recorder.returncode == 1, err
    found = records(file.read_text())
    (trip,) = [one for one in found if one["kind"] == "guard"]
    assert (trip["state"], trip["threshold"]) == ("tripped", 20)
    assert "over 20" in trip["reason"]
    listed = [one["rules"] for one in found if one["kind"] == "rules"]
    assert [rule["ours"] for rule in listed[0]] == [True]
    assert listed[-1] == []
    done = tracetui("replay", "--format", "json", str(file))
    assert f"the guard tripped: {trip['reason']}" in done.err


@pytest.mark.alone
def test_the_kernel_log_is_a_source_where_it_is_asked_for(namespace, eventually):
    setting = Path("/proc/sys/net/netfilter/nf_log_all_netns")
    before = setting.read_text()
    setting.write_text("1")
    try:
        rule = ["--chain", "OUTPUT", "-4", "-p", "icmp", "--backend", "legacy"]
        recorder = start(namespace, "--source", "kmsg", *rule, "--packets", "2", "-w", "-")
        eventually(lambda: namespace.trace_rules(), 20.0)
        namespace.ping(count=3)
        out, err = recorder.communicate(timeout=30)
    finally:
        setting.write_text(before)
    assert recorder.returncode == 0, err
    assert records(out)[0]["sources"] == ["kmsg"]
    packets = [one for one in records(out) if one["kind"] == "packet"]
    assert {one["proto"] for one in packets} == {"icmp"}
    assert namespace.loggers() == LOGGERS


def test_a_taken_nflog_group_is_left_to_who_has_it(namespace, eventually):
    holder = netns.call_inside(netns.resolve(namespace.name), NfLog)
    try:
        rule = ["--chain", "OUTPUT", "-4", "-p", "icmp", "--backend", "legacy"]
        recorder = start(namespace, *rule, "--seconds", "3", "-w", "-")
        eventually(lambda: namespace.trace_rules(), 20.0)
        assert namespace.loggers() == LOGGERS
        out, err = recorder.communicate(timeout=30)
    finally:
        holder.close()
    assert recorder.returncode == 0, err
    assert "kmsg" in records(out)[0]["sources"]
    assert "group 0" in err
    assert "kernel log" in err
    assert namespace.trace_rules() == []


def test_rules_are_added_listed_and_deleted(tracetui, namespace):
    where = ("--netns", namespace.name)
    added = tracetui(*where, "rules", "add", "-4", "-p", "tcp", "--dport", "443", "--expire", "2m")
    assert added.status == 0, added.err
    assert len(namespace.trace_rules()) == 1
    assert "--datestop" in namespace.trace_rules()[0]
    listed = tracetui(*where, "rules")
    assert "--dport 443" in listed.out
    rule_id = listed.out.splitlines()[1].split()[0]
    assert tracetui(*where, "rules", "delete", "ffffff").status == 1
    assert len(namespace.trace_rules()) == 1
    assert tracetui(*where, "rules", "delete", rule_id).status == 0
    assert namespace.trace_rules() == []


def test_flush_takes_ours_and_flush_all_names_the_foreign(tracetui, namespace):
    where = ("--netns", namespace.name)
    namespace.run("iptables-nft", *FOREIGN, "TRACE")
    namespace.run("iptables-nft", *FOREIGN, "NOTRACK")
    tracetui(*where, "rules", "add", "-4", "-p", "tcp", "--dport", "443")
    assert len(namespace.trace_rules()) == 2
    done = tracetui(*where, "flush")
    assert done.status == 0
    assert "dport 443" in done.out + done.err
    assert ["-p udp" in rule for rule in namespace.trace_rules()] == [True]
    done = tracetui(*where, "flush", "--all")
    assert "foreign" in (done.out + done.err).lower()
    assert namespace.trace_rules() == []
    assert "notrack" in namespace.run("iptables-nft-save", "-t", "raw").lower()


def test_a_costly_rule_needs_force(tracetui, namespace):
    where = ("--netns", namespace.name)
    wide = ("--backend", "legacy", "-4", "-p", "tcp", "--limit", "none")
    done = tracetui(*where, "record", *wide, "--seconds", "1", "-w", "-")
    assert done.status == 1
    assert "legacy" in done.err
    assert tracetui(*where, "rules", "add", *wide).status == 1
    assert namespace.trace_rules() == []
    done = tracetui(*where, "record", *wide, "--force", "--seconds", "1", "-w", "-")
    assert done.status == 0


def test_a_namespace_that_is_not_there(tracetui):
    for argv in (["record", "-p", "icmp"], ["rules"], ["flush"]):
        done = tracetui("--netns", "no-such-namespace", *argv)
        assert done.status == 1
        assert "no-such-namespace" in done.err
        assert len(done.err.splitlines()) == 1


def test_without_root_it_says_so():
    """As nobody, with the system's python: this user can't read everything we can."""
    python = shutil.which("python3", path="/usr/bin:/bin") or sys.executable
    source = Path(__file__).parents[2] / "app"
    for argv in (["record", "-p", "icmp"], ["rules"], ["flush"], ["modules"]):
        done = subprocess.run(
            [python, "-m", "tracetui", *argv],
            env={"PYTHONPATH": str(source), "PATH": os.environ["PATH"]},
            user=65534, capture_output=True, text=True, timeout=60, cwd="/", check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        if argv == ["modules"]:
            assert done.returncode == 0, done.stderr
        else:
            assert done.returncode == 1
            assert "root" in done.stderr


def test_the_flood_ends_with_the_guards_reason(namespace, eventually):
    rule = ["--chain", "OUTPUT", "-4", "-p", "icmp", "--limit", "none", "--backend", "nft"]
    recorder = subprocess.Popen(
        [sys.executable, "-m", "tracetui", "--netns", namespace.name, "--guard", "50", "record",
         *rule, "-w", "-"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    eventually(lambda: namespace.trace_rules(), 20.0)
    end = time.monotonic() + 10
    while namespace.trace_rules() and time.monotonic() < end:
        namespace.ping(count=40)
    assert namespace.trace_rules() == []
    recorder.send_signal(signal.SIGINT)
    _, err = recorder.communicate(timeout=30)
    assert recorder.returncode == 1
    assert "the guard tripped" in err
