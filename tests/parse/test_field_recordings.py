"""Captures tried in the field, read in place, against the truth beside them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.parse.test_public_recordings import HOPS, as_printed, read
from tests.recorded import assembled

from tracetui.model.trace.packet import Packet
from tracetui.session.recording import report
from tracetui.session.rulesets.rulesets import Rulesets
from tracetui.session.state.explanations import Explanations

PUBLIC = os.environ.get("TRACETUI_PUBLIC_RECORDINGS")
FOLDER = Path(PUBLIC).with_name("field") if PUBLIC else Path("/nowhere")
pytestmark = pytest.mark.skipif(PUBLIC is None, reason="TRACETUI_PUBLIC_RECORDINGS is not set")
TRUTHS = sorted(FOLDER.glob("*.expect.json"))
of_hops = pytest.mark.parametrize(
    "truth",
    [path for path in TRUTHS if json.loads(path.read_text())["format"] in HOPS],
    ids=lambda path: path.name.split(".")[0],
)


def load(truth: Path) -> tuple[dict, str]:
    text = truth.with_name(truth.name.replace(".expect.json", ".txt"))
    return json.loads(truth.read_text()), text.read_text(errors="backslashreplace")


def test_the_folder_is_not_empty():
    assert TRUTHS


@of_hops
def test_every_line_that_holds_a_hop_gives_one_and_the_others_are_counted(truth):
    expected, text = load(truth)
    reader, hops = read(text)
    assert len(hops) == expected["trace_hop_lines"]
    # The truths count blank lines, and quoted ones with nothing on them, as they are.
    assert reader.skipped <= expected.get("non_trace_lines", 0) or "non_trace_lines" not in expected
    assert reader.unread == {}
    assert reader.lost == 0


@of_hops
def test_the_packets_are_those_that_reading_it_gives(truth):
    expected, text = load(truth)
    packets = assembled(read(text)[1])
    assert len(packets) == expected["distinct_packets"]
    ids = {hop.trace_id for packet in packets for hop in packet.hops} - {None}
    assert len(ids) == expected.get("distinct_trace_ids", len(ids))
    for packet, one in zip(packets, expected["packets"]):
        if isinstance(one.get("hops"), int):
            assert len(packet.hops) == one["hops"]
        elif "hops" in one:
            assert [printed(hop, one["hops"]) for hop in packet.hops] == one["hops"]
        if "trace_id" in one:
            assert packet.hops[0].trace_id == int(one["trace_id"], 16)


def printed(hop, wanted: list[str]) -> str:
    """A hop as the truth has it: with no verdict where that has none."""
    if all(one.endswith(":") for one in wanted) and hop.backend == "nft":
        return f"{hop.table}:{hop.chain}:{hop.type}:"
    return as_printed(hop)


@of_hops
def test_the_verdict_is_the_truth_or_is_not_known(truth):
    expected, text = load(truth)
    explanations = Explanations(Rulesets())
    for packet, one in zip(assembled(read(text)[1]), expected["packets"]):
        explanation = explanations.of(packet)
        # A reject is a drop that answers.
        told = {"reject": "drop"}.get(explanation.verdict, explanation.verdict)
        assert told in (one["verdict"], "unknown")
        if explanation.verdict == "unknown":
            assert explanation.why


HEADER = {"src": "src", "dst": "dst", "sport": "sport", "dport": "dport", "ip_id": "ip_id"}


def header_of(packet: Packet) -> dict[str, object]:
    value = report.packet_json(packet, Explanations(Rulesets()).of(packet))
    return {**{name: value[name] for name in HEADER}, "proto": value["proto"]}


@of_hops
def test_the_header_is_the_one_that_reading_it_gives(truth):
    expected, text = load(truth)
    for packet, one in zip(assembled(read(text)[1]), expected["packets"]):
        header = header_of(packet)
        for name in HEADER.keys() & one.keys():
            assert header[name] == one[name], name
        if one.get("proto"):
            assert header["proto"] == one["proto"].lower()
        if "tcp_flags" in one:
            assert set(packet.header.flags.split()) == set(one["tcp_flags"].split())
        nat = one.get("nat")
        if isinstance(nat, dict) and "dst" in nat:
            assert packet.nat == nat
        elif nat is None:
            assert not packet.nat
