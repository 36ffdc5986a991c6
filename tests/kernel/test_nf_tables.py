"""Answers of nf_tables, real ones and ones that no kernel gives; no socket is needed for them."""

from __future__ import annotations

import struct

import pytest
from tests.fuzz.answers import outline, recorded

from tracetui.errors import Failure, NotPermitted

DUMP = recorded()
GENERATION, TABLES, TABLES_END, CHAINS, CHAINS_END, RULES, RULES_END, GENERATION_AGAIN = DUMP


def answer(kind: int, body: bytes, sequence: int = 1) -> bytes:
    return struct.pack("=IHHIIBBH", 20 + len(body), kind, 0, sequence, 0, 2, 0, 0) + body


def test_a_recorded_answer_is_tables_chains_and_handles():
    found = outline(DUMP)
    assert found.is_whole
    assert [table.name for table in found.tables if table.is_dormant] == ["asleep"]
    chains = {chain[:3]: chain for chain in found.chains}
    gate = chains["inet", "shop", "gate"]
    assert (gate.hook, gate.priority, gate.policy, gate.type) == ("FORWARD", 10, "drop", "filter")
    assert (gate.handles, gate.native) == ((6, 7), (6, 7))
    assert chains["ip", "asleep", "c"].type is None
    assert chains["netdev", "port", "in"].hook is None
    assert chains["ip", "raw", "PREROUTING"].priority == -300
    forward = chains["ip", "filter", "FORWARD"]
    assert (forward.handles, forward.native) == ((2, 3), (3,))


@pytest.mark.parametrize("end", range(1, 8))
def test_an_answer_that_stops_is_a_failure(end):
    with pytest.raises(Failure, match="did not answer: timed out"):
        outline(DUMP[:end])


@pytest.mark.parametrize("at", [1, 3, 5])
def test_a_message_without_what_it_always_has_is_a_failure(at):
    """Its first attributes are the names."""
    for size in (0, 3):
        damaged = DUMP[at][:20] + struct.pack("=H", size) + DUMP[at][22:]
        with pytest.raises(Failure, match="can't be read"):
            outline([*DUMP[:at], damaged, *DUMP[at + 1 :]])


def test_a_number_of_any_length_is_a_failure():
    for size in (0, 9, 2500):
        body = struct.pack("=HH", 4 + size, 1) + bytes(size)
        with pytest.raises(Failure, match="can't be read"):
            outline([answer(0x0A0F, body)])


@pytest.mark.parametrize(
    ("code", "kind"),
    [(-1, NotPermitted), (-2, Failure), (0, Failure), (-(1 << 31), Failure), (5, Failure)],
)
def test_a_refusal_is_a_failure_whatever_its_number(code, kind):
    with pytest.raises(kind):
        outline([struct.pack("=IHHIIi", 20, 2, 0, 1, 0, code)])
    with pytest.raises(Failure):
        outline([struct.pack("=IHHII", 16, 2, 0, 1, 0)])
