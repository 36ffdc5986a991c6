"""Names that act on terminals, in the rules and interfaces of a real namespace.

The same bytes come as netlink attributes, in the kernel log, out of iptables-save and out of /proc;
whatever way they took, they are one name, they explain the hop, and nothing of them acts.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests import hostile
from tests.terminal import Terminal, acting

from tracetui.model.rules.parsed_rule import parse_rule

pytestmark = pytest.mark.kernel

CHAINS = [name.decode(errors="backslashreplace") for name in hostile.CHAINS]
COMMENTS = [text.decode(errors="backslashreplace") for text in hostile.COMMENTS]
RULE = ["--chain", "OUTPUT", "-4", "-p", "icmp", "--limit", "none", "--force"]
FOREIGN = ["-t", "raw", "-A", "OUTPUT", "-p", "udp", "-m", "comment", "--comment"]
ALL_NETNS = Path("/proc/sys/net/netfilter/nf_log_all_netns")


@contextmanager
def every_namespace_logged():
    """Have namespaces' hops in the kernel log too."""
    before = ALL_NETNS.read_text()
    ALL_NETNS.write_text("1")
    try:
        yield
    finally:
        ALL_NETNS.write_text(before)


def recorded(namespace, eventually, *argv: str) -> list[dict]:
    """The packets of a recording of some echo requests; what it prints is inert."""
    recorder = subprocess.Popen(
        [sys.executable, "-m", "tracetui", "--netns", namespace.name, "record", *RULE, *argv],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    eventually(lambda: b"added" in recorder.stderr.readline(), 20.0)
    time.sleep(1.5)  # in which the rules are read: a record does not say so before it ends
    namespace.ping(count=2)
    time.sleep(1.0)  # in which they are read again
    recorder.terminate()
    out, err = recorder.communicate(timeout=30)
    assert recorder.returncode == 0, err
    assert out.decode().replace("\n", "").isprintable()
    lines = [json.loads(line) for line in out.splitlines()]
    return [one for one in lines if one["kind"] == "packet"]


def assert_explained(packet: dict) -> None:
    """Every chain was entered by the rule that leads there, and each has its own comment."""
    hops = [hop for hop in packet["hops"] if hop["table"] == "filter"]
    assert [hop["chain"] for hop in hops if hop["chain"] != "OUTPUT"] == CHAINS
    assert not any("ruleset_changed" in hop for hop in hops)
    jumps = [hop for hop in hops if hop["verdict"].startswith("jump ")]
    assert [hop["verdict"] for hop in jumps] == [f"jump {name}" for name in CHAINS]
    for at, hop in enumerate(jumps):
        assert parse_rule(hop["rule"]).comment == COMMENTS[at % len(COMMENTS)]
    assert packet["verdict"] == "accept"


@pytest.mark.parametrize("interface", [b"\x1b]52;c;SEFD\x07", b"raw\x9b2J"])
@pytest.mark.parametrize("backend", ["legacy", "nft"])
def test_a_hostile_name_is_recorded_as_it_is_and_its_rule_explains_the_hop(
    namespace, eventually, backend, interface
):
    hostile.fill(namespace.name, backend)
    hostile.rename_loopback(namespace.name, "lo", interface)
    packet = recorded(namespace, eventually, "--backend", backend)[0]
    assert_explained(packet)
    assert packet["out"] == interface.decode(errors="backslashreplace")


@pytest.mark.alone
@pytest.mark.parametrize("interface", [b"[bold]x", b"OUT=eth9", b"a\\x41b", b"\xff\xfebad"])
def test_the_kernel_log_gives_the_same_names(namespace, eventually, interface):
    hostile.fill(namespace.name, "legacy")
    hostile.rename_loopback(namespace.name, "lo", interface)
    with every_namespace_logged():
        packets = recorded(namespace, eventually, "--backend", "legacy", "--source", "kmsg")
    ours = [one for one in packets if len(one["hops"]) > len(CHAINS)]
    assert_explained(ours[0])
    assert ours[0]["out"] == interface.decode(errors="backslashreplace")
    assert {hop["source"] for hop in ours[0]["hops"]} == {"kmsg"}


@pytest.mark.parametrize("interface", hostile.INTERFACES)
def test_every_interface_has_one_name(namespace, interface):
    """As a hop's, and in the settings by which a loss in routing is explained."""
    hostile.rename_loopback(namespace.name, "lo", interface)
    code = (
        "import json; from tracetui.kernel import netlink, procfs\n"
        "names = [*netlink.interface_names().values(), *procfs.routing_sysctls()]\n"
        "print(json.dumps(names))"
    )
    names = json.loads(namespace.run(sys.executable, "-c", code))
    assert names[0] == interface.decode(errors="backslashreplace")
    assert f"rp_filter.{names[0]}" in names


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (200, 50)])
@pytest.mark.parametrize("backend", ["legacy", "nft"])
def test_nothing_in_a_name_acts_on_the_screen(namespace, backend, columns, rows):
    """The whole program in a terminal, over every screen that shows rules."""
    hostile.fill(namespace.name, backend)
    hostile.rename_loopback(namespace.name, "lo", hostile.INTERFACES[0])
    hostile.inside(
        namespace.name, f"iptables-{backend}", *FOREIGN, hostile.COMMENTS[0], "-j", "TRACE"
    )
    argv = ["--netns", namespace.name, *RULE, "--backend", backend]
    with Terminal(*argv, columns=columns, rows=rows) as terminal:
        terminal.wait_for("FOREIGN")
        time.sleep(1.5)  # in which the rules are read: the screen does not say so
        namespace.ping(count=2)
        terminal.wait_for("echo r")
        time.sleep(1.0)  # in which they are read again
        terminal.press("\x1b[H")
        terminal.press("\r")
        terminal.wait_for("]52;c;SEFD")
        for keys in ("u", "o", *["\x1b[B"] * 6, *["\x1b[6~"] * 6):
            terminal.press(keys)
        # Into a chain and where it leads, and back; the paths; two packets; the rules; the modules.
        for keys in ("\r", "\x1b[H", "\r", "\x7f", "\x7f", "p", "\r", "c", "\x1b[H", "c", "\x1b"):
            terminal.press(keys)
        for keys in ("2", "d", "m", "g", "\x1b"):
            terminal.press(keys)
        assert terminal.process.poll() is None
        terminal.press("q")
        written = terminal.end()
    assert terminal.process.returncode == 0
    assert all(
        word.encode() in written for word in ("宽", "[bold]x[/]", "]52;c;SEFD", "Two packets")
    )
    assert acting(written) == set()


