"""Hops that are one packet's though they look as of two, and the other way round."""

from __future__ import annotations

import pytest
from tests.recorded import assembled

from tracetui.model.trace.assembler import Assembler
from tracetui.model.trace.batch import batches_of
from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import Hop
from tracetui.model.trace.packet import Packet
from tracetui.model.trace.trace_point import nft_hook

HEADER = Header(4, "udp", "192.0.2.1", "198.51.100.1", 4000, 53, 60, 5, 64)


def nft(place: str, verdict="accept", iif=None, oif=None, header=None, trace_id=7) -> Hop:
    """An event; a header makes it the first one of its base chain."""
    family, table, chain, kind = place.split(":")
    return Hop.of(
        "nft", family, table, chain, kind, verdict=verdict, hook=nft_hook(family, table, chain),
        iif=iif, oif=oif, header=header, trace_id=trace_id, time=1e9,
    )  # fmt: skip


def legacy(place: str, iif="eth0", oif=None, header=HEADER) -> Hop:
    table, chain, kind, number = place.split(":")
    hook = chain if chain.isupper() else None
    return Hop.of(
        "legacy", "ip", table, chain, kind, rulenum=int(number), hook=hook,
        iif=iif, oif=oif, header=header, time=1e9,
    )  # fmt: skip


def in_runs(hops: list[Hop]) -> list[Packet]:
    """The packets that hops come to when they are put together in runs, as live ones are."""
    assembler, packets = Assembler(), {}
    assembler.take(batches_of(hops), lambda packet, _: packets.setdefault(packet.id, packet))
    return list(packets.values())


@pytest.fixture(params=[assembled, in_runs], ids=["hop by hop", "in runs"])
def packets_of(request):
    return request.param


def points(packets: list[Packet]) -> list[list[str]]:
    return [[hop.chain for hop in packet.hops] for packet in packets]


def test_a_bridged_packet_that_ip_sees_with_the_bridge_as_its_device_is_one(packets_of):
    forwarded = HEADER._replace(ttl=64)
    hops = [
        nft("bridge:t:c1:policy", iif="port1", header=HEADER),
        nft("ip:f:PREROUTING:policy", iif="br0", header=HEADER),
        nft("bridge:t:c2:policy", iif="port1", oif="port2", header=HEADER),
        nft("ip:f:FORWARD:policy", iif="br0", oif="br0", header=forwarded),
        nft("bridge:t:c3:policy", oif="port2", header=HEADER),
        nft("ip:f:POSTROUTING:policy", oif="br0", header=HEADER),
    ]
    assert points(packets_of(hops)) == [["c1", "PREROUTING", "c2", "FORWARD", "c3", "POSTROUTING"]]


def test_a_packet_of_another_device_of_the_same_layer_is_another(packets_of):
    hops = [
        nft("bridge:t:c1:policy", iif="port1", header=HEADER),
        nft("bridge:t:c2:policy", iif="port2", header=HEADER),
    ]
    assert len(packets_of(hops)) == 2


def test_return_without_a_match_in_a_base_chain_is_shown_as_a_policy_before_the_policy(packets_of):
    hops = [
        legacy("raw:PREROUTING:policy:1"),
        legacy("filter:FORWARD:policy:2", oif="eth1"),
        legacy("filter:FORWARD:policy:4", oif="eth1"),
        legacy("mangle:POSTROUTING:policy:1", oif="eth1"),
    ]
    assert [len(packet.hops) for packet in packets_of(hops)] == [4]


def test_behind_a_policy_the_same_policy_is_of_another_packet(packets_of):
    hops = [legacy("filter:FORWARD:policy:4"), legacy("filter:FORWARD:policy:4")]
    assert len(packets_of(hops)) == 2


def test_two_base_chains_of_one_table_at_one_hook_are_passed_by_one_packet(packets_of):
    header = HEADER._replace(ttl=63)
    hops = [
        nft("ip:raw:PREROUTING:policy", iif="eth0", header=HEADER),
        nft("ip:raw:prerouting:policy", iif="eth0", header=HEADER),
        nft("ip:filter:FORWARD:rule", "continue", "eth0", "eth1", header),
        nft("ip:filter:FORWARD:policy"),
        nft("ip:filter:forward:rule", "jump users", "eth0", "eth1", header),
        nft("ip:filter:users:return", "continue"),
        nft("ip:filter:forward:policy"),
    ]
    (packet,) = packets_of(hops)
    # Which hook the other chain is at its name does not tell.
    assert packet.hooks == ["PREROUTING", None, "FORWARD", "FORWARD", None, None, None]


