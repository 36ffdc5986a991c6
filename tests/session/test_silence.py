"""Replays without a packet: what was read tells why."""

from __future__ import annotations

import io
import json

import pytest

from tracetui.session.replay.replay import ReplaySession
from tracetui.session.view.empty_state import empty_text

LEGACY = {"ours": True, "backend": "legacy", "chain": "PREROUTING"}
NFT = {"ours": True, "backend": "nft", "chain": "OUTPUT"}


def shown(text: str) -> str:
    """What stands in the place of packets."""
    session = ReplaySession([("file", io.BytesIO(text.encode()))])
    session.read_all()
    return empty_text(session, (), 0.0)


def recording(*rules: dict, lost: int = 0, **hello) -> str:
    lines = [
        {"kind": "hello", "version": 1, **hello},
        {"kind": "rules", "time": 1.0, "rules": list(rules)},
        {"kind": "loss", "lost": lost},
    ]
    return "\n".join(map(json.dumps, lines))


def test_a_log_without_a_hop_says_where_hops_of_nft_are():
    said = shown("kernel: hello\nkernel: world\n")
    assert said.startswith("2 lines, and none is a TRACE record\n")
    assert "iptables-nft and nft leave no hop in the kernel log" in said
    assert "`xtables-monitor --trace`" in said
    assert said.endswith("there is no node to trace")


def test_an_empty_file_is_called_one():
    assert shown("").startswith("There is nothing in it\n")


@pytest.mark.parametrize(
    ("text", "said", "unsaid"),
    [
        (recording(NFT, netns="blue"), "only blue is traced", "kernel log"),
        (recording(NFT, sources=["nftrace"]), "OUTPUT sees what this node itself sends", "nflog"),
        (recording(LEGACY, sources=["nftrace"]), "neither nflog nor the kernel log", "lost"),
        (
            recording(LEGACY, sources=["kmsg"], netns="blue"),
            "nf_log_all_netns=1",
            "neither nflog",
        ),
        (recording(LEGACY, sources=["nflog"], lost=7), "7 hops were lost", "nf_log_all"),
        (recording(), "no TRACE rule was installed", "is traced"),
        (recording({**NFT, "ours": False}), "no TRACE rule was installed", "is traced"),
    ],
)
def test_a_recording_without_a_packet_tells_likely_causes(text, said, unsaid):
    """It said that there is no node, and no more."""
    text = shown(text)
    assert text.startswith("No packet was recorded")
    assert said in text
    assert unsaid not in text


@pytest.mark.parametrize("rules", ["3", "[3]", "null", '{"a": 1}'])
def test_rules_that_make_no_sense_are_a_damaged_line(rules):
    session = ReplaySession(
        [("file", io.BytesIO(b'{"kind": "rules", "rules": %s}' % rules.encode()))]
    )
    session.read_all()
    assert session.status.skipped == 1
