"""Rules of nft's JSON come out as nft prints them; taken from what nft 1.0.6 and 1.1.7 print."""

from __future__ import annotations

import json

import pytest

from tracetui.parse.listings import nft_json


def text_of(*expressions: object, family: str = "inet") -> str | None:
    listing = {"nftables": [
        {"chain": {"family": family, "table": "t", "name": "c"}},
        {"rule": {"family": family, "table": "t", "chain": "c", "handle": 1,
                  "expr": list(expressions)}},
    ]}  # fmt: skip
    return nft_json.parse(json.dumps(listing)).chains[family, "t", "c"].rules[0].text


def match(left: object, right: object, op: str = "==") -> dict:
    return {"match": {"op": op, "left": left, "right": right}}


def payload(protocol: str, field: str) -> dict:
    return {"payload": {"protocol": protocol, "field": field}}


META_MARK, CT_MARK = {"meta": {"key": "mark"}}, {"ct": {"key": "mark"}}
TCP_FLAGS = payload("tcp", "flags")


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("tcp flags == syn", match(TCP_FLAGS, "syn")),
        ("tcp flags syn,ack", match(TCP_FLAGS, ["syn", "ack"], "in")),
        ("tcp flags syn / fin,syn", match({"&": [TCP_FLAGS, ["fin", "syn"]]}, "syn")),
        ("tcp flags != syn / fin,syn", match({"&": [TCP_FLAGS, ["fin", "syn"]]}, "syn", "!=")),
        ("tcp flags & syn == syn", match({"&": [TCP_FLAGS, "syn"]}, "syn")),
        (
            "tcp flags & (fin | syn) == { fin | syn, syn }",
            match({"&": [TCP_FLAGS, {"|": ["fin", "syn"]}]}, {"set": [{"|": ["fin", "syn"]}, "syn"]}),
        ),
        ("ct state established,related", match({"ct": {"key": "state"}}, ["established", "related"], "in")),
        ("meta mark & 0x00000003 == 0x00000001", match({"&": [META_MARK, 3]}, 1)),
        (
            "ct mark set (meta mark | 0x00000010) << 8",
            {"mangle": {"key": CT_MARK, "value": {"<<": [{"|": [META_MARK, 16]}, 8]}}},
        ),
        ('iifname "eth0"', match({"meta": {"key": "iifname"}}, "eth0")),
        ('iifname { "eth0", "lo" }', match({"meta": {"key": "iifname"}}, {"set": ["eth0", "lo"]})),
        ("ip saddr @blocked", match(payload("ip", "saddr"), "@blocked")),
        ("meta iiftype ether", match({"meta": {"key": "iiftype"}}, "ether")),
        ("ct expiration 1m7s", match({"ct": {"key": "expiration"}}, 67)),
        ('ct helper set "ftp"', {"ct helper": "ftp"}),
        ('counter name "web"', {"counter": "web"}),
        ("exthdr frag exists", match({"exthdr": {"name": "frag"}}, True)),
        ("frag more-fragments 1", match({"exthdr": {"name": "frag", "field": "more-fragments"}}, 1)),
        ("tcp option sack-perm missing", match({"tcp option": {"name": "sack-perm"}}, False)),
        (
            "tcp option maxseg size set rt mtu",
            {"mangle": {"key": {"tcp option": {"name": "maxseg", "field": "size"}}, "value": {"rt": {"key": "mtu"}}}},
        ),
        ("fib daddr . iif type local", match({"fib": {"result": "type", "flags": ["daddr", "iif"]}}, "local")),
        ("fib saddr . iif oif missing", match({"fib": {"result": "oif", "flags": ["saddr", "iif"]}}, False)),
        ("socket mark 0x00000001", match({"socket": {"key": "mark"}}, 1)),
        ('rt classid "home"', match({"rt": {"key": "classid"}}, "home")),
        ("@ih,32,32 0x14000000", match({"payload": {"base": "ih", "offset": 32, "len": 32}}, 335544320)),
        (
            "dnat ip to numgen inc mod 2 map { 0 : 10.0.0.1, 1 : 10.0.0.2 }",
            {"dnat": {"family": "ip", "addr": {"map": {
                "key": {"numgen": {"mode": "inc", "mod": 2, "offset": 0}},
                "data": {"set": [[0, "10.0.0.1"], [1, "10.0.0.2"]]},
            }}}},
        ),
        ("dnat ip6 to [fd00::1]:80", {"dnat": {"family": "ip6", "addr": "fd00::1", "port": 80}}),
        ("masquerade random,persistent", {"masquerade": {"flags": ["random", "persistent"]}}),
        ("redirect to :1-9", {"redirect": {"port": {"range": [1, 9]}}}),
        ("quota over 25 mbytes", {"quota": {"val": 25, "val_unit": "mbytes", "inv": True, "used": 3, "used_unit": "bytes"}}),
        ("limit rate 400/minute", {"limit": {"rate": 400, "burst": 5, "per": "minute"}}),
        ("limit rate 1 kbytes/second burst 2 kbytes", {"limit": {"rate": 1, "burst": 2, "per": "second", "rate_unit": "kbytes", "burst_unit": "kbytes"}}),
        ("log flags tcp sequence,options flags skuid", {"log": {"flags": ["tcp sequence", "tcp options", "skuid"]}}),
        ("queue flags bypass,fanout to 1-3", {"queue": {"num": {"range": [1, 3]}, "flags": ["bypass", "fanout"]}}),
        ("reject", {"reject": {"type": "icmpx", "expr": "port-unreachable"}}),
        ("reject with icmp port-unreachable", {"reject": {"type": "icmp", "expr": "port-unreachable"}}),
        ("reject with tcp reset", {"reject": {"type": "tcp reset"}}),
        (
            "add @seen { ip saddr timeout 1m counter }",
            {"set": {"op": "add", "elem": {"elem": {"val": payload("ip", "saddr"), "timeout": 60}}, "set": "@seen", "stmt": [{"counter": None}]}},
        ),
        ("ct original ip saddr 1.2.3.4", match({"ct": {"key": "saddr", "dir": "original"}}, "1.2.3.4")),
        ('fwd to "eth0"', {"fwd": {"dev": "eth0"}}),
        ("flow add @ft", {"flow": {"op": "add", "flowtable": "@ft"}}),
        ("synproxy mss 1460 wscale 7 timestamp sack-perm", {"synproxy": {"mss": 1460, "wscale": 7, "flags": ["timestamp", "sack-perm"]}}),
    ],
)  # fmt: skip
def test_a_statement_is_written_as_nft_prints_it(text, expression):
    assert text_of(expression) == text


