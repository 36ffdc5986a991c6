"""Rulesets of programs that nobody here wrote, loaded into a namespace and met by real packets."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager

import pytest

from tracetui.kernel import netns, procfs
from tracetui.model.explain import delivery
from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.session.live.live import LiveSession

from .tracing import explained, wait_for

pytestmark = pytest.mark.kernel


@contextmanager
def traced_inside(namespace, backend="nft", chain="OUTPUT", family=4, **fields):
    """A session whose rule traces what leaves the namespace, the rulesets read before."""
    session = LiveSession(namespace.name, threshold=50_000)
    try:
        wait_for(session, lambda: session.is_ready)
        rule = TraceRule(chain=chain, family=family, limit=None, expires=int(time.time()) + 120)
        session.add_rules([rule._replace(**fields)], backend, override=True)
        wait_for(session, lambda: session.rules)
        history = session.rulesets.histories[backend]
        latest = history.latest
        wait_for(session, lambda: history.latest >= min(latest + 1, 2))
        yield session
    finally:
        session.close()


@contextmanager
def loaded_by_an_owner(namespace, script: str, table: str):
    """A ruleset whose tables go when the program that loaded it does, as firewalld's."""
    nft = subprocess.Popen(
        ["ip", "netns", "exec", namespace.name, "nft", "-i"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        nft.stdin.write(script)
        nft.stdin.flush()
        end = time.monotonic() + 10
        while "policy" not in namespace.run("nft", "list", "table", *table.split(), check=False):
            assert time.monotonic() < end
            time.sleep(0.02)
        yield
    finally:
        nft.stdin.close()
        nft.wait(10)


def udp_to(namespace, port: int, address: str = "127.0.0.1") -> None:
    """Send a datagram; who sends hears of a drop at OUTPUT."""
    namespace.run(
        "python3", "-c",
        "import socket, sys; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM);"
        f"s.sendto(b'x', ('{address}', {port}))", check=False,
    )  # fmt: skip


def is_to(port: int):
    return lambda packet: packet.header is not None and packet.header.dport == port


def texts(packet, explanation, table: str) -> list[str | None]:
    return [
        here.rule.text if here.rule is not None else None
        for hop, here in zip(packet.hops, explanation.hops)
        if hop.table == table
    ]


def test_the_rules_of_a_table_with_an_owner_are_told(namespace):
    script = (
        "add table inet guarded { flags owner; }\n"
        "add chain inet guarded filter_OUTPUT { type filter hook output priority 10; }\n"
        "add rule inet guarded filter_OUTPUT udp dport 9998 reject with icmpx admin-prohibited\n"
    )
    with loaded_by_an_owner(namespace, script, "inet guarded"):
        assert "progname nft" in namespace.run("nft", "-a", "list", "table", "inet", "guarded")
        with traced_inside(namespace, proto="udp") as session:
            udp_to(namespace, 9998)
            packet, explanation = explained(session, is_to(9998))
            assert texts(packet, explanation, "guarded") == [
                "udp dport 9998 reject with icmpx admin-prohibited"
            ]
            assert explanation.verdict == "reject"


def test_the_rules_of_an_unnamed_chain_are_told_and_shift_no_other(namespace):
    for rule in (
        "add table inet shop",
        "add chain inet shop gate { type filter hook output priority 10; }",
        "add rule inet shop gate udp dport 5000 jump { counter; ip daddr 10.0.0.1 drop; }",
        "add rule inet shop gate udp dport { 9997, 9998 } jump "
        '{ ip daddr 10.0.0.1 accept; ip daddr 127.0.0.1 counter comment "in"; return; }',
        "add rule inet shop gate udp dport 9998 goto { drop; }",
    ):
        namespace.run("nft", rule)
    with traced_inside(namespace, proto="udp") as session:
        udp_to(namespace, 9998)
        packet, explanation = explained(session, is_to(9998))
        told = [
            (here.number, here.rule.text)
            for hop, here in zip(packet.hops, explanation.hops)
            if hop.table == "shop"
        ]
        inner = 'ip daddr 10.0.0.1 accept; ip daddr 127.0.0.1 counter comment "in"; return'
        assert told == [
            (2, f"udp dport {{ 9997, 9998 }} jump {{ {inner} }}"),
            (2, 'ip daddr 127.0.0.1 counter comment "in"'),
            (3, "return"),
            (3, "udp dport 9998 goto { drop }"),
            (1, "drop"),
        ]
        assert explanation.verdict == "drop"


def test_what_came_while_a_big_set_was_being_listed_is_explained_in_the_end(namespace, tmp_path):
    """Elements are fetched whether wanted or not (nft 1.0); a hop of that while had no text."""
    elements = ",".join(f"10.{at >> 16}.{at >> 8 & 255}.{at & 255}" for at in range(30_000))
    script = tmp_path / "big.nft"
    script.write_text(
        "table inet shop {\n"
        f" set blocked {{ type ipv4_addr; elements = {{ {elements} }}; }}\n"
        " chain gate { type filter hook output priority 10;\n"
        "  udp dport 9998 ip daddr @blocked drop\n"
        "  udp dport 9998 reject\n }\n}\n"
    )
    namespace.run("nft", "-f", str(script))
    session = LiveSession(namespace.name, threshold=50_000)
    try:
        wait_for(session, lambda: session.is_ready)
        rule = TraceRule(chain="OUTPUT", family=4, proto="udp", expires=int(time.time()) + 120)
        session.add_rules([rule], "nft", override=True)
        wait_for(session, lambda: session.rulesets.histories["nft"].latest)
        udp_to(namespace, 9998)
        packet, explanation = explained(session, is_to(9998))
        assert texts(packet, explanation, "shop") == ["udp dport 9998 reject"]
        assert explanation.verdict == "reject"
    finally:
        session.close()


def test_a_node_with_nft_and_legacy_in_one_hook_accepts_packets(namespace):
    """As firewalld beside Docker on legacy; every accepted packet was unknown."""
    for rule in (
        "add table inet firewalld",
        "add chain inet firewalld filter_INPUT { type filter hook input priority 10; }",
        "add rule inet firewalld filter_INPUT udp dport 9998 counter accept",
        "add chain inet firewalld early { type filter hook input priority -10; }",
        "add rule inet firewalld early udp dport 9998 counter",
    ):
        namespace.run("nft", rule)
    namespace.run("iptables-legacy", "-A", "INPUT", "-p", "udp", "-j", "ACCEPT")
    namespace.have_nft_traced()
    with traced_inside(namespace, "legacy", chain="PREROUTING", proto="udp") as session:
        udp_to(namespace, 9998)
        packet, explanation = explained(session, is_to(9998))
        places = dict.fromkeys((hop.backend, hop.chain) for hop in packet.hops)
        assert [*places][1:] == [("nft", "early"), ("legacy", "INPUT"), ("nft", "filter_INPUT")]
        assert explanation.verdict == "accept"
        assert packet.hops[explanation.decided].chain == "filter_INPUT"


@pytest.mark.parametrize("backend", ["nft", "legacy"])
def test_a_packet_to_the_node_itself_is_accepted_where_only_forward_has_chains(namespace, backend):
    """As with netavark, libvirt or Docker alone; it was unknown for ever."""
    if backend == "nft":
        namespace.run("nft", "add table inet netavark")
        chain = "{ type filter hook forward priority 0; }"
        namespace.run("nft", f"add chain inet netavark FORWARD {chain}")
    with traced_inside(namespace, backend, chain="PREROUTING", proto="udp") as session:
        udp_to(namespace, 9998)
        packet, explanation = explained(session, is_to(9998))
        assert packet.hook_of(len(packet.hops) - 1) == "PREROUTING"
        assert (explanation.verdict, explanation.decided) == ("accept", len(packet.hops) - 1)
        assert "127.0.0.1 is this node's" in explanation.why


def test_a_packet_that_was_sent_elsewhere_is_not_taken_for_the_node_s(namespace, other_namespace):
    """Over loopback it would be the node's: NAT was done in OUTPUT, and is done once."""
    there = other_namespace.name
    namespace.run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", there)
    namespace.run("ip", "addr", "add", "10.7.0.1/24", "dev", "v0")
    namespace.run("ip", "link", "set", "v0", "up")
    other_namespace.run("ip", "addr", "add", "10.7.0.2/24", "dev", "v1")
    other_namespace.run("ip", "link", "set", "v1", "up")
    for rule in (
        "add table ip netavark",
        "add chain ip netavark FORWARD { type filter hook forward priority 0; }",
        "add chain ip netavark DNAT { type nat hook prerouting priority -100; }",
        "add rule ip netavark DNAT udp dport 9998 dnat to 10.9.9.9:9998",
    ):
        namespace.run("nft", rule)
    with traced_inside(namespace, chain="PREROUTING", proto="udp") as session:
        udp_to(other_namespace, 9998, "10.7.0.1")
        packet, explanation = explained(session, is_to(9998))
        assert any(hop.chain == "DNAT" for hop in packet.hops)
        assert explanation.verdict == "unknown"
        udp_to(other_namespace, 9997, "10.7.0.1")
        _, explanation = explained(session, is_to(9997))
        assert explanation.verdict == "accept"


def test_what_is_local_is_what_the_node_delivers_to_itself(namespace):
    for address in ("10.7.0.1/24", "10.8.0.1/32", "fd00:7::1/64"):
        namespace.run("ip", "addr", "add", address, "dev", "lo")
    namespace.run("ip", "route", "add", "local", "10.77.0.0/16", "dev", "lo")
    found = netns.call_inside(netns.resolve(namespace.name), procfs.local_addresses)
    # Of loopback all of an address's network is.
    local = ("10.7.0.1", "10.7.0.2", "10.8.0.1", "127.0.0.1", "127.1.2.3", "10.77.3.4", "fd00:7::1")
    for address in local:
        assert delivery.is_local(address, found), address
    for address in ("10.7.1.2", "10.8.0.2", "fd00:7::2", "1.1.1.1"):
        assert not delivery.is_local(address, found), address


@pytest.mark.parametrize("backend", ["nft", "legacy"])
def test_a_packet_whose_prefix_is_translated_is_one_packet(namespace, other_namespace, backend):
    there = other_namespace.name
    namespace.run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", there)
    for one, device, address in (
        (namespace, "v0", "fd00:7::1"),
        (other_namespace, "v1", "fd00:7::2"),
    ):
        one.run("ip", "addr", "add", f"{address}/64", "dev", device, "nodad")
        one.run("ip", "link", "set", device, "up")
    rule = "-d fd00:7::/64 -p udp -j DNPT --src-pfx fd00:7::/64 --dst-pfx fd00:8::/64"
    namespace.run(f"ip6tables-{backend}", "-t", "mangle", "-A", "PREROUTING", *rule.split())
    namespace.run(f"ip6tables-{backend}", "-t", "filter", "-A", "INPUT", "-p", "udp", "-j", "DROP")
    namespace.run("ip", "-6", "route", "add", "local", "fd00:8::/32", "dev", "lo")
    with traced_inside(namespace, backend, chain="PREROUTING", family=6, proto="udp") as session:
        other_namespace.run(
            "python3", "-c",
            "import socket; s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM);"
            "s.sendto(b'x', ('fd00:7::1', 9998))",
        )  # fmt: skip
        _, explanation = explained(session, is_to(9998))
        met = [[hop.place for hop in one.hops] for one in session.packets if is_to(9998)(one)]
        assert len(met) == 1, met
        (change,) = [one for one in explanation.changes if one.field == "dst"]
        assert change.new[0].startswith("fd00:8:")
        by = explanation.hops[change.hop_index]
        assert (change.by, by.state, by.rule and by.rule.text) == (
            "rule",
            "known",
            f"-A PREROUTING {rule}",
        )
        assert explanation.verdict == "drop"
