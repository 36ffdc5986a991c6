"""What is asked of the kernel, and of its tools, about rules."""

from __future__ import annotations

import fcntl
import json
import select
import subprocess
import threading
import time
from types import SimpleNamespace

import pytest

from tracetui.collector.rules import table_counts
from tracetui.collector.snapshots.ruleset_reader import LegacyRulesetReader, NftRulesetReader
from tracetui.errors import Failure
from tracetui.kernel import netns, nf_tables, xtables
from tracetui.kernel.nf_tables import FEW_CHAINS, NfTables
from tracetui.kernel.xtables import Xtables
from tracetui.kernel.xtables_lock import XtablesLock

pytestmark = pytest.mark.kernel


def inside(namespace, function):
    return netns.call_inside(netns.resolve(namespace.name), function)


def test_the_places_of_nf_tables_are_those_that_nft_lists(namespace):
    for command in (
        "add table inet shop",
        "add chain inet shop gate { type filter hook forward priority 10; policy drop; }",
        "add chain inet shop nat { type nat hook postrouting priority 100; }",
        "add chain inet shop front",
        "add rule inet shop gate jump front",
        "add rule inet shop gate counter",
    ):
        namespace.run("nft", command)
    kernel = inside(namespace, NfTables)
    before = kernel.generation()
    places = kernel.outline()
    assert places.is_whole
    assert [(table.family, table.name) for table in places.tables] == [("inet", "shop")]
    chains = {chain.name: chain for chain in places.chains}
    gate = chains["gate"]
    assert (gate.hook, gate.priority, gate.policy, gate.type) == ("FORWARD", 10, "drop", "filter")
    assert chains["nat"].type == "nat"
    assert (chains["front"].hook, chains["front"].type) == (None, None)
    listed = namespace.run("nft", "-a", "list", "chain", "inet", "shop", "gate")
    assert all(f"# handle {handle}" in listed for handle in gate.handles)
    assert len(gate.handles) == 2
    assert kernel.generation() == before
    namespace.run("nft", "delete table inet shop")
    namespace.run("nft", "add table inet shop")
    assert kernel.generation() == before + 2
    assert kernel.outline().tables[0].handle != places.tables[0].handle
    kernel.close()


def test_the_places_of_many_chains_are_those_of_few(namespace, monkeypatch, tmp_path):
    """They are asked for chain by chain, and not all at once."""
    names = [f"c{number}" for number in range(FEW_CHAINS + 1)]
    chains = [f":{name} - [0:0]" for name in names]
    rules = [f"-A {name} -p icmp -j {way}" for name in names for way in ("DROP", "RETURN")]
    saved = tmp_path / "saved"
    saved.write_text("\n".join(["*filter", *chains, *rules, "COMMIT", ""]))
    namespace.run("iptables-nft-restore", str(saved))
    namespace.run("nft", "add table inet shop")
    namespace.run("nft", "add chain inet shop c0")
    namespace.run("nft", "add rule inet shop c0 counter")
    kernel = inside(namespace, NfTables)
    by_chain, sizes = kernel.outline(), kernel.sizes()
    monkeypatch.setattr(nf_tables, "FEW_CHAINS", len(names) + 9)
    assert kernel.outline() == by_chain
    assert kernel.sizes() == sizes
    assert sizes["ip", "filter", "c7"] == 2
    assert sizes["inet", "shop", "c0"] == 1
    assert sum(sizes.values()) == 2 * len(names) + 1
    counts = inside(namespace, table_counts.nft)
    assert counts[:2] == (2 * len(names), 2)
    kernel.close()


def test_an_nft_ruleset_is_read_whole_only_when_it_changed(namespace):
    namespace.run("iptables-nft", "-A", "INPUT", "-p", "icmp", "-j", "DROP")
    reader = NftRulesetReader(Xtables())
    read = lambda whole: inside(namespace, lambda: reader.read(whole))  # noqa: E731
    first = read(True)
    assert not first.same
    assert any("-A INPUT -p icmp -j DROP" in text for _, text in first.parts)
    assert read(False).same
    namespace.run("iptables-nft", "-A", "INPUT", "-p", "udp", "-j", "DROP")
    assert read(False) is None
    assert not read(True).same
    reader.forget()
    assert read(False) is None
    reader.close()


def test_a_reading_during_which_a_rule_was_added_says_that_it_left_something_out(namespace):
    namespace.run("iptables-nft", "-A", "INPUT", "-p", "icmp", "-j", "DROP")
    commands = Xtables()
    save, added = commands.save, []

    def save_and_add(backend, family):
        if not added:
            added.append(namespace.run("iptables-nft", "-A", "INPUT", "-p", "udp", "-j", "DROP"))
        return save(backend, family)

    commands.save = save_and_add  # type: ignore[method-assign]
    reader = NftRulesetReader(commands)
    first, second = (inside(namespace, lambda: reader.read(True)) for _ in range(2))
    places = [json.loads(outcome.parts[-1][1]) for outcome in (first, second)]
    assert [one.get("settled", True) for one in places] == [False, True]
    assert [chain[2] for chain in places[1]["chains"]] == ["INPUT"]
    reader.close()


