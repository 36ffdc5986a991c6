"""The same traffic, told by four releases of iptables and nftables, is told the same."""

from __future__ import annotations

import pytest
from tests.recorded import assembled, hops_of, unpacked

from tracetui.model.rules.parsed_rule import parse_rule
from tracetui.model.trace.packet import Packet
from tracetui.session.rulesets.rulesets import Rulesets
from tracetui.session.state.explanations import Explanations

RELEASES = ("bullseye", "bookworm", "trixie", "sid")
Told = tuple[str, tuple[tuple[str, object, object], ...]]


def packets(release: str, tool: str) -> list[Packet]:
    text = unpacked(f"userlands/{release}-{tool}.txt.gz")
    return assembled(hops_of(text.splitlines()))


def told(release: str, tool: str, text_of, ruleset=None) -> dict[tuple, set[Told]]:
    """Verdict, places and rules of the packets to each destination, IPv4's alone."""
    rulesets = Rulesets()
    if ruleset is not None:
        assert rulesets.fix(unpacked(f"userlands/{release}-{ruleset}.ruleset.txt.gz"))
    explanations = Explanations(rulesets)
    found: dict[tuple, set[Told]] = {}
    for packet in packets(release, tool):
        header = packet.header
        if header is None or header.family == 6:
            continue
        explanation = explanations.of(packet)
        hops = tuple(
            (hop.place, here.verdict, here.rule and text_of(here.rule.text))
            for hop, here in zip(packet.hops, explanation.hops)
        )
        to = (header.dst, header.dport, header.flags)
        found.setdefault(to, set()).add((explanation.verdict, hops))
    return found


@pytest.mark.parametrize("release", RELEASES[1:])
def test_xtables_monitor_tells_the_same_hops_verdicts_and_texts_in_every_release(release):
    expected = told(RELEASES[0], "xtm-v4", str)
    # Without the rules it is not known what comes behind the last hop.
    assert {verdict for found in expected.values() for verdict, _ in found} == {
        *("drop", "reject", "unknown")
    }
    assert told(release, "xtm-v4", str) == expected


def test_a_rule_s_text_is_iptables_own_whatever_stands_before_it():
    texts = {
        hop.rule
        for release in RELEASES
        for packet in packets(release, "xtm-v4")
        for hop in packet.hops
        if hop.handle is not None
    }
    assert None not in texts
    assert all(text.startswith("-A ") for text in texts)
    assert any("-j REJECT" in text for text in texts)


@pytest.mark.parametrize("tool", ["nftmon-ipt-v4", "nftmon-native-v4", "nftmon-bridge"])
@pytest.mark.parametrize("release", RELEASES[1:])
def test_nft_s_trace_tells_the_same_hops_and_verdicts_in_every_release(release, tool):
    def does(text):
        return parse_rule(text)[:2]

    assert told(release, tool, does) == told(RELEASES[0], tool, does)


@pytest.mark.parametrize(
    ("tool", "ruleset"),
    [("xtm-v4", "ipt-v4"), ("nftmon-ipt-v4", "ipt-v4"), ("nftmon-native-v4", "native")],
)
@pytest.mark.parametrize("release", RELEASES)
def test_with_the_ruleset_as_the_release_lists_it_every_verdict_is_known(release, tool, ruleset):
    found = told(release, tool, str, ruleset)
    alone = told(release, tool, str)
    assert {verdict for told in found.values() for verdict, _ in told} == {
        *("accept", "drop", "reject")
    }
    # The ruleset takes no text away.
    texts = [
        [hop[2] for told in one.values() for _, hops in told for hop in hops]
        for one in (found, alone)
    ]
    assert sorted(map(str, texts[0])) == sorted(map(str, texts[1]))


def test_headers_that_xtables_monitor_prints_as_bytes_are_read():
    found = {(p.header.src, p.header.dst) for p in packets("trixie", "xtm-bridge") if p.header}
    assert ("10.202.0.2", "10.202.0.3") in found
    assert any(dst == "ff02::16" for _, dst in found)
