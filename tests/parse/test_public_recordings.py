"""Captures other people published, read in place, against the truth beside them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.recorded import assembled, hops_of, places

from tracetui.parse import proc_modules

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
