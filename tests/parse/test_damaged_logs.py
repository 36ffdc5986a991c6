"""What copying, mailing and publishing do to a log, done to a real one."""

from __future__ import annotations

import re
import textwrap

import pytest
from tests.recorded import hop_of, lines

from tracetui.parse.line_reader import LineReader

SEED = lines("seed-eks-forward.log")
PLACE_AT = SEED[0].index("TRACE:")


def read(text):
    reader = LineReader()
    hops = [hop for line in text for hop in reader.feed(f"{line}\n")]
    return reader, hops + reader.finish()


WHOLE = read(SEED)[1]


def timeless(hops):
    return [hop.with_(time=None) for hop in hops]


def wrapped(width, **options):
    return [piece for line in SEED for piece in textwrap.wrap(line, width, **options)]


def cut_up(width):
    return [line[at : at + width] for line in SEED for at in range(0, len(line), width)]


HARMLESS = {
    "quoted": [f"> {line}" for line in SEED],
    "quoted twice": [f"> > {line}" for line in SEED],
    "quoted and wrapped": [f"> {piece}" for piece in cut_up(76)],
    "numbered": [f"{at:5d}  {line}" for at, line in enumerate(SEED)],
    "numbered by grep": [f"{at}:{line}" for at, line in enumerate(SEED)],
    "without TRACE": [line.replace("TRACE: ", "") for line in SEED],
    "two on a line": [f"{one} {other}" for one, other in zip(SEED[::2], SEED[1::2])],
    "glued to each other": [one.rstrip() + other for one, other in zip(SEED[::2], SEED[1::2])],
    "all on a line": [" ".join(SEED)],
    "blanks behind numbers lost": [re.sub(r"(?<=\d) (?=[A-Z])", "", line) for line in SEED],
    "all blanks lost": [
        line[:PLACE_AT] + line[PLACE_AT:].replace(" ", "") for line in SEED
    ],
    "tabs": [line.replace(" ", "\t") for line in SEED],
    "blanks of a page": [line.replace(" ", "\xa0") for line in SEED],
    "aligned": [line.replace(" ", "   ") for line in SEED],
    "painted": [f"\x1b[32m{line[:50]}\x1b[0m\x1b[33m{line[50:]}\x1b[0m" for line in SEED],
    "painted, made visible": [f"^[[32m{line}^[[0m" for line in SEED],
    "from Windows": [f"{line}\r" for line in SEED],
    "indented": [f"    {line}" for line in SEED],
    "an empty line between": [piece for line in SEED for piece in (line, "  ")],
    **{f"hard wrap at {width}": cut_up(width) for width in (60, 72, 80, 100, 120, 200)},
    **{
        f"hard wrap at {width}, stripped": [piece.strip() for piece in cut_up(width)]
        for width in (60, 80, 100)
    },
    **{f"word wrap at {width}": wrapped(width) for width in (60, 72, 80, 100, 120)},
    **{
        f"word wrap at {width}, indented": wrapped(width, subsequent_indent="    ")
        for width in (60, 80, 100)
    },
}  # fmt: skip


@pytest.mark.parametrize("name", HARMLESS)
def test_nothing_is_lost_by(name):
    reader, hops = read(HARMLESS[name])
    assert timeless(hops) == timeless(WHOLE)
    assert (reader.skipped, reader.take_skipped()) == (0, [])


def invented(hop, whole):
    """Fields with a value that the record has not."""
    pairs = [(getattr(hop, name), getattr(whole, name)) for name in ("iif", "oif", "mark", "mac")]
    if hop.header is not None:
        pairs += zip(hop.header, whole.header)
    return [(value, real) for value, real in pairs if value is not None and value != real]


@pytest.mark.parametrize("width", range(80, 340, 7))
def test_lines_cut_at_one_column_give_what_is_whole_and_invent_nothing(width):
    reader, hops = read([line[:width] for line in SEED])
    assert len(hops) + reader.skipped == len(SEED)
    at = 0
    for hop in hops:
        at = next(n for n in range(at, len(WHOLE)) if WHOLE[n].place == hop.place)
        assert invented(hop, WHOLE[at]) == []


