"""Files become packets; our own record gives back what it was written from."""

from __future__ import annotations

import io
import json
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.recorded import RECORDINGS, SEED_HOPS, lines

from tracetui.lab import recording as lab_recording
from tracetui.model.filter.view_filter import ViewFilter
from tracetui.model.trace.packet import MOST_HOPS
from tracetui.parse.line_reader import LineReader
from tracetui.parse.structured import NO_HOP
from tracetui.session.recording import report
from tracetui.session.recording.recording import RecordingWriter
from tracetui.session.replay.replay import ReplaySession
from tracetui.session.state.session import Status
from tracetui.session.state.store import PacketStore

KEYS = [
    *("kind", "id", "time", "family", "proto", "src", "sport", "dst", "dport", "length", "ip_id"),
    *("ttl", "flags", "icmp_type", "icmp_code", "mark", "mac", "in", "out", "hops"),
    *("nat", "verdict", "decided", "why", "complete"),
]
HOP_KEYS = [
    *("us", "backend", "table", "chain", "type", "rulenum", "handle", "in", "out", "verdict"),
    "rule",
]
SEED = lines("seed-eks-forward.log")


def replayed(*texts: bytes) -> ReplaySession:
    session = ReplaySession([(f"file{i}", io.BytesIO(text)) for i, text in enumerate(texts)])
    session.read_all()
    return session


def written(session: ReplaySession) -> str:
    out = io.StringIO()
    writer = RecordingWriter(out)
    writer.hello(session.status)
    for packet in session.packets:
        writer.packet(packet, session.explain(packet))
    writer.bye(session.status, len(session.packets))
    return out.getvalue()


def as_json(session: ReplaySession) -> list[dict]:
    return [report.packet_json(packet, session.explain(packet)) for packet in session.packets]


def test_the_seed_is_six_packets():
    session = replayed((RECORDINGS / "seed-eks-forward.log").read_bytes())
    assert [len(packet.hops) for packet in session.packets] == SEED_HOPS
    assert (session.status.hops, session.status.skipped) == (52, 0)
    assert session.ended


def test_lines_that_hold_no_hop_are_counted():
    session = replayed(b"\n".join([b"noise", b"\xff\xfe\0", SEED[0].encode(), b"", b"TRACE: cut"]))
    assert (session.status.hops, session.status.skipped) == (1, 3)


def test_a_packet_goes_on_in_the_next_file():
    half = "\n".join(SEED[:10]).encode(), "\n".join(SEED[10:22]).encode()
    (packet,) = replayed(*half).packets
    assert len(packet.hops) == 22


def test_a_record_is_read_back_as_it_was():
    first = replayed((RECORDINGS / "seed-eks-forward.log").read_bytes())
    again = replayed(written(first).encode())
    assert as_json(again) == as_json(first)
    assert again.status.skipped == 0


def test_a_record_of_both_backends_is_read_back_as_it_was():
    with lab_recording.open_recording() as file:
        text = file.read()
    packets = [line for line in text.decode().splitlines() if '"kind":"packet"' in line]
    session = replayed(text)
    assert as_json(session) == [json.loads(line) for line in packets]
    assert {hop["backend"] for packet in as_json(session) for hop in packet["hops"]} == {
        "legacy",
        "nft",
    }


@pytest.mark.parametrize("source", ["forged", "nflog", "kmsg", "log"])
def test_what_may_be_made_up_is_so_in_its_record_too(source):
    (first, *_) = as_json(replayed("\n".join(SEED).encode()))
    first["hops"] = [{**first["hops"][-1], "us": 0, "source": source}]
    (again,) = as_json(replayed(json.dumps(first).encode()))
    assert [hop["source"] for hop in again["hops"]] == [source]
    is_by_netlink = source in ("forged", "nflog")
    assert ("made up" in (again["why"] or "")) == is_by_netlink
    assert again["verdict"] == "unknown" or not is_by_netlink


def test_a_packet_written_again_replaces_what_it_was():
    text = "\n".join(
        json.dumps(as_json(replayed("\n".join(lines).encode()))[0]) for lines in (SEED[:5], SEED)
    )
    (packet,) = replayed(text.encode()).packets
    assert len(packet.hops) == 22


