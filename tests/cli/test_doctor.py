"""What a node can trace, and what is in the way."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from tests.programs import read_only, without

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
    assert "1 of a tracetui that has ended" in done.out
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


def doctor(before: tuple[str, ...], *argv: str) -> tuple[int, str]:
    words = [*before, sys.executable, "-m", "tracetui", "doctor", *argv]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_legacy_tables_without_iptables_legacy_are_named(namespace, tmp_path):
    namespace.run("iptables-legacy", "-A", "OUTPUT", "-j", "ACCEPT")
    before = without(tmp_path, "*-legacy*", "*-legacy-multi")
    status, said = doctor(before, "--netns", namespace.name)
    assert "○ rules' text     iptables-legacy is not installed" in said
    assert "/proc/net/ip_tables_names names filter: those have no text" in said
    assert "→ apt-get install iptables" in said
    assert said.endswith("\nthis node can be traced, but not every rule can be shown\n")
    assert status == 0


@pytest.mark.parametrize("path", ["/run", "/proc/sys"])
def test_a_read_only_folder_that_keeps_nf_log_from_being_bound_is_named(namespace, path):
    """Legacy hops of a namespace are then in no log that can be had."""
    namespace.run("iptables-legacy", "-A", "OUTPUT", "-j", "ACCEPT")
    status, said = doctor(read_only(path), "--netns", namespace.name)
    assert "✗ nf_log" in said
    assert f"can't be bound to nflog: {path}/" in said
    assert "Read-only file system; the kernel log does not have them either" in said
    assert said.endswith("\nthis node can't be traced yet\n")
    assert status == 1


def test_rules_of_nft_can_be_traced_where_nf_log_can_t_be_bound(namespace):
    status, said = doctor(read_only("/proc/sys"), "--netns", namespace.name)
    assert "○ nf_log" in said
    assert said.endswith("\nthis node can be traced, but legacy hops are not available\n")
    assert status == 0


def test_in_a_container_it_is_not_known_whether_the_kernel_log_has_its_hops():
    status, said = doctor(("unshare", "-n", *read_only("/proc/sys")))
    assert "? nf_log" in said
    assert said.endswith("but whether legacy hops are available is not known\n")
    assert status == 0


def test_a_lock_that_can_t_be_made_keeps_rules_out_of_legacy_tables(tmp_path):
    """iptables-legacy says "can't open lock file" and does nothing (1.8.9)."""
    mount = (
        'mount -t tmpfs none /run && mount -o remount,ro /run && exec env -u XTABLES_LOCKFILE "$@"'
    )
    _, said = doctor(("unshare", "-n", "-m", "sh", "-c", mount, "sh"))
    assert (
        "○ xtables lock    can't be taken, so iptables-legacy does nothing: /run: Read-on" in said
    )
    assert "no rule can be put into legacy tables" in said