@pytest.mark.parametrize("dots", ["...", "\u2026"])
@pytest.mark.parametrize("start", range(115, 330, 11))
@pytest.mark.parametrize("length", [1, 7, 40])
def test_a_piece_left_out_of_the_middle_invents_nothing(dots, start, length):
    _, hops = read([line[:start] + dots + line[start + length :] for line in SEED])
    assert len(hops) == len(WHOLE)
    for hop, whole in zip(hops, WHOLE):
        assert invented(hop, whole) == []


def test_masked_addresses_leave_the_rest():
    _, hops = read([re.sub(r"(SRC|DST)=\S+", r"\1=xxx", line) for line in SEED])
    for hop, whole in zip(hops, WHOLE):
        assert hop.header == whole.header._replace(src=None, dst=None)


def test_comments_between_lines_are_skipped_and_break_nothing():
    reader, hops = read(piece for line in SEED for piece in (line, "# and then it goes on"))
    assert hops == WHOLE
    assert reader.skipped == len(SEED)


def test_a_comment_is_not_taken_for_the_rest_of_a_record_that_was_cut():
    reader, hops = read([SEED[0][:180], "here the address is rewritten", SEED[1]])
    assert len(hops) == 2
    assert reader.take_skipped() == [(2, "no TRACE record")]


@pytest.mark.parametrize(
    "text",
    [
        "ip_tables: TRACE: acpar.hotdrop=0 verdict=1",
        "TRACE: eb:nat:PREROUTING IN=eth0 OUT= MAC source = 00:11 proto = 0x0800",
        "IN=eth0 OUT= SRC=10.0.0.1 DST=10.0.0.2 LEN=60 PROTO=TCP SPT=1 DPT=2",
        "w:PREROUTING:policy:2 IN=eth0 OUT= SRC=10.0.0.1 DST=10.0.0.2",
        "TRACE: raw:PREROUTING:policy:",
        "{1}[Hardware Error]: event severity: corrected",
    ],
)
def test_what_only_looks_like_a_hop_is_skipped(text):
    reader, hops = read([text, SEED[0]])
    assert len(hops) == 1
    assert reader.skipped == 1


def test_an_interface_named_like_a_key_changes_no_field():
    body = " OUT= SRC=10.0.0.1 DST=10.0.0.2 LEN=28 TTL=9 ID=7 PROTO=UDP SPT=1 DPT=2 LEN=8 "
    hop = hop_of(f"TRACE: raw:PREROUTING:rule:1 IN=SRC=9.9.9.9{body}")
    assert (hop.iif, hop.header.src) == ("SRC=9.9.9.9", "10.0.0.1")


def test_a_record_that_waits_is_given_when_the_file_ends():
    reader = LineReader()
    assert reader.feed(SEED[0][:150]) == []
    (hop,) = reader.finish()
    assert hop.place == WHOLE[0].place
    assert reader.finish() == []


def test_what_waits_is_bounded():
    reader = LineReader()
    for text in ('{"a":', "trace id 0a1b2c3d ip a b rule x", "TRACE: raw:X:rule:1 SRC=1.2.3.4"):
        reader.feed(text)
        for at in range(3000):
            reader.feed(f"SRC={at} " + "x" * 60)
    for at in range(5000):
        reader.feed(f"trace id {at:08x} ip a b packet: ip saddr 10.0.0.1 ")
        reader.feed(f"PACKET: 2 {at:08x} IN=a SRC=10.0.0.1 ")
    held = reader.finish()
    assert len(held) <= 1100
    assert len(reader.take_skipped()) <= 1000


BEGINNINGS = ('{"', '"a":', "[ ", "trace id ", "TRACE: ", "PACKET: 2 ", "> ", "raw:", "Jan 1 ")


@pytest.mark.parametrize("piece", [*BEGINNINGS, "\x1b[", "ip a ", "SRC=", "OPT ("])
def test_a_line_of_nothing_but_beginnings_is_read_at_once(piece):
    reader = LineReader()
    for number in range(10):
        reader.feed(f"{number} {piece * 13_000}")
        reader.feed(piece * 13_000)
    reader.finish()