def test_the_next_packet_with_the_id_begins_where_the_one_before_began(packets_of):
    one = [nft("ip:raw:PREROUTING:policy", header=HEADER), nft("ip:filter:FORWARD:policy")]
    assert len(packets_of(one + one)) == 2


def test_a_chain_that_a_program_has_a_packet_pass_again_is_of_the_same_packet(packets_of):
    hops = [
        nft("ip:raw:PREROUTING:policy", iif="eth0", header=HEADER),
        nft("ip:filter:FORWARD:rule", "jump q", iif="eth0", header=HEADER),
        nft("ip:filter:q:rule", "queue"),
        nft("ip:filter:FORWARD:rule", "continue", iif="eth0", header=HEADER),
        nft("ip:filter:FORWARD:policy"),
    ]
    assert [len(packet.hops) for packet in packets_of(hops)] == [5]
    # One that was accepted is not handed out again.
    hops[2] = nft("ip:filter:q:rule", "accept")
    assert [len(packet.hops) for packet in packets_of(hops)] == [3, 2]


@pytest.mark.parametrize("group", ["239.1.1.1", "10.0.0.255", "255.255.255.255"])
def test_the_copy_of_a_multicast_that_loops_back_is_not_the_original(packets_of, group):
    header = HEADER._replace(dst=group)
    hops = [
        nft("ip:raw:OUTPUT:policy", oif="eth0", header=header, trace_id=1),
        nft("ip:mangle:POSTROUTING:policy", oif="eth0", header=header, trace_id=2),
        nft("ip:mangle:POSTROUTING:policy", oif="eth0", header=header, trace_id=1),
        nft("ip:mangle:INPUT:policy", iif="eth0", header=header, trace_id=3),
    ]
    found = packets_of(hops)
    assert points(found) == [["OUTPUT", "POSTROUTING"], ["POSTROUTING"], ["INPUT"]]
    assert {hop.trace_id for hop in found[0].hops} == {1}


def test_an_id_that_changes_where_the_kernel_copies_what_comes_in_leaves_one_packet(packets_of):
    hops = [
        nft("ip:raw:PREROUTING:policy", iif="eth0", header=HEADER, trace_id=1),
        nft("ip:filter:FORWARD:policy", iif="eth0", oif="eth1", header=HEADER, trace_id=2),
    ]
    assert len(packets_of(hops)) == 1


def test_both_traversals_of_loopback_keep_to_themselves_whichever_backend_tells_first(packets_of):
    """The same packet leaves at OUTPUT and comes at PREROUTING; nothing in its header differs."""
    over = HEADER._replace(src="127.0.0.1", dst="127.0.0.1")
    hops = [
        nft("ip:raw:OUTPUT:policy", oif="lo", header=over, trace_id=1),
        nft("ip:raw:PREROUTING:policy", iif="lo", header=over, trace_id=2),
        legacy("raw:OUTPUT:policy:1", iif=None, oif="lo", header=over),
        legacy("raw:PREROUTING:policy:1", iif="lo", header=over),
    ]
    for order in (hops, hops[2:] + hops[:2], [hops[0], *hops[2:], hops[1]]):
        found = packets_of(order)
        assert sorted(map(sorted, points(found))) == [["OUTPUT"] * 2, ["PREROUTING"] * 2]
        assert not any(packet.ambiguous for packet in found)


@pytest.mark.parametrize("later", ["filter:FORWARD", "nat:PREROUTING"])
def test_what_this_node_sent_is_no_packet_that_it_forwards(packets_of, later):
    """A trace id that is another packet's now, without a header in between, in one batch."""
    hops = [
        nft("ip:raw:OUTPUT:return", "continue"),
        nft(f"ip:{later}:rule", "continue"),
        nft(f"ip:{later}:rule", "continue", oif="eth1", header=HEADER),
    ]
    assert [len(packet.hops) for packet in packets_of(hops)] == [2, 1]


def test_a_hop_of_output_is_in_no_packet_that_came_in_whatever_its_backend(packets_of):
    hops = [
        nft("ip:nat:PREROUTING:rule", iif="eth0", oif="eth1", header=HEADER),
        legacy("filter:app:rule:1", oif="eth1"),
        legacy("filter:app:rule:1", oif="eth1"),
        legacy("filter:OUTPUT:rule:2", oif="eth1"),
    ]
    packets = packets_of(hops)
    assert all({"PREROUTING", "OUTPUT"} - set(packet.hooks) for packet in packets)
