"""Rulesets that come with a trace: brought by the user, or read while it ran."""

from __future__ import annotations

import io
import json
import re

import pytest
from tests.recorded import assembled, datagrams, unpacked

from tracetui.lab import recording as lab_recording
from tracetui.parse import nftrace
from tracetui.session import report
from tracetui.session.replay import ReplaySession
from tracetui.session.rulesets import Rulesets

SAVE = "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -p tcp -j ACCEPT\nCOMMIT\n"
PLACES = json.dumps(
    {
        "tables": [["ip", "filter", 1]],
        "chains": [["ip", "filter", "FORWARD", "FORWARD", 0, "drop", "filter", [7]]],
    }
)


def reading(number: int, text: str | None, places: str = PLACES, generation: int = 1) -> dict:
    parts = [
        {"what": "save", "backend": "nft", "family": 4, "text": text},
        {"what": "places", "backend": "nft", "text": places},
    ]
    return {
        "backend": "nft",
        "reading": number,
        "generations": [generation, generation],
        "parts": None if text is None else parts,
    }


def test_handles_get_the_text_of_their_place():
    rulesets = Rulesets()
    rulesets.take_record(reading(1, SAVE))
    rulesets.take_record(reading(2, None))
    rulesets.work_all()
    found = rulesets.histories["nft"].rule(("ip", "filter"), 7, (1, 2))
    assert found.value[1].text == "-A FORWARD -p tcp -j ACCEPT"


def test_a_listing_of_another_length_than_the_handles_gives_no_text():
    rulesets = Rulesets()
    rulesets.take_record(reading(1, SAVE, PLACES.replace("[7]", "[7, 8]")))
    rulesets.take_record(reading(2, None))
    rulesets.work_all()
    assert rulesets.histories["nft"].rule(("ip", "filter"), 7, (1, 2)).state == "changed"


def test_a_chain_that_has_no_place_does_not_exist():
    rulesets = Rulesets()
    rulesets.take_record(reading(1, SAVE.replace(":FORWARD", ":INPUT ACCEPT [0:0]\n:FORWARD")))
    rulesets.take_record(reading(2, None))
    rulesets.work_all()
    bases = rulesets.histories["nft"].base_chains((1, 2))
    assert [key.name for key, _ in bases] == ["FORWARD"]


def test_a_hop_stands_between_the_readings_around_it():
    rulesets = Rulesets()
    mark = {"backend": "nft", "same": False, "generations": [1, 1], "drained": True}
    assert rulesets.window("nft") == (0, 1)
    rulesets.take_mark({**mark, "reading": 1, "at": "begin"})
    assert rulesets.window("nft") == (0, 2)
    rulesets.take_mark({**mark, "reading": 1, "at": "end"})
    assert rulesets.window("nft") == (1, 2)
    # Hops of before the second reading may still come: its sources were not emptied.
    rulesets.take_mark({**mark, "reading": 2, "at": "begin"})
    rulesets.take_mark({**mark, "reading": 2, "at": "end", "drained": False})
    assert rulesets.window("nft") == (1, 3)
    assert rulesets.window("legacy") == (0, 1)


def test_a_reading_that_failed_gives_its_number_to_the_next():
    rulesets = Rulesets()
    rulesets.take_mark({"backend": "nft", "reading": 1, "at": "begin"})
    rulesets.take_mark({"backend": "nft", "reading": 1, "at": "cancel"})
    assert rulesets.window("nft") == (0, 1)
    rulesets.take_mark({"backend": "nft", "reading": 1, "at": "begin"})
    rulesets.take_text({"backend": "nft", "what": "save", "family": 4}, SAVE)
    rulesets.take_text({"backend": "nft", "what": "places"}, PLACES)
    end = {"same": False, "generations": [1, 1], "drained": True}
    record = rulesets.take_mark({"backend": "nft", "reading": 1, "at": "end", **end})
    rulesets.work_all()
    assert rulesets.histories["nft"].latest == 1
    assert [part["what"] for part in record["parts"]] == ["save", "places"]