def test_a_statement_that_nft_printed_as_a_bare_string_costs_no_listing():
    """1.0.6 does so where it has no JSON for a statement; the whole listing was refused."""
    bare = 'jump {\n\t\t\tip saddr 10.0.0.1 accept\n\t\t\tlog prefix "a }"\n\t\t}'
    assert text_of(match(payload("tcp", "dport"), 22), bare) == (
        'tcp dport 22 jump { ip saddr 10.0.0.1 accept; log prefix "a }" }'
    )
    assert text_of("tproxy to :80", {"accept": None}) == "tproxy to :80 accept"


@pytest.mark.parametrize(
    "expression",
    [
        {"meter": {"key": 1, "stmt": {"counter": None}, "size": 3}},
        match(payload("arp", "operation"), {"range": ["request", "reply"]}),
        match({"tunnel": {"key": "id"}}, 3),
        {"dup": None},
        {"quota": {"val": 3}},
        {"mangle": {"key": META_MARK}},
        match(META_MARK, {"set": [{"elem": {"val": 1, "new": 2}}]}),
    ],
)
def test_what_is_not_known_to_the_last_key_stays_json_and_says_so(expression):
    assert text_of(expression, {"drop": None}) == f"json {json.dumps(expression)} drop"


def test_the_chains_of_a_dormant_table_are_at_no_hook():
    text = """{"nftables": [{"table": {"family": "ip", "name": "t", "flags": ["dormant"]}},
      {"chain": {"family": "ip", "table": "t", "name": "c", "type": "filter", "hook": "input",
                 "prio": 0, "policy": "drop"}}]}"""
    chain = nft_json.parse(text).chains["ip", "t", "c"]
    assert (chain.is_base, chain.hook) == (False, None)
