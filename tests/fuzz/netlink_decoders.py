"""Coverage-guided fuzzing of everything that reads bytes of the kernel's or the collector's.

Not a test, and no part of the suite: it needs atheris, which the project does not. By hand, from
the top of the checkout::

    python3 -m venv /tmp/atheris && /tmp/atheris/bin/pip install atheris
    PYTHONPATH=app:. nice -n 19 /tmp/atheris/bin/python tests/fuzz/netlink_decoders.py \
        /tmp/corpus -max_total_time=3600 -max_len=8193 -timeout=10 -rss_limit_mb=2048

The first byte of an input chooses the decoder, the rest is what it reads. An empty or missing
corpus directory is filled from the recordings, and from the ``.bin`` files of the folder that
TRACETUI_NETLINK_RECORDINGS names. Whatever is found becomes a test beside the decoder's others.
"""

from __future__ import annotations

import contextlib
import os
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["tracetui"]):
    from tests.fuzz import answers, sane
    from tests.recorded import datagrams

    from tracetui.errors import Failure
    from tracetui.model.trace import hop as hop_model
    from tracetui.model.tracing.trace_rule import TraceRule
    from tracetui.parse.headers import ethernet, ip
    from tracetui.parse.netlink import attributes, nflog, nftrace
from tracetui.protocol import commands, frames
from tracetui.protocol.commands import AddRules, CommandReader, Flush, Request

RECORDED = (
    "2cpu-interleaved-nflog.bin.gz",
    "2cpu-interleaved-nftrace.bin.gz",
    "scenario-nft.bin.gz",
)
NFLOG = 4 << 8
LINKS = {1: "lo", 2: "eth0"}
SEEDS_OF_ONE = 150
"""Datagrams of a recording to begin with: those of one hook differ in little."""


def decode_nflog(data: bytes) -> object:
    hop = nflog.parse(data, LINKS, 1.0)
    return hop and (hop, hop.place)


def decode_nftrace(data: bytes) -> object:
    hop = nftrace.parse(data, LINKS, 1.0)
    return hop and (hop, hop.place)


def decode_packet(data: bytes) -> object:
    return ip.parse(data)


def decode_parts(data: bytes) -> object:
    """The first byte says where the transport header begins."""
    return ip.parse_parts(data[1 : 1 + data[0]], data[1 + data[0] :]) if data else None


def decode_ethernet(data: bytes) -> object:
    return ethernet.addresses(data), ethernet.printed_addresses(data.decode("latin-1"))


def decode_message(data: bytes) -> object:
    message = attributes.first_message(data)
    found = attributes.attributes(data)
    assert sum(len(value) for value in found.values()) <= len(data)
    return message, found


def decode_frames(data: bytes) -> object:
    """Cut where its first byte says; however it is cut, the frames are the same."""
    step = data[0] + 1 if data else 1
    whole, pieces = frames.FrameReader(), frames.FrameReader()
    try:
        found = whole.feed(data[1:])
    except Failure:
        return None
    got = [f for at in range(1, len(data), step) for f in pieces.feed(data[at : at + step])]
    assert got == found
    for frame in found:
        with contextlib.suppress(Failure):
            frame.json()
        with contextlib.suppress(Failure):
            frame.text()
    return [(frame.kind, frame.time, frame.payload) for frame in found]


def decode_commands(data: bytes) -> None:
    reader = CommandReader()
    for at in range(0, len(data), 1000):
        for command in reader.feed(data[at : at + 1000]):
            assert 0 <= command.id < commands.MAX_ID


def decode_places(data: bytes) -> object:
    try:
        return answers.outline(cut(data))
    except Failure:
        return None


DECODERS = (
    decode_nflog,
    decode_nftrace,
    decode_packet,
    decode_parts,
    decode_ethernet,
    decode_message,
    decode_frames,
    decode_commands,
    decode_places,
)
CACHES = [
    value
    for module in (ethernet, ip, nflog, nftrace, hop_model)
    for value in vars(module).values()
    if hasattr(value, "cache_clear")
]


def decode(data: bytes) -> None:
    """One input: what it gives is None or sane, and nothing is raised."""
    if not data:
        return
    for cached in CACHES:
        # What was read before must not hide what this input reaches.
        cached.cache_clear()
    sane.check(DECODERS[data[0] % len(DECODERS)](data[1:]), len(data))


def cut(data: bytes, length: str = "<H") -> Iterator[bytes]:
    """Datagrams, each behind its length."""
    at, size = 0, struct.calcsize(length)
    while at + size <= len(data):
        end = at + size + struct.unpack_from(length, data, at)[0]
        yield data[at + size : end]
        at = end


def seeds() -> Iterator[bytes]:
    """Real datagrams, and frames and commands made of them, each for its decoder."""
    more = os.environ.get("TRACETUI_NETLINK_RECORDINGS")
    paths = sorted(Path(more).glob("*.bin")) if more else []
    for recorded in (
        *map(list, map(datagrams, RECORDED)),
        *(list(cut(path.read_bytes(), "<I")) for path in paths),
    ):
        for one in recorded[:: max(1, len(recorded) // SEEDS_OF_ONE)]:
            yield bytes([DECODERS.index(_decoder_of(one))]) + one
            yield bytes([DECODERS.index(decode_message)]) + one
            yield from _packets(one)
    yield from _streams()
    yield bytes([DECODERS.index(decode_places)]) + b"".join(
        struct.pack("<H", len(one)) + one for one in answers.recorded()
    )


def _decoder_of(datagram: bytes) -> Callable[[bytes], object]:
    message = attributes.first_message(datagram)
    is_nflog = message is not None and message.type == NFLOG
    return decode_nflog if is_nflog else decode_nftrace


def _packets(datagram: bytes) -> Iterator[bytes]:
    """The packets inside a datagram."""
    message = attributes.first_message(datagram)
    found = message.attributes if message is not None else {}
    if message is not None and message.type == NFLOG:
        yield bytes([DECODERS.index(decode_packet)]) + found.get(9, b"")
        yield bytes([DECODERS.index(decode_ethernet)]) + found.get(16, b"")
    elif 8 in found:
        yield bytes([DECODERS.index(decode_parts), len(found[8])]) + found[8] + found.get(9, b"")


def _streams() -> Iterator[bytes]:
    stream = frames.encode_json(frames.HELLO, 1.0, {"host": "node-7"})
    stream += frames.encode(frames.RULESET, 2.0, b'{"what": "save"}\n*raw\nCOMMIT\n')
    stream += frames.encode(frames.NFLOG_RECORDS, 3.0, bytes(40))
    for step in (b"\0", b"\7", b"\xff"):
        yield bytes([DECODERS.index(decode_frames)]) + step + stream
    add = commands.encode(Request(1, AddRules((TraceRule(proto="udp"),), "auto", False)))
    yield bytes([DECODERS.index(decode_commands)]) + add + commands.encode(Request(2, Flush(())))


def main() -> None:
    """Run libFuzzer with the options of the command line."""
    corpus = Path(sys.argv[1])
    corpus.mkdir(parents=True, exist_ok=True)
    if not any(corpus.iterdir()):
        for number, seed in enumerate(seeds()):
            (corpus / f"seed-{number:04}").write_bytes(seed)
    atheris.Setup(sys.argv, decode)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
