"""One packet is one, and its verdict what became of it, in situations of the real kernel."""

from __future__ import annotations

import contextlib
import fcntl
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tracetui.lab.network import CLIENT, SERVER, Lab
from tracetui.model.trace.packet import Packet
from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.session.live.live import LiveSession
from tracetui.session.view import about

from .queue_program import Repeater
from .tracing import explained, traced, wait_for

pytestmark = pytest.mark.kernel
PORT = 4242


class NoRules:
    """A node without rules."""

    def restores(self) -> Iterator[tuple[str, str]]:
        return iter(())


@pytest.fixture
def lab():
    with Lab(NoRules()) as lab:  # type: ignore[arg-type]
        yield lab


def run(namespace: str, *argv: str, text: str = "") -> None:
    subprocess.run(
        ["ip", "netns", "exec", namespace, *argv],
        input=text, check=True, capture_output=True, text=True, timeout=20,
    )  # fmt: skip


def nft(lab: Lab, rules: str) -> None:
    run(lab.node, "nft", "-f", "-", text=rules)


def iptables(lab: Lab, backend: str, *lines: str) -> None:
    for line in lines:
        run(lab.node, f"iptables-{backend}", *line.split())


def send(lab: Lab, to: str, port: int = PORT) -> None:
    """One UDP packet from the client."""
    with lab.inside(lab.client, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as one:
        one.sendto(b"x", (to, port))


def the_packet(session: LiveSession, to: str, port: int = PORT) -> tuple:
    """The only one to there, explained."""

    def is_meant(packet: Packet) -> bool:
        header = packet.header
        return header is not None and (header.dst, header.dport) == (to, port)

    found = explained(session, is_meant)
    assert sum(is_meant(packet) for packet in session.packets) == 1
    return found


def chains(packet: Packet) -> list[str]:
    return list(dict.fromkeys(hop.chain for hop in packet.hops))


@pytest.mark.parametrize(("policy", "verdict"), [("ACCEPT", "accept"), ("DROP", "drop")])
@pytest.mark.parametrize("match", ["", "-p udp "])
def test_return_in_a_base_chain_of_legacy(lab, match, policy, verdict):
    iptables(
        lab,
        "legacy",
        "-A FORWARD -p tcp -j DROP",
        f"-A FORWARD {match}-j RETURN",
        "-A FORWARD -p udp -j DROP",
        f"-P FORWARD {policy}",
    )
    with traced(lab, "legacy", proto="udp", iif="eth0") as session:
        send(lab, SERVER[4])
        packet, explanation = the_packet(session, SERVER[4])
        told = [here for hop, here in zip(packet.hops, explanation.hops) if hop.table == "filter"]
        assert [here.verdict for here in told] == ["return", policy.lower()]
        assert [here.state for here in told] == ["known", "known"]
        assert explanation.verdict == verdict


BRIDGE = """
table bridge t {
 chain c1 { type filter hook prerouting priority -300; udp dport 4242 meta nftrace set 1; }
 chain c2 { type filter hook forward priority 0; }
 chain c3 { type filter hook postrouting priority 0; }
 chain c4 { type filter hook input priority 0; }
}
table ip f {
 chain d1 { type filter hook prerouting priority -150; }
 chain d2 { type filter hook forward priority 0; }
 chain d3 { type filter hook postrouting priority 0; }
 chain d4 { type filter hook input priority 0; }
}
"""


def bridge(lab: Lab) -> None:
    """Make the node a bridge between client and server, with IP above it."""
    run(lab.node, "ip", "link", "add", "br0", "type", "bridge")
    for name in ("eth0", "cali7"):
        run(lab.node, "ip", "address", "flush", "dev", name)
        run(lab.node, "ip", "link", "set", name, "master", "br0")
    run(lab.node, "ip", "link", "set", "br0", "up")
    run(lab.node, "ip", "address", "add", "10.200.0.1/16", "dev", "br0")
    for name, address in ((lab.client, CLIENT[4]), (lab.server, SERVER[4])):
        run(name, "ip", "address", "flush", "dev", "eth0")
        run(name, "ip", "address", "add", f"{address}/16", "dev", "eth0")


def test_a_bridged_packet_that_ip_s_chains_see_too_is_one(lab):
    bridge(lab)
    run(lab.node, "sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=1")
    nft(lab, BRIDGE)
    with traced(lab, "nft", proto="udp", dport="9", family=4) as session:
        send(lab, SERVER[4])
        packet, explanation = the_packet(session, SERVER[4])
        native = [chain for chain in chains(packet) if chain != "PREROUTING"]
        assert native == ["c1", "d1", "c2", "d2", "c3", "d3"]
        assert (explanation.verdict, explanation.why) == ("accept", "")
        nft(lab, "add rule ip f d2 udp dport 4242 drop")
        send(lab, SERVER[4])
        packet, _ = explained(session, lambda one: one.hops[-1].verdict == "drop")
        assert chains(packet)[-1] == "d2"


def test_a_bridged_packet_to_this_node_is_one(lab):
    bridge(lab)
    nft(lab, BRIDGE)
    with traced(lab, "nft", proto="udp", dport="9", family=4) as session:
        send(lab, "10.200.0.1")
        packet, explanation = the_packet(session, "10.200.0.1")
        assert chains(packet)[-1] == "d4"
        assert explanation.verdict == "accept"


NETDEV = """
table netdev d {
 chain g1 { type filter hook ingress device eth0 priority -300; udp dport 4242 meta nftrace set 1; }
 chain g2 { type filter hook egress device cali7 priority 0; }
}
table inet f {
 chain d0 { type filter hook ingress device eth0 priority 0; }
 chain d1 { type filter hook prerouting priority -150; }
 chain d2 { type filter hook forward priority 0; }
 chain d3 { type filter hook input priority 0; }
 chain d4 { type filter hook postrouting priority 0; }
}
"""


def test_what_leaves_through_a_netdev_egress_chain_is_accepted(lab):
    nft(lab, NETDEV)
    with traced(lab, "nft", proto="udp", dport="9", family=4) as session:
        send(lab, SERVER[4])
        packet, explanation = the_packet(session, SERVER[4])
        native = [chain for chain in chains(packet) if chain != "PREROUTING"]
        assert native == ["g1", "d0", "d1", "d2", "d4", "g2"]
        assert (explanation.verdict, explanation.why) == ("accept", "")


def test_a_packet_that_comes_right_after_the_trace_rule_brought_its_chain_is_accepted(lab):
    """The reading before it had no such chain, and the one behind it has."""
    nft(lab, NETDEV)
    session = LiveSession(lab.node, threshold=50_000)
    with contextlib.closing(session):
        wait_for(session, lambda: session.is_ready)
        wait_for(session, lambda: session.rulesets.histories["nft"].latest)
        rule = TraceRule(chain="PREROUTING", proto="udp", dport="9", family=4)
        session.add_rules([rule._replace(expires=int(time.time()) + 120)], "nft")
        wait_for(session, lambda: session.rules)
        send(lab, SERVER[4])
        packet, explanation = the_packet(session, SERVER[4])
        assert "PREROUTING" in chains(packet)
        assert (explanation.verdict, explanation.why) == ("accept", "")


def test_what_netdev_sends_on_by_itself_is_taken_over(lab):
    nft(lab, NETDEV.replace("nftrace set 1;", "nftrace set 1; udp dport 4242 fwd to cali7;"))
    with traced(lab, "nft", proto="udp", dport="9", family=4) as session:
        send(lab, SERVER[4])
        _, explanation = the_packet(session, SERVER[4])
        assert explanation.verdict == "unknown"
        assert explanation.why.startswith("taken over")


SWITCHED = """
table inet t {
 chain p { type filter hook prerouting priority 10; udp dport 4242 meta nftrace set 0; }
 chain f { type filter hook forward priority 0; }
 chain i { type filter hook input priority 0; }
}
"""


def test_a_trace_that_a_rule_switched_off_is_told_from_a_packet_that_was_stopped(lab):
    nft(lab, SWITCHED)
    run(lab.node, "ip", "route", "add", "blackhole", "10.9.1.0/24")
    with traced(lab, "nft", proto="udp", iif="eth0") as session:
        send(lab, SERVER[4])
        _, explanation = the_packet(session, SERVER[4])
        assert explanation.verdict == "unknown"
        assert "switched off: a rule of t p" in explanation.why
        # That chain let this one go.
        send(lab, "10.9.1.1", PORT + 1)
        _, explanation = the_packet(session, "10.9.1.1", PORT + 1)
        assert explanation.why.startswith("not dropped by a rule: routing")
        assert "blackhole" in explanation.why


def test_two_base_chains_of_one_table_at_one_hook(lab):
    iptables(lab, "nft", "-A FORWARD -p udp --dport 4242")
    nft(
        lab,
        "add chain ip filter forward { type filter hook forward priority 5; }\n"
        "add rule ip filter forward counter\n",
    )
    with traced(lab, "nft", proto="udp", iif="eth0") as session:
        send(lab, SERVER[4])
        packet, explanation = the_packet(session, SERVER[4])
        assert chains(packet) == ["PREROUTING", "FORWARD", "forward"]
        assert explanation.verdict == "accept"


TPROXY = (
    "-t mangle -A PREROUTING -p udp --dport 4242 -j TPROXY --on-port 50080 --tproxy-mark 0x1/0x1"
)


@pytest.mark.parametrize(("backend", "verdict"), [("legacy", "unknown"), ("nft", "drop")])
def test_tproxy_without_a_socket_drops(lab, backend, verdict):
    iptables(lab, backend, TPROXY, "-A FORWARD -p tcp", "-A INPUT -p tcp")
    with traced(lab, backend, proto="udp", iif="eth0") as session:
        send(lab, SERVER[4])
        _, explanation = the_packet(session, SERVER[4])
        assert explanation.verdict == verdict
        assert "no route" not in explanation.why
        assert backend == "nft" or "drops what no socket" in explanation.why


@pytest.mark.parametrize("backend", ["legacy", "nft"])
def test_tproxy_with_a_socket_and_without_the_mark_s_route_is_not_called_no_route(lab, backend):
    iptables(lab, backend, TPROXY, "-A FORWARD -p tcp", "-A INPUT -p tcp")
    with lab.inside(lab.node, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as taker:
        ip_transparent = 19
        taker.setsockopt(socket.SOL_IP, ip_transparent, 1)
        taker.bind(("", 50080))
        with traced(lab, backend, proto="udp", iif="eth0") as session:
            send(lab, SERVER[4])
            _, explanation = the_packet(session, SERVER[4])
            assert explanation.verdict == "unknown"
            assert "no route" not in explanation.why
            assert "ip rule fwmark" in explanation.why


def test_the_copy_of_a_multicast_that_loops_back_has_a_packet_of_its_own(lab):
    run(lab.node, "ip", "route", "add", "default", "dev", "eth0")
    iptables(lab, "nft", "-t mangle -A POSTROUTING -p tcp", "-t mangle -A INPUT -p tcp")
    own = socket.inet_aton("10.200.1.1")
    member = struct.pack("4s4s", socket.inet_aton("239.1.1.1"), own)

    def sockets() -> tuple[socket.socket, socket.socket]:
        kinds = socket.AF_INET, socket.SOCK_DGRAM
        return socket.socket(*kinds), socket.socket(*kinds)

    sender, receiver = lab.inside(lab.node, sockets)
    with sender, receiver, traced(lab, "nft", chain="OUTPUT", proto="udp") as session:
        receiver.bind(("", PORT))
        receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, own)
        sender.sendto(b"x", ("239.1.1.1", PORT))
        packet, explanation = explained(session, lambda one: chains(one)[0] == "OUTPUT")
        assert chains(packet) == ["OUTPUT", "POSTROUTING"]
        assert len({hop.trace_id for hop in packet.hops}) == 1
        assert explanation.verdict == "accept"
        assert [chains(one) for one in session.packets if one is not packet] == [
            ["POSTROUTING"],
            ["INPUT"],
        ]


def test_a_program_that_has_a_packet_pass_its_hook_again_leaves_it_one(lab):
    queue = "-m mark --mark 0 -j NFQUEUE --queue-num 78"
    iptables(lab, "nft", f"-A FORWARD -p udp --dport 4242 {queue}")
    with Repeater(lab, 78), traced(lab, "nft", proto="udp", iif="eth0") as session:
        send(lab, SERVER[4])
        packet, explanation = the_packet(session, SERVER[4])
        forward = [hop.verdict for hop in packet.hops if hop.chain == "FORWARD"]
        assert forward[0] == "queue"
        assert forward[-1] == "accept"
        assert explanation.verdict == "accept"


@pytest.mark.parametrize("backend", ["legacy", "nft"])
def test_a_packet_for_a_queue_without_a_program_is_told_so(lab, backend):
    iptables(lab, backend, "-A FORWARD -p udp --dport 4242 -j NFQUEUE --queue-num 77")
    with traced(lab, backend, proto="udp", iif="eth0") as session:
        send(lab, SERVER[4])
        _, explanation = the_packet(session, SERVER[4])
        assert explanation.verdict == "unknown"
        assert "NFQUEUE" in explanation.why


def test_a_record_that_the_kernel_does_not_stamp_has_no_distance_from_one_that_it_does(lab):
    iptables(lab, "legacy", "-A FORWARD -p tcp", "-t mangle -A POSTROUTING -p tcp")
    with traced(lab, "legacy", proto="udp", iif="eth0") as session:
        send(lab, SERVER[4])
        packet, _ = the_packet(session, SERVER[4])
        stamped = [us is not None for us in packet.stamps()]
        assert stamped == [hook != "POSTROUTING" for hook in packet.hooks]
        assert "POSTROUTING" in packet.hooks


@pytest.mark.parametrize("kind", ["blackhole", "unreachable", "prohibit", "none", "good"])
def test_no_route_is_said_only_where_the_node_has_none(lab, kind):
    nft(lab, SWITCHED.replace("meta nftrace set 0", "counter"))
    to = "10.9.1.1"
    if kind == "good":
        to = SERVER[4]
        run(lab.node, "sysctl", "-qw", "net.ipv4.ip_forward=0")
    elif kind != "none":
        run(lab.node, "ip", "route", "add", kind, "10.9.1.0/24")
    with traced(lab, "nft", proto="udp", iif="eth0") as session:
        wait_for(session, lambda: session.status.sysctls)
        send(lab, to)
        _, explanation = the_packet(session, to)
        assert explanation.verdict == "unknown"
        assert ("no route" in explanation.why) == (kind == "none")
        if kind not in ("none", "good"):
            assert f"a {kind} route" in explanation.why


def test_a_packet_with_df_that_is_larger_than_the_next_mtu_is_told_so(lab):
    run(lab.node, "ip", "link", "set", "cali7", "mtu", "1000")
    nft(lab, SWITCHED.replace("meta nftrace set 0", "counter"))
    with traced(lab, "nft", proto="udp", iif="eth0") as session:
        with lab.inside(
            lab.client, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        ) as one:
            one.setsockopt(socket.IPPROTO_IP, 10, 3)  # IP_MTU_DISCOVER, IP_PMTUDISC_PROBE
            one.sendto(b"x" * 1200, (SERVER[4], PORT))
        _, explanation = the_packet(session, SERVER[4])
        assert explanation.verdict == "unknown"
        assert "larger (1,228 bytes) than the MTU of its path, and it has DF" in explanation.why


@pytest.mark.parametrize("backend", ["legacy", "nft"])
def test_a_packet_that_synproxy_takes_over_is_told_so(lab, backend):
    iptables(
        lab,
        backend,
        "-t raw -A PREROUTING -p tcp --dport 4242 --syn -j CT --notrack",
        "-A FORWARD -p tcp -m conntrack --ctstate INVALID,UNTRACKED -j SYNPROXY --mss 1460",
        "-A FORWARD -p udp",
    )
    with traced(lab, backend, proto="tcp", dport=str(PORT), iif="eth0") as session:
        with lab.inside(
            lab.client, lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        ) as one:
            one.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                one.connect((SERVER[4], PORT))
            _, explanation = explained(session, lambda packet: packet.header is not None)
        assert explanation.verdict != "accept"
        assert "SYNPROXY" in explanation.why


@pytest.mark.parametrize("backend", ["legacy", "nft"])
def test_a_packet_to_the_node_itself_without_an_input_chain_is_delivered(lab, backend):
    if backend == "nft":
        iptables(lab, backend, "-A FORWARD -p udp")
    else:
        iptables(lab, backend, "-t raw -A PREROUTING -p tcp")
    with traced(lab, backend, proto="udp", iif="eth0") as session:
        wait_for(session, lambda: session.status.sysctls)
        send(lab, "10.200.1.1")
        _, explanation = the_packet(session, "10.200.1.1")
        assert explanation.verdict == "accept"
        assert "no chain in INPUT would show it" in explanation.why


@pytest.mark.parametrize("kind", ["vxlan", "tun"])
def test_what_goes_into_a_tunnel_is_told_so(lab, kind):
    make = {
        "vxlan": "link add t0 type vxlan id 5 remote 10.200.2.2 dstport 4789",
        "tun": "tuntap add mode tun name t0",
    }[kind]
    run(lab.node, "ip", *make.split())
    with contextlib.ExitStack() as stack:
        if kind == "tun":
            # It has a carrier while a program holds it.
            held = stack.enter_context(Path("/dev/net/tun").open("r+b", buffering=0))
            request = struct.pack("16sH22x", b"t0", 0x1001)
            lab.inside(lab.node, lambda: fcntl.ioctl(held, 0x400454CA, request))
        run(lab.node, "ip", "address", "add", "10.7.0.1/24", "dev", "t0")
        run(lab.node, "ip", "link", "set", "t0", "up")
        if kind == "vxlan":
            known = "neighbour", "add", "10.7.0.9", "lladdr", "02:00:00:00:00:09"
            run(lab.node, "ip", *known, "dev", "t0")
        iptables(lab, "nft", "-A FORWARD -p tcp", "-t mangle -A POSTROUTING -p tcp")
        with traced(lab, "nft", proto="udp", iif="eth0") as session:
            wait_for(session, lambda: session.status.sysctls.get("tunnel.t0"))
            send(lab, "10.7.0.9")
            _, explanation = the_packet(session, "10.7.0.9")
            assert explanation.verdict == "accept"
            assert f"into a tunnel: t0 ({kind})" in explanation.why


@pytest.mark.parametrize("backend", ["legacy", "nft"])
def test_what_tee_sends_is_called_a_copy(lab, backend):
    iptables(
        lab,
        backend,
        "-t mangle -A PREROUTING -p udp --dport 4242 -j TEE --gateway 10.200.2.2",
        "-A FORWARD -p tcp",
        "-A OUTPUT -p tcp",
        "-t mangle -A POSTROUTING -p tcp",
    )
    with traced(lab, backend, proto="udp", iif="eth0") as session:
        wait_for(session, lambda: session.status.sysctls)
        send(lab, SERVER[4])
        copy, explanation = explained(session, lambda one: one.hooks[0] == "OUTPUT")
        assert copy.header.src == CLIENT[4]
        assert "a copy of another packet" in explanation.why
        (original,) = (one for one in session.packets if one.hooks[0] == "PREROUTING")
        assert session.explain(original).verdict == "accept"
        assert "copy" not in session.explain(original).why


@pytest.mark.parametrize("backend", ["legacy", "nft"])
def test_segments_that_travel_as_one_are_called_an_aggregate(lab, backend):
    """The sender leaves cutting to the device (GSO), so the node sees more than a frame holds."""
    with contextlib.ExitStack() as stack:
        listener = lab.inside(lab.server, lambda: socket.create_server((SERVER[4], PORT)))
        stack.enter_context(listener)
        session = stack.enter_context(traced(lab, backend, proto="tcp", iif="eth0"))
        client = lab.inside(lab.client, lambda: socket.create_connection((SERVER[4], PORT), 5))
        stack.enter_context(client)
        taken, _ = listener.accept()
        with taken:
            client.sendall(bytes(100_000))
            left = 100_000
            while left:
                left -= len(taken.recv(left))
        large, explanation = explained(
            session, lambda one: one.header and one.header.length > about.LONGEST_FRAME
        )
        length = f"{large.header.length:,}: more than a frame's 1,500, an aggregate"
        assert any(length in line for line in about.about(large, explanation))
        (opening,) = (one for one in session.packets if one.header.flags == "SYN")
        told = about.about(opening, session.explain(opening))
        assert not any("aggregate" in line for line in told)
