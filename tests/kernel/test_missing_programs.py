"""Rules that stand on a node which lacks the program that lists them.

A container brings its own iptables, kube-proxy's for instance; the node need not have one.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.programs import without

pytestmark = pytest.mark.kernel

TRACETUI = (sys.executable, "-m", "tracetui")
RULE = ("--chain", "OUTPUT", "-4", "-p", "icmp", "--seconds", "5")
LEGACY, NFT = ("*-legacy*", "*-legacy-multi"), ("*-nft*", "*-nft-multi")


def recorded(namespace, before, tmp_path, backend: str) -> tuple[str, str]:
    """What a replay shows of one traced packet, and what was said while it was recorded."""
    file = tmp_path / "trace.ndjson"
    where = ("--netns", namespace.name, "--backend", backend)
    recording = subprocess.Popen(
        [*before, *TRACETUI, "record", "-w", file, *where, *RULE],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    said = ""
    with recording:
        assert recording.stderr is not None
        for line in recording.stderr:
            said += line
            if line.startswith("tracetui: added"):
                namespace.ping()
    assert recording.returncode == 0, said
    shown = subprocess.run(
        [*TRACETUI, "replay", "--format", "text", file], capture_output=True, text=True, check=True
    )
    return shown.stdout, said


def is_said_to_have_changed(shown: str, place: str) -> bool:
    """Whether any hop there is; the TRACE rule itself has just been put in, so it may be."""
    return any(place in line and "ruleset changed" in line for line in shown.splitlines())


def test_legacy_rules_without_iptables_legacy_have_no_text_and_that_is_why(namespace, tmp_path):
    """Nothing changed there: until now every hop said so, and every verdict."""
    namespace.run("iptables-legacy", "-A", "OUTPUT", "-p", "icmp", "-j", "ACCEPT")
    (tmp_path / "sbin").mkdir()
    shown, said = recorded(namespace, without(tmp_path / "sbin", *LEGACY), tmp_path, "nft")
    why = "iptables-legacy is not installed, and /proc/net/ip_tables_names names filter"
    assert f"rules can't be read: {why}; install the iptables package" in said
    assert "legacy filter:OUTPUT rule 1" in shown
    assert f"its rules can't be listed: {why}" in shown
    assert not is_said_to_have_changed(shown, "legacy")


def test_a_family_that_has_its_command_keeps_its_rules_texts(namespace, tmp_path):
    """Alpine and OpenWrt have a package of its own for ip6tables."""
    namespace.run("iptables-legacy", "-A", "OUTPUT", "-p", "icmp", "-j", "ACCEPT")
    namespace.run("ip6tables-legacy", "-A", "OUTPUT", "-p", "ipv6-icmp", "-j", "ACCEPT")
    (tmp_path / "sbin").mkdir()
    before = without(tmp_path / "sbin", "ip6tables-legacy*")
    shown, said = recorded(namespace, before, tmp_path, "nft")
    assert "ip6tables-legacy is not installed, and /proc/net/ip6_tables_names names" in said
    assert "-A OUTPUT -p icmp -j ACCEPT" in shown


def test_rules_of_iptables_nft_have_nft_s_text_where_only_nft_is_installed(namespace, tmp_path):
    """As on Debian 12 and RHEL 9, where kube-proxy wrote them."""
    namespace.run("iptables-nft", "-A", "OUTPUT", "-p", "icmp", "-j", "ACCEPT")
    namespace.have_nft_traced()
    (tmp_path / "sbin").mkdir()
    shown, _ = recorded(namespace, without(tmp_path / "sbin", *NFT), tmp_path, "legacy")
    rule, *_ = (line for line in shown.splitlines() if "nft    filter:OUTPUT rule" in line)
    assert "accept" in rule
    assert "meta l4proto icmp" in rule
    assert not is_said_to_have_changed(shown, "nft    filter")


def test_without_iptables_nft_and_nft_it_is_said_which_rules_have_no_text(namespace, tmp_path):
    namespace.run("iptables-nft", "-A", "OUTPUT", "-p", "icmp", "-j", "ACCEPT")
    (tmp_path / "sbin").mkdir()
    shown, said = recorded(namespace, without(tmp_path / "sbin", *NFT, "nft"), tmp_path, "legacy")
    assert said.count("nft is not installed") == 1
    assert not is_said_to_have_changed(shown, "nft    filter")


def test_a_trace_rule_that_no_command_can_list_is_not_called_a_trick(namespace, tmp_path):
    """Its listing was said not to be trusted, as if a chain's name had been made to mislead."""
    namespace.run("iptables-legacy", "-t", "raw", "-A", "OUTPUT", "-p", "icmp", "-j", "TRACE")
    (tmp_path / "sbin").mkdir()
    _, said = recorded(namespace, without(tmp_path / "sbin", *LEGACY), tmp_path, "nft")
    assert "iptables-legacy is not installed; install the iptables package; its TRACE rul" in said
    assert "not trusted" not in said


def test_a_trace_rule_without_words_is_listed_with_the_reason(namespace, tmp_path):
    namespace.run("iptables-legacy", "-t", "raw", "-A", "OUTPUT", "-p", "icmp", "-j", "TRACE")
    (tmp_path / "sbin").mkdir()
    argv = [*without(tmp_path / "sbin", *LEGACY), *TRACETUI, "rules", "--netns", namespace.name]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert "rule 1 of OUTPUT" in done.stdout
    assert "iptables-legacy is not installed" in done.stderr
    assert "shown without their words" in done.stderr
    assert done.returncode == 0
