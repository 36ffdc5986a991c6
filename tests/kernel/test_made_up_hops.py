"""Records of ``-j NFLOG`` that read like TRACE's: what of them can be told, and what can't."""

from __future__ import annotations

import json
import select

import pytest
from tests.recorded import datagrams
from tests.safety.live import add, live, poll_until, rule, send

from tracetui.kernel import netns
from tracetui.kernel.netlink import NfLog
from tracetui.model.trace.hop import NFLOG
from tracetui.model.trace.trace_point import FORGED
from tracetui.parse.netlink import nflog
from tracetui.session.recording import report

pytestmark = pytest.mark.kernel

NO_TRACE = {
    "another hook's chain": ("OUTPUT", "raw:PREROUTING:policy:2 "),
    "a rule of another hook's chain": ("OUTPUT", "filter:FORWARD:rule:1 "),
    "a table that is not at the hook": ("INPUT", "raw:SHOP:rule:1 "),
    "a table that iptables has not": ("OUTPUT", "shop:OUTPUT:policy:1 "),
    "a policy of a user's chain": ("OUTPUT", "filter:SHOP:policy:1 "),
    "the end of a hook's chain as a user's": ("OUTPUT", "filter:OUTPUT:return:1 "),
    "rule 0": ("OUTPUT", "filter:OUTPUT:rule:0 "),
    "a number that no counter holds": ("OUTPUT", "filter:OUTPUT:rule:4294967296 "),
    "a name that is too long": ("OUTPUT", f"raw:{'S' * 30}:rule:1 "),
    "no blank at the end": ("OUTPUT", "filter:OUTPUT:policy:1"),
}
CAN_BE_TRACE = {
    "a chain that there may be": ("OUTPUT", "raw:SHOP:rule:1 "),
    "the end of it": ("OUTPUT", "nat:SHOP:return:7 "),
    "the policy": ("OUTPUT", "raw:OUTPUT:policy:2 "),
    "a user's chain with the name of a hook": ("OUTPUT", "nat:FORWARD:return:1 "),
}
MANY = """
*raw
:INPUT - [0:0]
-A OUTPUT -j INPUT
-A INPUT -m mark --mark 7 -j RETURN
-A PREROUTING -j ACCEPT
COMMIT
*mangle
:SHOP - [0:0]
:EMPTY - [0:0]
-A PREROUTING -j SHOP
-A INPUT -j SHOP
-A OUTPUT -j SHOP
-A POSTROUTING -j SHOP
-A SHOP -j EMPTY
-A SHOP -j RETURN
COMMIT
*nat
:FORWARD - [0:0]
-A PREROUTING -j FORWARD
-A INPUT -j FORWARD
-A OUTPUT -j FORWARD
-A POSTROUTING -j FORWARD
-A FORWARD -m conntrack --ctstate INVALID -j RETURN
-A FORWARD -j RETURN
COMMIT
*filter
:PREROUTING - [0:0]
-A OUTPUT -j PREROUTING
-A INPUT -g PREROUTING
-A PREROUTING -m mark --mark 0 -j RETURN
COMMIT
*security
:abcdefghijklmnopqrstuvwxyz12 - [0:0]
-A OUTPUT -j abcdefghijklmnopqrstuvwxyz12
-A INPUT -j ACCEPT
COMMIT
"""


def inside(namespace, function):
    return netns.call_inside(netns.resolve(namespace.name), function)


def received(receiver) -> list[bytes]:
    """What has come of packets that were all answered: the kernel sends it before they go on."""
    assert select.select([receiver], [], [], 10.0)[0]
    found, _, is_all = receiver.receive(10_000)
    assert is_all
    return found


def sources(receiver) -> list:
    """Of the hops that have come."""
    found = received(receiver)
    hops = [nflog.parse(datagram, {}, 1.0) for datagram in found]
    return [hop.source for hop in hops if hop is not None]


def logging(chain: str, said: str) -> list[str]:
    return ["-A", chain, "-j", "NFLOG", "--nflog-group", "0", "--nflog-prefix", f"TRACE: {said}"]


@pytest.fixture
def receiver(namespace):
    opened = inside(namespace, NfLog)
    yield opened
    opened.close()


@pytest.mark.parametrize(("chain", "said"), NO_TRACE.values(), ids=NO_TRACE)
def test_what_trace_can_not_have_sent_is_marked(namespace, receiver, chain, said):
    namespace.run("iptables-legacy", *logging(chain, said))
    namespace.ping()
    assert set(sources(receiver)) == {FORGED}


@pytest.mark.parametrize(("chain", "said"), CAN_BE_TRACE.values(), ids=CAN_BE_TRACE)
def test_what_trace_can_have_sent_is_not_told_from_it_by_the_record(
    namespace, receiver, chain, said
):
    """The records are the same, byte for byte: only the rules tell more, or nothing does."""
    namespace.run("iptables-legacy", *logging(chain, said))
    namespace.ping()
    assert set(sources(receiver)) == {None}


