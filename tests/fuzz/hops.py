"""Hops of real recordings, in orders and with losses that no recording shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from hypothesis import strategies as st
from tests.fuzz.damage import Draw
from tests.recorded import datagrams, hops_of, lines, sections, unpacked

from tracetui.model.trace.hop import Hop
from tracetui.parse.netlink import nflog, nftrace


def _decoded(parse: Callable, recorded: Iterable[bytes]) -> Iterator[Hop]:
    """With the times of their arrival where the kernel stamped nothing."""
    received = 1_700_000_000.0
    for at, one in enumerate(recorded):
        hop = parse(one, {}, received + at * 1e-5)
        if hop is not None:
            yield hop


STREAMS = [
    list(_decoded(nflog.parse, datagrams("2cpu-interleaved-nflog.bin.gz"))),
    list(_decoded(nftrace.parse, datagrams("2cpu-interleaved-nftrace.bin.gz"))),
    list(_decoded(nftrace.parse, datagrams("scenario-nft.bin.gz"))),
    hops_of(unpacked("scenario-legacy.kmsg.gz").splitlines()),
    hops_of(lines("seed-eks-forward.log")),
    hops_of(chain.from_iterable(sections("traversals-6.18.txt").values())),
]
LONGEST = 60
"""Hops taken of one stream."""


@st.composite
def arrivals(draw: Draw) -> list[Hop]:
    """Pieces of some streams mixed in any way, with losses, repetitions, disorder, other times.

    Every hop is an object of its own, however often it comes.
    """
    chance = draw(st.randoms(use_true_random=False))
    queues = [_piece(draw) for _ in range(draw(st.integers(1, 4)))]
    mixed: list[Hop] = []
    while any(queues):
        queue = chance.choice([one for one in queues if one])
        # Sources are read in batches.
        for _ in range(chance.randint(1, 8)):
            if queue:
                mixed.append(queue.pop(0))
    for damage in draw(st.lists(st.sampled_from(_DAMAGES), max_size=3)):
        mixed = damage(chance, mixed)
    return [hop.with_() for hop in mixed]


def _piece(draw: Draw) -> list[Hop]:
    stream = draw(st.sampled_from(STREAMS))
    start = draw(st.integers(0, len(stream) - 1))
    return stream[start : start + draw(st.integers(1, LONGEST))]


def _lossy(chance: object, hops: list[Hop]) -> list[Hop]:
    share = chance.random()
    return [hop for hop in hops if chance.random() > share]


def _repeated(chance: object, hops: list[Hop]) -> list[Hop]:
    """Each comes up to four times, now or much later."""
    again = [hop for hop in hops for _ in range(chance.randint(0, 3))]
    return [*hops, *again] if chance.random() < 0.5 else sorted([*hops, *again], key=hops.index)


def _disordered(chance: object, hops: list[Hop]) -> list[Hop]:
    reach = chance.choice((2, 5, 50))
    return [
        hop for _, hop in sorted(enumerate(hops), key=lambda at: at[0] + chance.random() * reach)
    ]


def _retimed(chance: object, hops: list[Hop]) -> list[Hop]:
    """A clock that jumps, back or forth, or is not known any more."""
    if not hops:
        return hops
    jump = chance.choice((-1e9, -10.0, -0.5, 10.0, 1e9, None))
    at = chance.randrange(len(hops))
    return [
        *hops[:at],
        *(
            hop.with_(time=None if jump is None or hop.time is None else hop.time + jump)
            for hop in hops[at:]
        ),
    ]


def _renamed(chance: object, hops: list[Hop]) -> list[Hop]:
    """Trace ids that later packets bear again, or that change on the way."""
    few = chance.choice((1, 3, 1000))
    return [
        hop if hop.trace_id is None else hop.with_(trace_id=chance.randrange(few)) for hop in hops
    ]


_DAMAGES = (_lossy, _repeated, _disordered, _retimed, _renamed)
