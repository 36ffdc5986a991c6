"""Recordings as tests read them."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Optional

from tracetui.model.trace.assembler import Assembler
from tracetui.model.trace.batch import HopBatch
from tracetui.model.trace.hop import Hop
from tracetui.model.trace.packet import Packet
from tracetui.parse.line_reader import LineReader

RECORDINGS = Path(__file__).parent / "recordings"
SEED_HOPS = [22, 6, 6, 6, 6, 6]


def lines(name: str) -> list[str]:
    return (RECORDINGS / name).read_text().splitlines()


def unpacked(name: str) -> str:
    return gzip.decompress((RECORDINGS / name).read_bytes()).decode()


def datagrams(name: str) -> Iterator[bytes]:
    data = gzip.decompress((RECORDINGS / name).read_bytes())
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        yield data[at + 4 : at + 4 + length]
        at += 4 + length


def hops_of(text: Iterable[str]) -> list[Hop]:
    reader = LineReader()
    return [*(hop for line in text for hop in reader.feed(line)), *reader.finish()]


def hop_of(line: str) -> Optional[Hop]:
    """The only hop of a line; None if it holds none."""
    hops = hops_of([line])
    assert len(hops) <= 1
    return hops[0] if hops else None


def assembled(hops: Iterable[Hop]) -> list[Packet]:
    """The packets in the order they began."""
    assembler = Assembler()
    packets: dict[int, Packet] = {}
    for hop in hops:
        packet = put(assembler, hop)
        packets[packet.id] = packet
    return list(packets.values())


def put(assembler: Assembler, hop: Hop) -> Packet:
    """The packet that a hop is put into, as it is alone."""
    found: list[Packet] = []
    assembler.take([HopBatch.of(hop)], lambda packet, _: found.append(packet))
    (packet,) = found
    return packet


def sections(name: str) -> dict[str, list[str]]:
    """The lines below each ``##`` of a recording."""
    found: dict[str, list[str]] = {}
    title = ""
    for line in lines(name):
        if line.startswith("## "):
            title = line[3:]
        elif line.strip():
            found.setdefault(title, []).append(line)
    return found


def points(packet: Packet) -> list[str]:
    return [f"{hop.table}:{hop.chain}:{hop.type}:{hop.rulenum}" for hop in packet.hops]