def test_a_rule_of_nft_that_logs_is_marked_alike(namespace, receiver):
    namespace.run("nft", "add table inet shop")
    namespace.run("nft", "add chain inet shop sent { type filter hook output priority 0; }")
    said = 'log prefix "TRACE: raw:PREROUTING:policy:2 " group 0'
    namespace.run("nft", f"add rule inet shop sent {said}")
    namespace.ping()
    assert set(sources(receiver)) == {FORGED}


def test_a_rule_that_logs_hides_no_hop(namespace, receiver):
    """Its records may be sent many at a time, and a hop among them."""
    namespace.run("sh", "-c", "echo nfnetlink_log > /proc/sys/net/netfilter/nf_log/2")
    rule = [*logging("OUTPUT", "raw:PREROUTING:policy:2 "), "--nflog-threshold", "50"]
    namespace.run("iptables-legacy", "-t", "mangle", *rule)
    namespace.run("iptables-legacy", "-t", "raw", "-I", "OUTPUT", "-j", "TRACE")
    namespace.ping()
    found = received(receiver)
    hops = [nflog.parse(datagram, {}, 1.0) for datagram in found]
    assert [hop.point.text for hop in hops[:4]] == [
        "raw:OUTPUT:policy:2",
        "mangle:OUTPUT:rule:1",
        "raw:PREROUTING:policy:2",
        "mangle:OUTPUT:policy:2",
    ]
    assert [hop.source for hop in hops[:4]] == [None, None, FORGED, None]


@pytest.mark.parametrize("family", ["ip", "ip6"])
def test_nothing_that_trace_sends_is_marked(namespace, receiver, family):
    """Whatever the chains are called, however they end, in every table at every hook."""
    number = {"ip": 2, "ip6": 10}[family]
    namespace.run("sh", "-c", f"echo nfnetlink_log > /proc/sys/net/netfilter/nf_log/{number}")
    restore = f"printf '{MANY}' | {family}tables-legacy-restore --noflush"
    namespace.run("sh", "-c", restore)
    namespace.run(f"{family}tables-legacy", "-t", "raw", "-I", "OUTPUT", "-j", "TRACE")
    namespace.ping(address={"ip": "127.0.0.1", "ip6": "::1"}[family])
    found = received(receiver)
    hops = [hop for datagram in found if (hop := nflog.parse(datagram, {}, 1.0)) is not None]
    met = {(hop.table, hop.hook) for hop in hops}
    print(sorted(met))
    # nat is asked about the first packet of a connection only, which has left.
    assert len(met) == 2 + 4 + 2 + 2 + 2
    assert {hop.type for hop in hops} == {"rule", "return", "policy"}
    assert {hop.source for hop in hops} == {None}


@pytest.mark.parametrize("name", ["2cpu-interleaved-nflog.bin.gz", "scenario-legacy-nflog.bin.gz"])
def test_nothing_that_was_recorded_of_trace_is_marked(name):
    hops = [nflog.parse(datagram, {}, 1.0) for datagram in datagrams(name)]
    assert {hop.source for hop in hops if hop is not None} == {None}


def test_a_made_up_hop_is_shown_alone_marked_and_the_packet_is_what_it_was(namespace):
    """It is no part of the path that it says it is of, and tells nothing about the packet."""
    namespace.run("iptables-legacy", *logging("OUTPUT", "nat:POSTROUTING:policy:1 "))
    with live(namespace) as session:
        add(session, rule(), "legacy")
        send(namespace, 1)
        poll_until(session, lambda: len(session.packets) >= 2)
        packets = [one for one in session.packets if one.header.proto == "udp"]
        (made_up,) = (one for one in packets if one.hops[0].source == FORGED)
        (real, *_) = (one for one in packets if one is not made_up)
        assert len(made_up.hops) == 1
        assert {hop.source for hop in real.hops} == {None}
        assert [hop.table for hop in real.hops if hop.hook == "OUTPUT"][-1] == "filter"
        explained = session.explain(made_up)
        value = report.packet_json(made_up, explained)
        assert value["hops"][0]["source"] == "forged"
        assert value["hops"][0]["rule"] is None
        assert value["verdict"] == "unknown"
        assert "(forged)" in report.head_text(made_up, explained)
        assert "source" not in json.dumps(report.packet_json(real, session.explain(real)))


@pytest.mark.parametrize("said", ["filter:OUTPUT:policy:2 ", "filter:OUTPUT:rule:9 "])
def test_what_a_rule_may_have_said_is_marked_by_the_rules(namespace, said):
    """TRACE's own hop of the policy is marked too: the records are the same."""
    namespace.run("iptables-legacy", *logging("OUTPUT", said))
    with live(namespace) as session:
        add(session, rule(), "legacy")
        history = session.rulesets.histories["legacy"]
        poll_until(session, lambda: history.latest >= 2)
        send(namespace, 1)
        place = said.strip()

        def marked() -> list:
            return [
                here.source
                for packet in session.packets
                for hop, here in zip(packet.hops, session.explain(packet).hops)
                if hop.place == place
            ]

        poll_until(session, marked)
        poll_until(session, lambda: not any(session.explain(p).is_pending for p in session.packets))
        assert set(marked()) == {NFLOG}
