"""What is asked of the kernel, and of its tools, about rules."""

from __future__ import annotations

import pytest

from tracetui.collector.ruleset_reader import LegacyReader, NftReader
from tracetui.errors import Failure
from tracetui.kernel import netns, xtables
from tracetui.kernel.nf_tables import NfTables
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
    places = kernel.places()
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
    assert kernel.places().tables[0].handle != places.tables[0].handle
    kernel.close()


def test_an_nft_ruleset_is_read_whole_only_when_it_changed(namespace):
    namespace.run("iptables-nft", "-A", "INPUT", "-p", "icmp", "-j", "DROP")
    reader = NftReader(Xtables())
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


def test_a_legacy_ruleset_is_the_same_whatever_its_counters_say(namespace):
    namespace.run("iptables-legacy", "-A", "OUTPUT", "-p", "icmp", "-j", "ACCEPT")
    lock = XtablesLock()
    reader = LegacyReader(Xtables(), lock)
    read = lambda: inside(namespace, lambda: reader.read(True))  # noqa: E731
    assert not read().same
    namespace.ping()
    assert read().same
    before = read().generations[1]
    namespace.run("iptables-legacy", "-P", "OUTPUT", "DROP")
    after = read()
    assert not after.same
    assert after.generations[0] - before == 1
    lock.close()


def test_the_lock_is_counted_and_our_own_commands_are_not_taken_for_others(namespace):
    lock, commands = XtablesLock(), Xtables()
    reader = LegacyReader(commands, lock)
    namespace.run("iptables-legacy", "-t", "raw", "-L")
    before = inside(namespace, lambda: reader.read(True)).generations[1]
    words = ["-p", "icmp", "-j", "TRACE"]
    inside(namespace, lambda: commands.insert("legacy", 4, "OUTPUT", words))
    inside(namespace, lambda: commands.delete("legacy", 4, "OUTPUT", words))
    assert inside(namespace, lambda: reader.read(True)).generations[1] == before
    lock.close()


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
