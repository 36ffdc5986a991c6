"""What a node can trace, and what is in the way."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tracetui.kernel import netns
from tracetui.kernel.netlink import NfLog

pytestmark = pytest.mark.kernel

RULE = ("-t", "raw", "-A", "OUTPUT", "-p", "icmp", "-j", "TRACE")


def checks(done) -> dict[str, dict]:
    return {one["name"]: one for one in json.loads(done.out)["checks"]}


def states(namespace, tracetui) -> dict[str, str]:
    found = checks(tracetui("doctor", "--json", "--netns", namespace.name))
    return {name: one["state"] for name, one in found.items()}


def everything(namespace) -> str:
    commands = ("iptables-nft-save", "ip6tables-nft-save", "cat /proc/net/netfilter/nf_log")
    names = "cat /proc/net/ip_tables_names /proc/net/ip6_tables_names"
    return "".join(namespace.run(*one.split()) for one in (*commands, names))


def test_a_node_that_has_everything_can_be_traced_and_is_not_changed(namespace, tracetui):
    before = everything(namespace)
    done = tracetui("doctor", "--netns", namespace.name)
    assert done.status == 0, done.out
    assert done.out.endswith("\nthis node can be traced\n")
    assert set(states(namespace, tracetui).values()) == {"ok"}
    assert everything(namespace) == before


def test_a_group_that_another_program_has_is_said(namespace, tracetui):
    held = netns.call_inside(netns.resolve(namespace.name), NfLog)
    try:
        done = tracetui("doctor", "--netns", namespace.name)
        assert "○ nflog           nflog group 0 is taken by another program" in done.out
        assert "--source kmsg" in done.out
        assert done.status == 0
    finally:
        held.close()


def test_rules_of_others_and_of_the_dead_are_told_apart(namespace, tracetui):
    namespace.run("iptables-nft", *RULE)
    assert states(namespace, tracetui)["TRACE rules"] == "note"
    pid_namespace = namespace.run("stat", "-Lc", "%i", "/proc/self/ns/pid").strip()
    tag = f"tracetui:999999.1.{pid_namespace}/abcdef"
    namespace.run("iptables-nft", *RULE[:-2], "-m", "comment", "--comment", tag, "-j", "TRACE")
    done = tracetui("doctor", "--netns", namespace.name)
    assert done.status == 1
    assert "1 of a tracetui that is dead" in done.out
    assert "→ tracetui flush" in done.out
    assert "1 ours, 1 foreign" in done.out
    assert tracetui("flush", "--netns", namespace.name).status == 0
    assert tracetui("doctor", "--netns", namespace.name).status == 0


def test_without_rights_it_says_what_it_could_not_look_at():
    argv = ["setpriv", "--bounding-set=-net_admin", sys.executable, "-m", "tracetui", "doctor"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert "not root" in done.stdout
    assert "→ sudo tracetui doctor" in done.stdout
    assert "can be opened" not in done.stdout
    assert done.stderr == ""


def test_without_iptables_it_says_what_to_install():
    argv = ["unshare", "-m", "sh", "-c", HIDE, sys.executable]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert "✗ iptables        no command found" in done.stdout
    assert "this node can't be traced yet" in done.stdout
    assert done.returncode == 1


HIDE = 'mount -t tmpfs none /usr/sbin && exec "$0" -m tracetui doctor'
