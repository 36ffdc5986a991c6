"""Whatever was assembled can be explained and shown, with rulesets that fit and ones that don't."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz import damage, material
from tests.fuzz.hops import arrivals
from tests.fuzz.json_damage import json_texts
from tests.recorded import assembled, unpacked

from tracetui.model.trace.hop import Hop
from tracetui.session.recording import recording_reader, report
from tracetui.session.rulesets.rulesets import Rulesets
from tracetui.session.state.explanations import Explanations
from tracetui.session.text.sanitize import sanitize_json

LISTINGS = [
    *(unpacked(f"scenario-{which}.iptables-save.gz") for which in ("legacy", "nft")),
    unpacked("scenario-nft.ruleset.json.gz"),
    *material.LISTINGS,
]
WINDOWS = st.none() | st.tuples(st.integers(0, 4), st.integers(0, 5))


def fixed(texts: list[str]) -> Rulesets:
    rulesets = Rulesets()
    for text in texts:
        rulesets.fix(text)
    return rulesets


def read(lines: list[str]) -> Rulesets:
    """Recorded readings, those of them that can be read."""
    rulesets = Rulesets()
    for line in lines:
        try:
            rulesets.take_record(recording_reader.read_snapshot(line) or {})
        except (ValueError, KeyError):
            continue
    rulesets.work_all()
    return rulesets


def check_shown(hops: list[Hop], rulesets: Rulesets) -> None:
    """Explain and write every packet; each hop is explained once."""
    explanations = Explanations(rulesets)
    explanations.explainer.set_sysctls({"ipv4.ip_forward": "0", "rp_filter.all": "1"})
    for packet in assembled(hops):
        explanation = explanations.of(packet)
        assert len(explanation.hops) == len(packet.hops)
        assert explanation.verdict in ("accept", "drop", "reject", "unknown")
        assert explanation.decided is None or 0 <= explanation.decided < len(packet.hops)
        for index in range(len(packet.hops)):
            explanations.explainer.unmatched_before(packet, index)
        value = report.packet_json(packet, explanation)
        sanitize_json(json.dumps(value, ensure_ascii=False)).encode()
        for line in report.packet_text(packet, explanation):
            assert line.isprintable()


@damage.few(30)
@given(arrivals())
def test_packets_are_explained_without_a_ruleset(hops):
    check_shown(hops, Rulesets())


@damage.few(50)
@given(
    arrivals(), st.lists(st.sampled_from(LISTINGS) | damage.texts(material.LISTINGS), max_size=3)
)
def test_packets_are_explained_by_a_listing(hops, texts):
    check_shown(hops, fixed(texts))


@damage.few(50)
@given(
    arrivals(),
    st.lists(
        st.sampled_from(material.READINGS[:4]) | json_texts(material.READINGS[:4]), max_size=5
    ),
    st.lists(WINDOWS, min_size=1, max_size=5),
)
def test_packets_are_explained_by_readings(hops, lines, windows):
    placed = [hop.with_(interval=windows[at % len(windows)]) for at, hop in enumerate(hops)]
    check_shown(placed, read(lines))


@damage.few(50)
@given(st.sampled_from(LISTINGS) | damage.texts(material.LISTINGS) | st.text())
def test_a_listing_is_taken_or_refused(text):
    rulesets = Rulesets()
    is_taken = rulesets.fix(text)
    assert is_taken == any(not history.is_empty for history in rulesets.histories.values())