@pytest.mark.parametrize("backend", ["legacy", "nft"])
def test_nothing_in_a_rule_acts_on_a_terminal(namespace, backend):
    """Neither in the list of rules nor in what is said of their removal, and all of them go."""
    for comment in hostile.COMMENTS:
        hostile.inside(namespace.name, f"iptables-{backend}", *FOREIGN, comment, "-j", "TRACE")
    odd = ["-t", "raw", "-A", "PREROUTING", "-i", b"a\"\x1b[2J'\\", "-m", "comment", "--comment"]
    hostile.inside(
        namespace.name, f"iptables-{backend}", *odd, b"tracetui:1.1.1/\x1b[31m", "-j", "TRACE"
    )
    with Terminal("--netns", namespace.name, "rules", columns=200) as terminal:
        listed = terminal.end()
    assert len(listed.splitlines()) == 1 + len(hostile.COMMENTS) + 1
    assert acting(listed) == set()
    (ours,) = [line for line in listed.splitlines() if b"left behind" in line or b" pid " in line]
    with Terminal("--netns", namespace.name, "rules", "delete", ours.split()[0]) as terminal:
        deleted = terminal.end()
    assert deleted.startswith(b"removed")
    assert acting(deleted) == set()
    with Terminal("--netns", namespace.name, "flush", "--all", columns=200) as terminal:
        flushed = terminal.end()
    assert flushed.count(b"removed") == len(hostile.COMMENTS)
    assert acting(flushed) == set()
    assert b"TRACE" not in namespace.run(f"iptables-{backend}-save").encode()


def test_a_recording_of_hostile_names_shows_nothing_that_acts(namespace, eventually, tmp_path):
    hostile.fill(namespace.name, "legacy")
    file = tmp_path / "hostile.ndjson"
    lines = map(json.dumps, recorded(namespace, eventually, "--backend", "legacy"))
    file.write_text("\n".join(lines))
    for form in ("text", "json"):
        with Terminal("replay", str(file), "--format", form) as terminal:
            written = terminal.end()
        assert acting(written) == set()
        assert "宽".encode() in written
