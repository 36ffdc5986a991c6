"""Captures other people published, read in place, against the truth beside them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.recorded import assembled

from tracetui.model.rules.parsed_rule import STANDARD_TARGETS, parse_rule
from tracetui.model.rules.ruleset import Ruleset
from tracetui.model.trace.hop import Hop
from tracetui.model.trace.packet import Packet
from tracetui.parse.line_reader import LineReader
from tracetui.parse.listings import nft_text, xtables_save
from tracetui.parse.node import proc_modules
from tracetui.session.rulesets.rulesets import Rulesets
from tracetui.session.state.explanations import Explanations

FOLDER = os.environ.get("TRACETUI_PUBLIC_RECORDINGS")
pytestmark = pytest.mark.skipif(FOLDER is None, reason="TRACETUI_PUBLIC_RECORDINGS is not set")


def with_format(*formats: str):
    folder = Path(FOLDER) if FOLDER else Path("/nowhere")
    truths = sorted(folder.glob("*.expect.json")) if folder.is_dir() else []
    found = [path for path in truths if json.loads(path.read_text())["format"] in formats]
    return pytest.mark.parametrize("truth", found, ids=lambda path: path.name.split(".")[0])


def load(truth: Path) -> tuple[dict, str]:
    text = truth.with_name(truth.name.replace(".expect.json", ".txt"))
    return json.loads(truth.read_text()), text.read_text(errors="backslashreplace")


def test_the_folder_is_not_empty():
    assert list(Path(FOLDER).glob("*.expect.json"))


HOPS = ("kernel-log", "xtables-monitor", "nft-monitor-trace", "nftrace-cli", "tshark-table")
"""The formats that hold hops."""


def read(text: str) -> tuple[LineReader, list[Hop]]:
    reader = LineReader()
    hops = [hop for line in text.splitlines(keepends=True) for hop in reader.feed(line)]
    return reader, hops + reader.finish()


def as_printed(hop: Hop) -> str:
    """A hop as its format prints it: xtables-monitor has handles and verdicts, legacy numbers."""
    if hop.backend == "legacy":
        return hop.place
    verdict = (hop.verdict or "").replace(" ", ":", 1)
    word, colon, chain = verdict.partition(":")
    handle = "" if hop.handle is None else f"0x{hop.handle:x}:"
    return f"{hop.table}:{hop.chain}:{hop.type}:{handle}{word.upper()}{colon}{chain}"


def base_chains(packet: Packet) -> list[str]:
    """The base chains that a packet entered: nft shows its header there."""
    found = (f"{h.family}:{h.table}:{h.chain}" for h in packet.hops if h.header is not None)
    return list(dict.fromkeys(found))


@with_format(*HOPS)
def test_the_lines_that_hold_hops_and_those_that_do_not_are_told_apart(truth):
    expected, text = load(truth)
    reader, hops = read(text)
    lines = sum(bool(line.strip()) for line in text.splitlines())
    with_others = expected.get("packet_lines", expected.get("packet_header_lines", 0))
    # A header whose event was cut off is all that is known of that chain.
    entered = sum(hop.backend == "nft" and hop.type == "rule" and not hop.verdict for hop in hops)
    if "trace_hop_lines" in expected:
        assert len(hops) == expected["trace_hop_lines"]
    else:
        assert len(hops) - entered == expected["event_lines"] - with_others
    assert lines == len(hops) - entered + with_others + expected["non_trace_lines"]
    summaries = expected["distinct_packets"] if expected["format"] == "nftrace-cli" else 0
    assert reader.skipped == expected["non_trace_lines"] - summaries
    assert len(reader.take_skipped()) == reader.skipped
    assert reader.lost == 0


@with_format(*HOPS)
def test_the_packets_are_those_that_reading_it_gives(truth):
    expected, text = load(truth)
    _, hops = read(text)
    packets = assembled(hops)
    assert len(packets) == expected["distinct_packets"]
    for packet, one in zip(packets, expected["packets"]):
        if "hops" in one:
            assert [as_printed(hop) for hop in packet.hops] == one["hops"]
        else:
            headers = sum(hop.header is not None for hop in packet.hops)
            assert len(packet.hops) + headers - (one["verdict"] == "unknown") == one["lines"]
            assert base_chains(packet) == one["base_chains"]
            assert packet.hops[0].trace_id == int(one["trace_id"], 16)
        # Where the truth rests on more than the text (rules, a page), unknown is the honest answer.
        explained = Explanations(Rulesets()).of(packet).verdict
        assert explained in (one["verdict"], "unknown")


HEADER = {
    "src": "src", "dst": "dst", "sport": "sport", "dport": "dport", "ip_id": "ip_id",
    "icmp_type": "icmp_type", "icmp_code": "icmp_code", "icmp_id": "icmp_id",
    "icmp_seq": "icmp_seq", "ttl_first": "ttl", "ip_length": "length",
}  # fmt: skip


@with_format(*HOPS)
def test_the_header_is_the_one_that_reading_it_gives(truth):
    expected, text = load(truth)
    _, hops = read(text)
    for packet, one in zip(assembled(hops), expected["packets"]):
        header = packet.header
        for name in HEADER.keys() & one.keys():
            assert getattr(header, HEADER[name], None) == one[name], name
        if header is not None and header.proto is not None:
            assert header.proto == one["proto"].lower()
        if "tcp_flags" in one:
            said = one["tcp_flags"]
            bits = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")
            flags = (
                [flag for at, flag in enumerate(bits) if int(said, 16) >> at & 1]
                if said.startswith("0x")
                else said.upper().split()
            )
            assert set(header.flags.split()) == set(flags)


@with_format(*HOPS)
def test_an_address_that_is_rewritten_on_the_way_is_seen_there(truth):
    expected, text = load(truth)
    _, hops = read(text)
    for packet, one in zip(assembled(hops), expected["packets"]):
        nat = one.get("nat")
        seen = packet.nat or {}
        if nat is None:
            assert not seen
        elif "from" in nat:
            address, _, port = nat["to"].partition(":")
            assert seen["dst"] == address
            assert "dport" not in seen or seen["dport"] == int(port)


@with_format("iptables-save")
def test_a_listing_of_iptables_save_gives_the_rules_that_reading_it_gives(truth):
    expected, text = load(truth)
    found = xtables_save.origin(text)
    assert found is None or found.family == ("ip6" if "ip6tables" in truth.name else "ip")
    ruleset = Ruleset()
    for _ in xtables_save.parse(text.splitlines(), "ip", ruleset):
        pass
    chains = {(key.table, key.name): chain for key, chain in ruleset.chains.items()}
    assert sum(len(chain.rules) for chain in chains.values()) == expected["rules_total"]
    for table in expected["tables"]:
        ours = {name: chain for (where, name), chain in chains.items() if where == table["table"]}
        policies = {name: chain.policy for name, chain in ours.items() if chain.is_base}
        assert policies == {name: policy.lower() for name, policy in table["base_policies"].items()}
        assert len(ours) - len(policies) == table["user_chains"]
    for place, line in expected["rule_lookups"].items():
        table, chain, number = place.rsplit(":", 2)
        assert chains[table, chain].rules[int(number) - 1].text == line.strip()
    standard = [
        f"{table}:{name}:{number} -j {said.target}"
        for (table, name), chain in chains.items()
        for number, rule in enumerate(chain.rules, start=1)
        if (said := parse_rule(rule.text)).is_unconditional
        and said.target in STANDARD_TARGETS
        and not said.is_goto
    ]
    assert sorted(standard) == sorted(expected["unconditional_standard_rules"])


@with_format("nft-list-ruleset")
def test_a_listing_of_nft_gives_its_chains(truth):
    expected, text = load(truth)
    assert nft_text.is_listing(text.replace("\r", ""))
    assert len(nft_text.parse(text).chains) == expected["chains"]


@with_format("proc-modules", "lsmod")
def test_a_list_of_modules_gives_what_reading_it_gives(truth):
    expected, text = load(truth)
    found = proc_modules.parse(text)
    names = [module.name for module in found.modules]
    assert (len(names), names[0], names[-1]) == (
        *(expected["modules"], expected["first"]),
        expected["last"],
    )
    assert found.skipped == 0
    by_name = {module.name: module for module in found.modules}
    for check in expected["spot_checks"]:
        module = by_name[check["name"]]
        assert module.size == check["size"]
        assert module.refcount == check["refcount"]
        assert set(module.used_by) == set(check["used_by"])
