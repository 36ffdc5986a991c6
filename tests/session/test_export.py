"""Packets for others: text, Markdown that no text of a packet breaks out of, records to replay."""

from __future__ import annotations

import io
import json

from tests.recorded import RECORDINGS, hop_of, put

from tracetui.model.trace.assembler import Assembler
from tracetui.session.recording.export import JSON, MARKDOWN, TEXT, exported
from tracetui.session.recording.report import packet_json
from tracetui.session.replay.replay import ReplaySession
from tracetui.session.state.store import PacketStore


def replayed(file):
    session = ReplaySession([("file", file)])
    session.read_all()
    return session


def seed():
    return replayed(io.BytesIO((RECORDINGS / "seed-eks-forward.log").read_bytes()))


def written(session, form, packets=None):
    packets = list(session.packets) if packets is None else packets
    return "".join(exported(form, packets, session.explain, session.status))


def test_a_record_of_some_packets_replays_as_those_packets():
    session = seed()
    some = list(session.packets)[1:3]
    text = written(session, JSON, some)
    kinds = [json.loads(line)["kind"] for line in text.splitlines()]
    assert kinds == ["hello", "packet", "packet", "bye"]
    again = replayed(io.BytesIO(text.encode()))
    assert again.status.skipped == 0
    before = [packet_json(packet, session.explain(packet)) for packet in some]
    after = [packet_json(packet, again.explain(packet)) for packet in again.packets]
    for one in (*before, *after):
        del one["id"]
    assert after == before


def test_text_has_a_line_for_the_packet_and_one_for_each_hop():
    session = seed()
    first = session.packets.get(1)
    lines = written(session, TEXT, [first]).splitlines()
    assert "172.31.47.174:22896 → 172.31.55.27:8090" in lines[0]
    for hop in first.hops:
        point = f"{hop.table}:{hop.chain} {hop.type} {hop.rulenum}"
        assert sum(point in line for line in lines) >= 1
    assert len(lines) >= 1 + len(first.hops)


def test_markdown_tells_the_packet_in_a_line_and_fences_the_hops():
    session = seed()
    text = written(session, MARKDOWN, [session.packets.get(1)])
    head, *rest = text.splitlines()
    assert head.startswith("**2023-09-21 15:01:24.000 UTC tcp SYN**")
    assert "`172.31.47.174:22896 → 172.31.55.27:8090`" in head
    assert rest.count("```text") == rest.count("```") == 1


def test_no_name_ends_the_fence_or_acts_on_a_terminal():
    line = (RECORDINGS / "seed-eks-forward.log").read_text().splitlines()[0]
    hop = hop_of(line)
    store, assembler = PacketStore(), Assembler()
    store.took(put(assembler, hop.with_(chain="````", iif="```\n# owned", rule="a ```` b\x1b[2J")))
    session = ReplaySession([], packets=store)
    text = written(session, MARKDOWN)
    assert "\x1b" not in text
    fences = [line for line in text.splitlines() if set(line) == {"`"} or line.endswith("text")]
    assert [line.replace("text", "") for line in fences] == ["`````", "`````"]
    assert not any(line.startswith("#") for line in text.splitlines())
    for form in (TEXT, JSON):
        assert "\x1b" not in written(session, form)
