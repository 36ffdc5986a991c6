"""What the hops of one packet add up to."""

from __future__ import annotations

import pytest
from tests.recorded import assembled, hops_of, lines

from tracetui.model.trace.hook_hops import by_hook
from tracetui.model.trace.hop import Hop
from tracetui.model.trace.packet import Packet

FIRST = assembled(hops_of(lines("seed-eks-forward.log")))[0]


def packet(*hops: tuple[Hop, str]) -> Packet:
    traced = Packet(1)
    for hop, hook in hops:
        traced.add(hop, hook)
    return traced


def legacy(table: str, kind: str, chain: str) -> Hop:
    return Hop.of("legacy", "ip", table, chain, kind, rulenum=1)


def nft(verdict: str) -> Hop:
    return Hop.of("nft", "inet", "filter", "x", "rule", verdict=verdict)


def test_hops_are_grouped_by_hook_and_table_in_path_order():
    groups = [(group.hook, [table.table for table in group.tables]) for group in by_hook(FIRST)]
    assert groups[0] == ("PREROUTING", ["raw", "mangle", "nat"])
    assert [hook for hook, _ in groups] == ["PREROUTING", "FORWARD", "POSTROUTING"]
    inside = [index for g in by_hook(FIRST) for t in g.tables for index, _ in t.hops]
    assert inside == list(range(22))


def test_a_hop_of_a_user_chain_is_at_the_hook_it_was_called_from():
    index = next(i for i, hop in enumerate(FIRST.hops) if hop.chain == "KUBE-SERVICES")
    assert FIRST.hook_of(index) == "PREROUTING"


def test_whole_seconds_give_no_microseconds():
    """``dmesg -T`` has seconds only: nothing can be said about what one hop took."""
    assert FIRST.us(5) is None


def test_microseconds_never_run_backwards():
    traced = Packet(1)
    for time in (10.5, 10.7, 10.6):
        traced.add(legacy("raw", "policy", "PREROUTING")._replace(time=time), "PREROUTING")
    assert [traced.us(index) for index in range(3)] == [0, 200_000, 200_000]


@pytest.mark.parametrize(
    ("hop", "hook", "verdict"),
    [
        (legacy("nat", "policy", "POSTROUTING"), "POSTROUTING", "accept"),
        (legacy("nat", "rule", "KUBE-POSTROUTING"), "POSTROUTING", "accept"),
        (legacy("mangle", "policy", "POSTROUTING"), "POSTROUTING", "accept"),
        (legacy("security", "policy", "INPUT"), "INPUT", "accept"),
        (legacy("filter", "policy", "INPUT"), "INPUT", "unknown"),
        (legacy("filter", "rule", "FORWARD"), "FORWARD", "unknown"),
        (legacy("filter", "policy", "FORWARD"), "FORWARD", "unknown"),
        (nft("drop"), "FORWARD", "drop"),
        (nft("accept"), "INPUT", "accept"),
        (nft("accept"), "FORWARD", "unknown"),
        (nft("jump x"), "POSTROUTING", "unknown"),
    ],
)
def test_a_verdict_is_said_only_where_it_is_known_without_the_rules(hop, hook, verdict):
    assert packet((hop, hook)).verdict == verdict


def test_a_mark_that_was_set_is_a_change():
    traced = packet(
        (legacy("raw", "policy", "PREROUTING"), "PREROUTING"),
        (legacy("nat", "rule", "X").with_(mark=0x4000), "PREROUTING"),
        (legacy("nat", "rule", "Y").with_(mark=0x4000), "PREROUTING"),
    )
    assert [traced.changed(index) for index in range(3)] == [{}, {"mark": 0x4000}, {}]


@pytest.mark.parametrize(
    ("times", "told"),
    [
        ([1.25, 1.25, 1.25], [None, None, None]),
        ([1.25, 1.25, 1.250004], [0, 0, 4]),
        ([1.25], [0]),
        ([1.0, 2.0], [None, None]),
        ([None, None], [None, None]),
    ],
)
def test_hops_that_were_read_at_once_have_no_distance(times, told):
    packet = Packet(1)
    for number, time in enumerate(times, start=1):
        packet.add(legacy("raw", "policy", "PREROUTING").with_(time=time, rulenum=number), None)
    assert packet.stamps() == told
