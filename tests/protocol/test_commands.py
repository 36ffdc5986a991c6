"""Commands on their pipe: what is read is what was sent, and what can't be done has its reply."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracetui.errors import Failure
from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.protocol import commands
from tracetui.protocol.commands import (
    AddRules,
    ArmGuard,
    CommandReader,
    DeleteRule,
    ExtendRules,
    Flush,
    ListChain,
    LoadModule,
    ReadRulesets,
    Request,
    SetThreshold,
    encode,
)
from tracetui.protocol.replies import ErrorKind, Reply

RULE = TraceRule(proto="tcp", dport="80", limit=20, expires=1_700_000_000)
TEXTS = st.text(max_size=20)
SEVERAL = st.lists(TEXTS, max_size=3).map(tuple)
EVERY = [
    st.builds(AddRules, st.lists(st.just(RULE), max_size=3).map(tuple), TEXTS, st.booleans()),
    st.builds(DeleteRule, TEXTS),
    st.builds(ExtendRules, SEVERAL),
    st.builds(Flush, SEVERAL),
    st.builds(ReadRulesets),
    st.builds(ListChain, TEXTS, TEXTS, TEXTS, TEXTS),
    st.builds(LoadModule, TEXTS),
    st.builds(ArmGuard),
    st.builds(SetThreshold, st.integers(-(2**60), 2**60)),
]
REQUESTS = st.builds(Request, st.integers(0, commands.MAX_ID - 1), st.one_of(EVERY))


def read(data: bytes) -> list:
    return list(CommandReader().feed(data))


def line(**values) -> bytes:
    return json.dumps(values).encode() + b"\n"


@given(st.lists(REQUESTS, max_size=5), st.integers(1, 64))
def test_every_command_is_read_as_it_was_sent_however_it_is_cut(requests, size):
    stream = b"".join(map(encode, requests))
    reader = CommandReader()
    got = [one for at in range(0, len(stream), size) for one in reader.feed(stream[at : at + size])]
    assert got == requests
    assert [type(one.command) for one in got] == [type(one.command) for one in requests]


@pytest.mark.parametrize(
    "noise",
    [
        b"noise", b"[]", b"\xff\x00", b'{"do": "flush"}', b"[" * 100_000, b"9" * 5000,
        b'{"id": true, "do": "flush", "foreign_ids": []}', b'{"id": -1, "do": "arm-guard"}',
        b'{"id": "1", "do": "arm-guard"}', b'{"id": 1e3, "do": "arm-guard"}',
        b'{"id": 9007199254740992, "do": "arm-guard"}',
    ],
)  # fmt: skip
def test_a_line_without_an_id_is_left_out_and_keeps_nothing_from_the_next(noise):
    assert read(noise + b"\n" + encode(Request(7, ArmGuard()))) == [Request(7, ArmGuard())]


@pytest.mark.parametrize("name", ["quit", "", None, 7, ["flush"], "Flush"])
def test_a_command_that_is_not_known_has_its_reply(name):
    (reply,) = read(line(id=3, do=name))
    assert isinstance(reply, Reply)
    assert (reply.id, reply.outcome.error) == (3, ErrorKind.UNKNOWN_COMMAND)


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"do": "flush"}, "foreign_ids"),
        ({"do": "flush", "foreign_ids": "all"}, "foreign_ids"),
        ({"do": "flush", "foreign_ids": [1]}, "foreign_ids.0"),
        ({"do": "flush", "foreign_ids": [], "everything": True}, "everything"),
        ({"do": "set-threshold", "hops_per_second": 1.5}, "hops_per_second"),
        ({"do": "set-threshold", "hops_per_second": True}, "hops_per_second"),
        ({"do": "add-rules", "rules": [1], "backend": "nft", "override": False}, "rules.0"),
        ({"do": "add-rules", "rules": [], "backend": "nft", "override": 1}, "override"),
        (
            {"do": "add-rules", "rules": [{"dport": "80"}], "backend": "nft", "override": False},
            "dport: needs a protocol",
        ),
        (
            {"do": "add-rules", "rules": [{"src": "-j"}], "backend": "nft", "override": False},
            "src: ",
        ),
    ],
)
def test_a_command_with_a_value_that_it_cant_have_has_its_reply(values, where):
    (reply,) = read(line(id=3, **values))
    assert isinstance(reply, Reply)
    assert (reply.id, reply.outcome.error) == (3, ErrorKind.INVALID)
    assert where in reply.outcome.text


def test_a_line_that_is_too_long_is_neither_kept_nor_taken_for_another():
    reader = CommandReader()
    for _ in range(40):
        assert list(reader.feed(b"x" * (1 << 16))) == []
        assert len(reader._rest) <= commands.MAX_LINE
    assert list(reader.feed(encode(Request(1, ArmGuard())))) == []
    assert list(reader.feed(encode(Request(2, ArmGuard())))) == [Request(2, ArmGuard())]


def test_a_command_that_is_too_long_is_not_sent():
    encode(Request(1, Flush(("abcdef",) * 50_000)))
    with pytest.raises(Failure, match="too long"):
        encode(Request(1, Flush(("abcdef",) * 200_000)))