def test_a_packet_can_be_written_again_as_often_as_a_long_recording_does():
    """Some 500 times ended the replay with an AttributeError."""
    line = json.dumps(as_json(replayed("\n".join(SEED).encode()))[0])
    once, often = (replayed("\n".join([line] * times).encode()) for times in (1, 1200))
    assert as_json(often) == as_json(once)
    assert (often.status.hops, often.status.skipped) == (22, 0)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_empty_lines_are_taken_all_at_once_and_counted(monkeypatch, end):
    """Each cost as much as a line of unknown form: 20 µs."""
    read = []
    feed = LineReader.feed
    monkeypatch.setattr(
        LineReader, "feed", lambda self, line: (read.append(line), feed(self, line))[1]
    )
    session = replayed(f"{SEED[0]}{end}{end * 100_000}junk{end}{SEED[1]}{end}".encode())
    assert [len(packet.hops) for packet in session.packets] == [2]
    assert [(fault.line, fault.why) for fault in session.take_faults()] == [(100_002, NO_HOP)]
    assert len(read) < 10


def test_empty_lines_between_entries_of_the_journal_end_one_each():
    entry = f"MESSAGE={SEED[0].partition('] ')[2]}\n_TRANSPORT=kernel\n"
    one, many = (replayed((entry + "\n" * lines).encode() * 3) for lines in (1, 50))
    assert one.status.hops == many.status.hops == 3


def test_unknown_keys_and_kinds_are_ignored():
    value = {**as_json(replayed("\n".join(SEED).encode()))[0], "later": {"x": 1}}
    other = '{"kind": "weather", "rain": true}'
    session = replayed(f"{other}\n{json.dumps(value)}\n".encode())
    assert len(session.packets) == 1


def test_a_packet_has_the_keys_of_the_record():
    packet = as_json(replayed("\n".join(SEED).encode()))[0]
    assert list(packet) == KEYS
    for hop in packet["hops"]:
        assert [key for key in HOP_KEYS if key in hop] == HOP_KEYS
    assert (packet["proto"], packet["sport"], packet["in"]) == ("tcp", 22896, "eth3")
    assert packet["hops"][0]["type"] == "policy"


def test_changes_stand_on_the_hop_that_shows_them_first():
    with lab_recording.open_recording() as file:
        packets = as_json(replayed(file.read()))
    natted = next(one for one in packets if one["nat"] and one["flags"] == "SYN")
    changed = [hop["changed"] for hop in natted["hops"] if "changed" in hop]
    assert {"dst": "10.200.2.2", "dport": 8080, "ttl": 63}.items() <= dict(
        chain.from_iterable(one.items() for one in changed)
    ).items()
    assert natted["nat"] == {"dst": "10.200.2.2", "dport": 8080}


def test_a_stream_begins_with_hello_and_ends_with_totals():
    text = written(replayed("\n".join(SEED).encode())).splitlines()
    hello, bye = json.loads(text[0]), json.loads(text[-1])
    assert (hello["kind"], hello["version"]) == ("hello", 1)
    assert (bye["kind"], bye["packets"], bye["hops"]) == ("bye", 6, 52)


def test_an_order_in_a_replay_says_that_there_is_no_node():
    session = replayed(b"")
    session.flush()
    (notice,) = session.take_notices()
    assert "replay" in notice.text


def test_the_hello_of_a_live_trace_names_where_it_was():
    status = Status(host="node-7", netns="blue")
    assert report.hello(status)["host"] == "node-7"
    assert report.hello(status)["netns"] == "blue"


RECORDED = written(replayed("\n".join(SEED[:22]).encode()))


@given(st.data())
def test_a_damaged_record_raises_nothing(data):
    text = list(RECORDED)
    for _ in range(data.draw(st.integers(1, 6))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.characters(codec="utf-8"))
    session = replayed("".join(text).encode())
    for packet in session.packets:
        list(report.packet_text(packet, session.explain(packet)))
        report.packet_json(packet, session.explain(packet))


VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.just(10**400)
    | st.text(max_size=5)
    | st.just([])
    | st.just({})
)


