"""``--ruleset`` takes what people post of their rules, and says what it could not use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.recorded import assembled, hops_of

from tracetui.model.rules.ruleset import ChainKey
from tracetui.session.replay import halves
from tracetui.session.rulesets.rulesets import Rulesets
from tracetui.session.state.explanations import Explanations

PUBLIC = os.environ.get("TRACETUI_PUBLIC_RECORDINGS")


def given(*texts: str) -> Rulesets:
    rulesets = Rulesets()
    for text in texts:
        assert rulesets.fix(text)
    return rulesets


def rules_of(rulesets: Rulesets, table: str, chain: str, backend="legacy", family="ip"):
    found = rulesets.histories[backend].chain(ChainKey(family, table, chain), None)
    return None if found.value is None else [rule.text for rule in found.value.rules]


LISTED = """\
{command}
Chain INPUT (policy DROP 22 packets, 1320 bytes)
 pkts bytes target     prot opt in     out     source               destination
   12  1K   ACCEPT     all  --  lo     *       0.0.0.0/0            0.0.0.0/0
    3   180 ACCEPT     tcp  --  !lo    *       10.0.0.0/8          !10.1.0.1             tcp dpts:80:90 flags:0x17/0x02 /* web */ ctstate NEW
    0     0            all  --  *      *       0.0.0.0/0            0.0.0.0/0            recent: SET name: a side: source
    0     0 user       all  --  *      *       0.0.0.0/0            0.0.0.0/0           [goto]  ! ctstate INVALID

Chain FORWARD (policy ACCEPT 0 packets, 0 bytes)
 pkts bytes target     prot opt in     out     source               destination

Chain OUTPUT (policy ACCEPT 0 packets, 0 bytes)
 pkts bytes target     prot opt in     out     source               destination

Chain user (1 references)
 pkts bytes target     prot opt in     out     source               destination
   57  3420 RETURN     all  --  *      *       0.0.0.0/0            0.0.0.0/0
