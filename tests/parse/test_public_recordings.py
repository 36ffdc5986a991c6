"""Captures other people published, read in place, against the truth beside them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.recorded import assembled, hops_of, places

from tracetui.model.rule_meaning import STANDARD, meaning
from tracetui.model.ruleset import Ruleset
from tracetui.parse import nft_text, proc_modules, xtables_save

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


@with_format("kernel-log")
def test_a_kernel_log_gives_the_packets_that_reading_it_gives(truth):
    expected, text = load(truth)
    lines = [line for line in text.splitlines() if line.strip()]
    hops = hops_of(lines)
    assert len(hops) == expected["trace_hop_lines"]
    assert len(lines) - len(hops) == expected["non_trace_lines"]
    packets = assembled(hops)
    assert [places(packet) for packet in packets] == [one["hops"] for one in expected["packets"]]
    for packet, one in zip(packets, expected["packets"]):
        # Where the truth rests on more than the text (rules, a page), unknown is the honest answer.
        assert packet.verdict in (one["verdict"], "unknown")


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
        if (said := meaning(rule.text)).is_unconditional
        and said.target in STANDARD
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