@pytest.fixture
def legacy(namespace):
    """Reads the legacy rules of the namespace; what the lock tells is taken in at once."""
    lock = inside(namespace, XtablesLock)
    commands = Xtables()
    reader = LegacyRulesetReader(commands, lock)
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            if select.select([lock], [], [], 0.05)[0]:
                lock.look()

    thread = threading.Thread(target=watch)
    thread.start()
    yield SimpleNamespace(
        commands=commands, read=lambda: inside(namespace, lambda: reader.read(True)), lock=lock
    )
    stop.set()
    thread.join()
    lock.close()


def test_a_legacy_ruleset_is_the_same_whatever_its_counters_say(namespace, legacy):
    namespace.run("iptables-legacy", "-A", "OUTPUT", "-p", "icmp", "-j", "ACCEPT")
    assert not legacy.read().same
    namespace.ping()
    assert legacy.read().same
    namespace.run("iptables-legacy", "-P", "OUTPUT", "DROP")
    assert not legacy.read().same


def test_two_changes_can_be_to_and_fro_and_one_can_not(namespace, legacy):
    rule = ["OUTPUT", "-p", "icmp", "-j", "ACCEPT"]
    legacy.read()
    assert legacy.read().continuous
    namespace.run("iptables-legacy", "-A", *rule)
    assert legacy.read().continuous
    legacy.read()
    namespace.run("iptables-legacy", "-D", *rule)
    namespace.run("iptables-legacy", "-A", *rule)
    outcome = legacy.read()
    assert (outcome.same, outcome.continuous) == (True, False)
    legacy.read()
    assert legacy.read().continuous


def test_our_own_commands_are_not_taken_for_others(namespace, legacy):
    namespace.run("iptables-legacy", "-t", "raw", "-L")
    legacy.read()
    legacy.read()
    words = ["-p", "icmp", "-j", "TRACE"]
    for _ in range(5):
        inside(namespace, lambda: legacy.commands.insert("legacy", 4, "OUTPUT", words))
        inside(namespace, lambda: legacy.commands.delete("legacy", 4, "OUTPUT", words))
    assert legacy.read().continuous


def test_who_waits_with_the_lock_is_known_by_what_it_is_about_to_do(
    namespace, legacy, xtables_lock
):
    """A command that has to wait for the lock can't be gone before it was looked at."""
    if not legacy.lock.knows_who:
        pytest.fail("fanotify is not to be had here")
    with xtables_lock.open("w") as held:
        time.sleep(0.2)  # in which the kernel tells who opened the file
        before = legacy.lock.look()
        fcntl.flock(held, fcntl.LOCK_EX)
        ran = [
            subprocess.Popen(
                # A shell between: our own children are not counted.
                ["sh", "-c", f"ip netns exec {namespace.name} {command}; true"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
            for command in (
                "ip6tables-legacy -w 5 -A OUTPUT -j ACCEPT",
                "iptables-legacy -w 5 -S OUTPUT",
                "iptables-legacy -w 5 -C OUTPUT -j ACCEPT",
            )
        ]  # fmt: skip
        elsewhere = subprocess.Popen(
            ["sh", "-c", "unshare -n iptables-legacy -w 5 -A OUTPUT -j ACCEPT; true"]
        )
        time.sleep(1.0)  # in which all of them come to wait: some look again and again
        fcntl.flock(held, fcntl.LOCK_UN)
    for one in (*ran, elsewhere):
        one.wait(10)
    after = legacy.lock.look()
    assert {family: after[family] - before[family] for family in after} == {4: 0, 6: 1}


@pytest.mark.parametrize(
    "name", ["x; flush ruleset", "x\nflush ruleset", "-x y", "", "{", 'x"', "$(id)"]
)
def test_nft_is_not_asked_for_names_that_could_say_more(namespace, name):
    namespace.run("nft", "add table ip keep")
    for ask in (
        lambda: xtables.nft_chain("ip", "keep", name),
        lambda: xtables.nft_table("ip", name),
    ):
        with pytest.raises(Failure):
            inside(namespace, ask)
    assert "keep" in namespace.run("nft", "list tables")


def test_a_chain_is_listed_with_its_counters(namespace):
    namespace.run("iptables-legacy", "-A", "OUTPUT", "-p", "icmp", "-j", "ACCEPT")
    namespace.ping()
    text = inside(namespace, lambda: Xtables().chain("legacy", 4, "filter", "OUTPUT"))
    assert "-A OUTPUT -p icmp -c 2 168 -j ACCEPT" in text
    with pytest.raises(Failure):
        inside(namespace, lambda: Xtables().chain("legacy", 4, "mangle", "OUTPUT"))