@given(st.sampled_from(KEYS[1:] + HOP_KEYS), VALUES)
def test_a_record_with_a_value_of_another_kind_raises_nothing(key, value):
    packet = json.loads(RECORDED.splitlines()[1])
    target = packet if key in KEYS and key != "hops" else packet["hops"][3]
    target[key] = value
    session = replayed(json.dumps(packet).encode())
    assert len(session.packets) + session.status.skipped == 1
    for one in session.packets:
        list(report.packet_text(one, session.explain(one)))
        report.packet_json(one, session.explain(one))
        ViewFilter.parse(src="10.0.0.0/8", port="80", proto="tcp").matches(one)


@pytest.mark.parametrize("number", [-17 * 10**307, 1 << 64, float("nan"), float("inf"), -1e300])
@pytest.mark.parametrize("key", ["us", "time"])
def test_a_number_beyond_all_clocks_is_damage(key, number):
    packet = json.loads(RECORDED.splitlines()[1])
    target = packet if key == "time" else packet["hops"][0]
    target[key] = number
    packet["hops"][1]["us"] = (1 << 64) - 1
    session = replayed(json.dumps(packet).encode())
    assert (len(session.packets), session.status.skipped) == (0, 1)
    packet["hops"][0]["us"], packet["time"] = -(1 << 63), None
    session = replayed(json.dumps(packet).encode())
    (found,) = session.packets
    assert list(report.packet_text(found, session.explain(found)))


def test_a_damaged_record_is_counted():
    whole = RECORDED.splitlines()
    session = replayed("\n".join([whole[0], whole[1][:-40], whole[2]]).encode())
    assert (len(session.packets), session.status.skipped) == (0, 1)


@pytest.mark.parametrize("family", [0, 5, -4])
def test_a_recorded_packet_of_no_family_of_ip_is_damaged(family):
    packet = json.loads(RECORDED.splitlines()[1])
    packet["family"] = family
    session = replayed(json.dumps(packet).encode())
    assert (len(session.packets), session.status.skipped) == (0, 1)


def test_a_recorded_ruleset_without_its_texts_is_the_one_before_it():
    line = b'{"kind":"ruleset","backend":"nft","reading":1,"continuous":true}\n'
    session = replayed(line, "\n".join(SEED).encode())
    assert (session.status.skipped, session.status.hops) == (0, 52)


@pytest.mark.parametrize("field", ["chain", "in", "verdict", "rule"])
def test_half_of_a_character_in_a_record_is_written_back_as_it_was(field):
    """No file and no terminal would take it but as an escape."""
    packet = json.loads(RECORDED.splitlines()[1])
    packet["hops"][3][field] = "\ud800"
    session = replayed(json.dumps(packet).encode())
    assert (len(session.packets), session.status.skipped) == (1, 0)
    assert as_json(replayed(written(session).encode())) == as_json(session)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("time", 1e308),
        ("time", -1.0),
        ("id", 1 << 70),
        ("sport", 10**4000),
        ("src", "fe80::1%\x1b[0m"),
    ],
)
def test_a_record_with_a_value_that_no_node_has_is_damage(key, value):
    packet = {**json.loads(RECORDED.splitlines()[1]), key: value}
    assert replayed(json.dumps(packet).encode()).status.skipped == 1


def test_a_recorded_packet_has_as_many_hops_as_one_can_have():
    packet = json.loads(RECORDED.splitlines()[1])
    packet["hops"] = packet["hops"][:1] * MOST_HOPS
    assert replayed(json.dumps(packet).encode()).status.hops == MOST_HOPS
    packet["hops"].append(packet["hops"][0])
    assert replayed(json.dumps(packet).encode()).status.skipped == 1


def test_a_packet_whose_stamps_count_from_boot_keeps_its_distances():
    first = replayed(f"[    5.000009] TRACE:{SEED[0].partition('TRACE:')[2]}".encode())
    assert as_json(first)[0]["hops"][0]["us"] == 0
    assert as_json(replayed(written(first).encode())) == as_json(first)


def test_a_replay_of_a_record_keeps_no_more_than_the_store_does():
    text = "\n".join(
        RECORDED.splitlines()[1].replace('"id": 1,', f'"id": {number},') for number in range(1, 201)
    )
    session = ReplaySession([("file", io.BytesIO(text.encode()))], PacketStore(capacity=100))
    session.read_all()
    assert (session.status.hops, session.packets.evicted, len(session.packets)) == (4400, 196, 4)
    assert len(session._recorded) == 4
