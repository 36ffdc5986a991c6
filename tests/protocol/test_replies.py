"""Replies as they are sent and taken in; a malformed one is in tests/session."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from tracetui.model.tracing.installed_rule import InstalledRule
from tracetui.protocol import frames
from tracetui.protocol.frames import FrameReader
from tracetui.protocol.replies import ErrorKind, LeftRule, Outcome, Reply

TEXTS = st.text(max_size=20)
RULES = st.builds(
    InstalledRule,
    st.sampled_from(("legacy", "nft")),
    st.sampled_from((4, 6)),
    TEXTS,
    st.lists(TEXTS, max_size=3).map(tuple),
    st.integers(0, 2**63),
    st.integers(0, 2**63),
    st.none() | TEXTS,
    st.none() | st.floats(0, 1e10),
    st.booleans(),
)
SEVERAL = st.lists(RULES, max_size=2).map(tuple)
OUTCOMES = st.builds(
    Outcome,
    st.none() | st.sampled_from(ErrorKind),
    TEXTS,
    TEXTS,
    SEVERAL,
    SEVERAL,
    st.lists(st.builds(LeftRule, RULES, TEXTS), max_size=2).map(tuple),
)


def taken(value: dict) -> Reply:
    (frame,) = FrameReader().feed(frames.encode_json(frames.REPLY, time.time(), value))
    return Reply.from_frame(frame)


@given(st.integers(0, 2**53 - 1), OUTCOMES)
def test_a_reply_is_taken_as_it_was_sent(command_id, outcome):
    assert taken(Reply(command_id, outcome).to_json()) == Reply(command_id, outcome)


def test_a_kind_that_only_a_newer_collector_knows_is_a_failure():
    value = {**Reply(1, Outcome(ErrorKind.BUSY, "why")).to_json(), "error": "cosmic ray"}
    assert taken(value).outcome == Outcome(ErrorKind.FAILED, "why")


def test_the_remedy_stands_behind_the_reason():
    assert Outcome(ErrorKind.REFUSED, "the guard tripped", "arm it first").why == (
        "the guard tripped; arm it first"
    )
    assert Outcome(ErrorKind.FAILED, "no").why == "no"
