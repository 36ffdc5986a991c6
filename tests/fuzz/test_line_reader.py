"""Files of any lines whatever, in any order and damaged in any way, through one reader."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz import damage, material, sane
from tests.fuzz.json_damage import json_texts
from tests.parse.test_record_cache import WRAPPED, assert_alike
from tests.recorded import assembled

from tracetui.model.trace.hop import END_OF_CALENDAR, LOG
from tracetui.model.trace.moments import OF_NO_START
from tracetui.parse.line_reader import LINE_FAULTS_KEPT, LineReader

ORIGINALS = [
    *material.LOG_LINES,
    *material.KMSG,
    *material.NFT_TRACE,
    *material.XTABLES_TRACE,
    *material.JOURNAL,
    *material.LOSSES,
    *material.OTHER_TEXT,
]
LINES = (
    st.sampled_from(ORIGINALS)
    | damage.texts(ORIGINALS)
    | json_texts(material.JOURNAL)
    | st.sampled_from(material.STAMPS).flatmap(
        lambda stamp: st.sampled_from(ORIGINALS).map(lambda line: stamp + line)
    )
    | st.text(max_size=40)
)
FILES = st.lists(LINES, max_size=30)


@damage.few(100)
@given(FILES, st.integers(1, 200))
def test_whatever_the_lines_hops_are_sane_and_the_rest_is_counted(lines, width):
    reader = LineReader()
    # Some as they are, some as a terminal wraps them.
    pieces = [
        line[at : at + width] if width > 40 else line
        for line in lines
        for at in (range(0, max(1, len(line)), width) if width > 40 else (0,))
    ]
    hops = [hop for line in pieces for hop in reader.feed(f"{line}\n")]
    hops += reader.finish()
    size = sum(len(line) for line in pieces) + 1
    sane.check(hops, size)
    for hop in hops:
        assert hop.source == LOG
        assert hop.type in ("rule", "return", "policy")
        # Far below the epoch stand those whose year, or whose beginning, no stamp tells.
        assert hop.time is None or OF_NO_START <= hop.time < END_OF_CALENDAR * 2
        assert (hop.rulenum is None) == (hop.backend == "nft")
    assert reader.lines == len(pieces)
    assert reader.lost >= 0
    assert len(reader.take_skipped()) == min(reader.skipped, LINE_FAULTS_KEPT)
    assert sum(loss.records or 0 for loss in reader.take_losses()) == reader.lost
    assert reader.finish() == []
    assembled(hops)


@damage.few(50)
@given(FILES)
def test_a_reader_that_has_seen_anything_still_reads_a_whole_record(lines):
    reader = LineReader()
    for line in lines:
        reader.feed(line)
    reader.finish()
    (hop,) = [*reader.feed(material.LOG_LINES[0]), *reader.finish()]
    assert hop.place == "raw:PREROUTING:policy:2"


KNOWN = st.sampled_from(["dmesg", "kmsg", "dmesg -T", "rsyslog RFC 3339"]).flatmap(
    lambda name: st.lists(st.sampled_from(WRAPPED[name]), min_size=1, max_size=5)
)


@damage.few(100)
@given(st.lists(KNOWN | LINES.map(lambda line: [line]), max_size=20), st.sampled_from((0, 1 << 20)))
def test_any_lines_between_known_ones_are_read_as_without_the_cache(pieces, most):
    """Those of tools, of JSON and of the journal wait for others, which a known line may end."""
    assert_alike("\n".join(line for piece in pieces for line in piece), most=most)