"""
INPUT = [
    "-A INPUT -i lo -j ACCEPT",
    "-A INPUT -s 10.0.0.0/8 ! -d 10.1.0.1/32 ! -i lo -p tcp -m tcp --dport 80:90 "
    "--tcp-flags FIN,SYN,RST,ACK SYN -m comment --comment web -m conntrack --ctstate NEW -j ACCEPT",
    "-A INPUT -m … [recent: SET name: a side: source]",
    "-A INPUT -m conntrack ! --ctstate INVALID -g user",
]


@pytest.mark.parametrize(
    ("command", "table", "backend", "family"),
    [
        ("", "filter", "legacy", "ip"),
        ("# iptables -L -v -n", "filter", "legacy", "ip"),
        ("root@node:~# iptables-nft -nvL", "filter", "nft", "ip"),
        ("$ sudo iptables-legacy -t security -L -v -n", "security", "legacy", "ip"),
        ("$ sudo ip6tables -L -vn", "filter", "legacy", "ip6"),
    ],
)
def test_iptables_l_is_read_into_the_words_of_iptables_save(command, table, backend, family):
    rulesets = given(LISTED.format(command=command))
    assert rulesets.unused == []
    assert rules_of(rulesets, table, "INPUT", backend, family) == INPUT
    assert rules_of(rulesets, table, "user", backend, family) == ["-A user -j RETURN"]


def test_policies_and_counters_are_read_too():
    history = given(LISTED.format(command="")).histories["legacy"]
    chain = history.chain(ChainKey("ip", "filter", "INPUT"), None).value
    assert (chain.policy, chain.hook) == ("drop", "INPUT")
    assert [rule.packets for rule in chain.rules] == [12, 3, 0, 0]


def test_line_numbers_are_no_rule_s():
    lines = []
    number = 0
    for line in LISTED.format(command="").splitlines():
        if line.startswith(("Chain", " pkts")) or not line:
            number = 0
            lines.append(f"num  {line}" if line.startswith(" pkts") else line)
        else:
            number += 1
            lines.append(f"{number:<4} {line}")
    assert rules_of(given("\n".join(lines)), "filter", "INPUT") == INPUT


def test_several_tables_one_after_the_other_are_told_apart_by_their_chains():
    nat = "".join(
        f"Chain {chain} (policy ACCEPT 0 packets, 0 bytes)\n pkts bytes target     prot opt in     out     source               destination\n"
        for chain in ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING")
    )
    rule = "    0     0 MASQUERADE  all  --  *      eth0    10.0.0.0/24          0.0.0.0/0\n"
    rulesets = given(LISTED.format(command="") + "\n" + nat + rule)
    assert rules_of(rulesets, "filter", "INPUT") == INPUT
    assert rules_of(rulesets, "nat", "POSTROUTING") == [
        "-A POSTROUTING -s 10.0.0.0/24 -o eth0 -j MASQUERADE"
    ]


def test_a_thread_with_listings_of_several_tools_is_read_piece_by_piece():
    thread = (
        "$ sudo iptables -S\n-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n"
        "-A INPUT -i lo -j ACCEPT\n"
        "$ sudo iptables -t nat -L -n -v\nChain PREROUTING (policy ACCEPT 0 packets, 0 bytes)\n"
        " pkts bytes target     prot opt in     out     source               destination\n"
        "    0     0 DNAT       6    --  *      *       0.0.0.0/0            0.0.0.0/0            tcp dpt:80 to:10.0.0.1:8080\n"
        "$ sudo nft list chain inet f c\n"
        "table inet f {\n\tchain c {\n\t\ttype filter hook input priority 0; policy accept;\n\t\tdrop\n\t}\n}\n"
    )
    rulesets = given(thread)
    assert rulesets.unused == []
    assert rules_of(rulesets, "filter", "INPUT") == ["-A INPUT -i lo -j ACCEPT"]
    assert rules_of(rulesets, "nat", "PREROUTING") == [
        "-A PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.1:8080"
    ]
    assert rules_of(rulesets, "f", "c", "nft", "inet") == ["drop"]


SAVED = "*filter\n:INPUT ACCEPT [1:2]\n[3:4] -A INPUT -i lo -j ACCEPT\nCOMMIT\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LISTED.replace("in     out     ", "").format(command="# iptables -L -n"), "without -v"),
        (SAVED + "*nat\n:PREROUTING ACCEPT [0:0]\n", "table nat is left out: it has no COMMIT"),
        (SAVED + "*nat\n-A GONE -j DROP\nCOMMIT\n", "can't be read: -A GONE"),
        ("# Warning: iptables-legacy tables present, use iptables-legacy-save to see them\n"
         + SAVED.replace("*filter", "# Generated by iptables-nft-save v1.8.9 (nf_tables) on Sun\n*filter"),
         "iptables-legacy-save does"),
        ('{"nftables": [{"rule": {"family": "ip", "table": "filter", "chain": "c", "handle": 4,'
         ' "expr": [{"xt": null}]}}, {"chain": {"family": "ip", "table": "filter", "name": "c"}}]}',
         "1 rule has no text"),
        (LISTED.replace("Chain FORWARD", "Chain ROUTED").format(command=""), "does not name its table"),
    ],
)  # fmt: skip
def test_what_could_not_be_used_is_said(text, said):
    rulesets = Rulesets()
    rulesets.fix(text)
    assert len(rulesets.unused) == 1
    assert said in rulesets.unused[0]


def test_what_iptables_save_counts_is_read():
    rulesets = given(SAVED)
    chain = rulesets.histories["legacy"].chain(ChainKey("ip", "filter", "INPUT"), None).value
    assert ([rule.packets for rule in chain.rules], rulesets.unused) == ([3], [])


@pytest.mark.skipif(PUBLIC is None, reason="TRACETUI_PUBLIC_RECORDINGS is not set")
def test_the_listing_of_the_field_explains_the_field_s_log():
    field = Path(PUBLIC or "").with_name("field")
    (listing,) = field.glob("27-*.txt")
    (log,) = field.glob("12-*.txt")
    rulesets = given(listing.read_text())
    saved = given(listing.with_suffix(".as-save").read_text())
    for name in ("INPUT", "FORWARD", "DOCKER", "DOCKER-ISOLATION-STAGE-1"):
        assert rules_of(rulesets, "filter", name) == rules_of(saved, "filter", name)
    (packet,) = assembled(hops_of(log.read_text().splitlines()))
    explanation = Explanations(rulesets).of(packet)
    assert explanation.verdict == "drop"
    # The author cut the listing: chains that it only leads to are not read, and did not change.
    states = {hop.chain: here.state for hop, here in zip(packet.hops, explanation.hops)}
    assert states["FORWARD"] == "known"
    assert states["DOCKER-USER"] == "unread"


def test_a_single_chain_of_nft_says_nothing_of_the_others():
    text = "table inet filter {\n\tchain output {\n\t\ttype filter hook output priority 0; policy accept;\n\t}\n}\n"
    (packet,) = assembled(hops_of(["trace id 1 inet filter forward rule drop (verdict drop)"]))
    (here,) = Explanations(given(text)).of(packet).hops
    assert here.rule.text == "drop"


LEGACY = "TRACE: {}:{}:policy:1 IN=eth0 OUT= SRC=10.0.0.1 DST=10.0.0.2 LEN=60 TTL=64 ID=7 PROTO=UDP SPT=1 DPT=2 LEN=40"
NFT = "trace id 00000001 ip filter FORWARD rule drop (verdict drop)"
NFT_RULES = (
    "table ip f {\n\tchain c {\n\t\ttype filter hook input priority 0; policy accept;\n\t}\n}\n"
)


@pytest.mark.parametrize(
    ("lines", "rules", "said"),
    [
        ([LEGACY.format("mangle", "PREROUTING")] * 2, [], halves.TRACED_BY_NFT),
        ([LEGACY.format("mangle", "PREROUTING")], [], None),
        ([LEGACY.format("raw", "PREROUTING")], [], None),
        ([LEGACY.format("filter", "FORWARD")], [], None),
        ([LEGACY.format("raw", "PREROUTING")], [NFT_RULES], halves.NFT_IS_MISSING),
        ([NFT], [NFT_RULES], None),
        ([NFT], [NFT_RULES, SAVED], halves.LEGACY_IS_MISSING),
        ([NFT, LEGACY.format("raw", "PREROUTING")], [NFT_RULES, SAVED], None),
        ([], [], None),
    ],
)
def test_a_log_of_one_half_says_that_the_other_is_missing(lines, rules, said):
    packets = assembled(hops_of(lines))
    assert halves.missing_hops(packets, given(*rules).histories) == said