def test_after_the_last_reading_nobody_waits_for_the_next():
    rulesets = Rulesets()
    rulesets.take_record(reading(1, SAVE))
    rulesets.work_all()
    history = rulesets.histories["nft"]
    assert history.rule(("ip", "filter"), 7, (1, 2)).state == "pending"
    rulesets.end()
    rulesets.work_all()
    assert history.rule(("ip", "filter"), 7, (1, 2)).state == "unread"


@pytest.mark.parametrize("text", ["", "hello", "{}", '{"nftables": []}', "*filter\nCOMMIT\n"])
def test_a_file_that_is_no_ruleset_is_told_from_one(text):
    assert not Rulesets().fix(text)


def test_every_nft_event_has_the_rule_that_xtables_monitor_gives_it():
    rulesets = Rulesets()
    for name in ("ruleset.json", "iptables-save", "ip6tables-save"):
        assert rulesets.fix(unpacked(f"scenario-nft.{name}.gz"))
    monitor = unpacked("scenario-nft.xtables-monitor.txt.gz")
    truth = {}
    for found in re.finditer(
        r"TRACE: (2|10) \S+ (\w+):(\S+):rule:0x([0-9a-f]+):\S+  -[46] -t \w+ (-A .*?)\s*$",
        monitor,
        re.MULTILINE,
    ):
        family = "ip6" if found[1] == "10" else "ip"
        truth[family, found[2], found[3], int(found[4], 16)] = found[5]
    hops = [
        hop
        for datagram in datagrams("scenario-nft.bin.gz")
        if (hop := nftrace.parse(datagram, {}, 0.0)) is not None
    ]
    session = ReplaySession([], rulesets=rulesets)
    seen = set()
    for packet in assembled(hops):
        for hop, here in zip(packet.hops, session.explain(packet).hops):
            key = (hop.family, hop.table, hop.chain, hop.handle)
            if hop.handle is None:
                assert here.rule is None
                continue
            assert here.state == "known", hop.place
            if key in truth:
                assert here.rule.text == truth[key]
                seen.add(key)
    assert len(seen) == len(truth) > 20


def replay_of(text: str) -> ReplaySession:
    session = ReplaySession([("recording", io.BytesIO(text.encode()))])
    session.read_all()
    return session


def recorded() -> list[str]:
    with lab_recording.open_recording() as file:
        return file.read().decode().splitlines()


def texts(session: ReplaySession) -> list[list[str]]:
    return [list(report.packet_text(packet, session.explain(packet))) for packet in session.packets]


def test_a_recording_explains_itself_elsewhere():
    session = replay_of("\n".join(recorded()))
    explanations = [session.explain(packet) for packet in session.packets]
    rules = [here for one in explanations for here in one.hops if here.rule is not None]
    assert len(rules) > 100
    assert all(here.chain is not None for here in rules)
    assert {one.verdict for one in explanations} == {"accept", "drop", "reject", "unknown"}
    unknown = [one for one in explanations if one.verdict == "unknown"]
    assert all("multicast" in one.why for one in unknown)


def test_packets_whose_rulesets_were_cut_off_keep_what_was_written_with_them():
    packets = [line for line in recorded() if '"kind":"packet"' in line]
    whole, cut = replay_of("\n".join(recorded())), replay_of("\n".join(packets))
    told = [whole.explain(packet) for packet in whole.packets]
    for one, other in zip(told, (cut.explain(packet) for packet in cut.packets)):
        assert [here.rule and here.rule.text for here in one.hops] == [
            here.rule and here.rule.text for here in other.hops
        ]
        assert [here.verdict for here in one.hops] == [here.verdict for here in other.hops]
        if one.verdict in ("drop", "reject"):
            assert other.verdict == one.verdict


@pytest.mark.parametrize("key", ["reading", "generations", "parts", "backend"])
@pytest.mark.parametrize("value", [None, 3.5, "x", [], {}, [1], [[]], True])
def test_a_damaged_ruleset_costs_only_itself(key, value):
    lines = recorded()
    damaged = []
    for line in lines:
        one = json.loads(line)
        if one["kind"] == "ruleset":
            one[key] = value
        damaged.append(json.dumps(one))
    session = replay_of("\n".join(damaged))
    assert len(session.packets) == sum('"kind":"packet"' in line for line in lines)
    assert texts(session)
