"""Packets by the way they took."""

from __future__ import annotations

from tests.recorded import SEED_HOPS, assembled, hops_of, lines

from tracetui.model.trace.hop import Hop
from tracetui.model.trace.packet import Packet
from tracetui.session.view.path_groups import PathGroups, first_difference


def native(number: int, verdict: str) -> Packet:
    packet = Packet(number)
    packet.add(Hop.of("nft", "inet", "fw", "in", "rule", handle=5, verdict=verdict), "INPUT")
    return packet


def paths_of(packets: list[Packet]) -> list[tuple[int, int]]:
    """Of each path the number of its packets, and the newest one's id."""
    paths = PathGroups(packets)
    while paths.work(0.0):
        pass
    assert paths.done == paths.total == len(packets)
    return [(path.count, path.newest.id) for path in paths.groups]


def test_packets_with_the_same_hops_are_one_path():
    packets = assembled(hops_of(lines("seed-eks-forward.log")))
    assert [len(packet.hops) for packet in packets] == SEED_HOPS
    assert paths_of(packets) == [(1, 1), (5, 6)]


def test_one_rule_that_accepts_and_drops_makes_two_paths():
    packets = [native(number, "drop" if number == 50 else "accept") for number in range(1, 101)]
    assert paths_of(packets) == [(99, 100), (1, 50)]


def test_two_ways_part_at_the_first_hop_that_differs():
    first, second, *_ = assembled(hops_of(lines("seed-eks-forward.log")))
    at = first_difference(first.hops, second.hops)
    assert [hop.place for hop in first.hops[:at]] == [hop.place for hop in second.hops[:at]]
    assert first.hops[at].place != second.hops[at].place
    assert first_difference(first.hops, first.hops) == len(first.hops)
