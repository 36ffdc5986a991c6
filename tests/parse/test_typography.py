"""Logs and rules that an editor or a web page gave other quotes and dashes."""

from __future__ import annotations

import pytest
from tests.recorded import assembled, hops_of

from tracetui.model.rules.ruleset import ChainKey
from tracetui.parse.log import wrapper
from tracetui.session.rulesets.rulesets import Rulesets

NFT = (
    'trace id 4f1c0a2b inet filter forward packet: iif "eth0" oif "eth1" ip saddr 10.0.0.1 '
    "ip daddr 10.0.0.2 udp sport 1 udp dport 2"
)
MONITOR = [
    'PACKET: 2 4f1c0a2b IN=eth0 OUT=eth1 SRC=10.0.0.1 DST=10.0.0.2 LEN=40 TTL=64 ID=7 PROTO=UDP SPT=1 DPT=2',
    " TRACE: 2 4f1c0a2b filter:FORWARD:rule:0x7:ACCEPT  -4 -t filter -A FORWARD -p udp --dport 2 -j ACCEPT",
]  # fmt: skip


@pytest.mark.parametrize("quotes", ["\u201c\u201d", "\u201e\u201c", "\xab\xbb", "\u2033\u2033"])
def test_typographic_quotes_are_read_as_those_that_nft_printed(quotes):
    (plain,) = assembled(hops_of([NFT]))
    text = NFT
    for at in range(4):
        text = text.replace('"', quotes[at % 2], 1)
    (packet,) = assembled(hops_of([text]))
    assert (packet.iif, packet.oif) == (plain.iif, plain.oif) == ("eth0", "eth1")
    assert packet.header == plain.header


@pytest.mark.parametrize("dash", ["\u2013", "\u2014", "\u2212"])
def test_dashes_that_were_made_one_are_two_again(dash):
    text = [line.replace(" --", f" {dash}").replace(" -", f" {dash}") for line in MONITOR]
    rules = [
        [hop.rule for hop in packet.hops]
        for packet in (assembled(hops_of(lines))[0] for lines in (MONITOR, text))
    ]
    assert rules[0] == rules[1]
    assert "--dport 2" in rules[0][0]


def test_a_ruleset_is_read_so_too():
    rulesets = Rulesets()
    text = "\u2013P INPUT ACCEPT\n\u2013P FORWARD ACCEPT\n\u2013P OUTPUT ACCEPT\n\u2013A INPUT \u2013m comment \u2013comment \u201ca b\u201d \u2013tcp-flags SYN SYN \u2013j ACCEPT\n"
    assert rulesets.fix(text)
    found = rulesets.histories["legacy"].chain(ChainKey("ip", "filter", "INPUT"), None).value
    assert [rule.text for rule in found.rules] == [
        '-A INPUT -m comment --comment "a b" --tcp-flags SYN SYN -j ACCEPT'
    ]


@pytest.mark.parametrize(
    "line",
    [
        'ct state new accept comment "réponses \u2013 et \xab ICMP \xbb \u201cliés\u201d"',
        "a dash \u2013 between words, and a range 1\u20132",
        "eth\u20130",
    ],
)
def test_what_people_wrote_stays(line):
    assert wrapper.as_typed(line) == line
