"""Commands of a session and their replies: once for each, by the id, and what the user is told."""

from __future__ import annotations

import json
import os
import time

import pytest
from tests.session import scripted
from tests.session.scripted import COMMAND, UNTIL_TOLD, hello, poll_until, reply, session

from tracetui.errors import CollectorGone
from tracetui.model.tracing.installed_rule import InstalledRule
from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.protocol import frames
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
)
from tracetui.protocol.replies import ErrorKind, LeftRule, Outcome
from tracetui.session.live import client, outcome_notices
from tracetui.session.live.outcome_notices import OutcomeNotices
from tracetui.session.replay.replay import ReplaySession
from tracetui.session.state.session import ChainRef

WANTED = TraceRule(proto="udp")
WORDS = ("-p", "udp", "-m", "comment", "--comment", "tracetui:1.2.3/ab", "-j", "TRACE")
MINE = InstalledRule(
    "nft", 4, "OUTPUT", WORDS, 0, 0, "tracetui:1.2.3/ab", 1_700_000_000.0, mine=True
)
FOREIGN = InstalledRule("legacy", 6, "PREROUTING", ("-j", "TRACE"), 0, 0, None, None)
ADD = AddRules((WANTED,), "nft", False)
ECHO = (
    "for line in sys.stdin.buffer: "
    "write(frames.encode_json(frames.NOTICE, 1.0, "
    "{'severity': 'error', 'text': line.decode()}))"
)
"""Python that tells every line that comes down the pipe."""


def begun(*lines: str):
    one = session(hello(), *lines)
    poll_until(one, lambda: one.has_begun)
    return one


def ask_everything(one) -> list:
    """Give every command there is; those whose reply can be waited for."""
    one.ask_chain(ChainRef("nft", "ip", "raw", "OUTPUT"))
    if hasattr(one, "read_rulesets"):
        one.read_rulesets()
    return [
        one.add_rules([WANTED, WANTED.mirrored()[0]], "nft", override=True),
        one.delete_rule("ab12cd"),
        one.extend_rules(["ab12cd"]),
        one.flush(["ab12cd"]),
        one.arm(),
        one.set_threshold(900),
        one.load_module("xt_TRACE"),
    ]


def test_each_command_goes_down_the_pipe_once_with_an_id_of_its_own():
    one = begun(ECHO)
    lines: list[str] = []
    try:
        ask_everything(one)

        def have_come() -> bool:
            lines.extend(notice.text for notice in one.take_notices())
            return len(lines) >= 9

        poll_until(one, have_come)
    finally:
        one.close()
    requests = list(CommandReader().feed("".join(lines).encode()))
    assert [type(request) for request in requests] == [Request] * 9
    assert [request.id for request in requests] == list(range(1, 10))
    assert [request.command for request in requests] == [
        ListChain("nft", "ip", "raw", "OUTPUT"),
        ReadRulesets(),
        AddRules((WANTED, WANTED.mirrored()[0]), "nft", True),
        DeleteRule("ab12cd"),
        ExtendRules(("ab12cd",)),
        Flush(("ab12cd",)),
        ArmGuard(),
        SetThreshold(900),
        LoadModule("xt_TRACE"),
    ]


def test_a_reply_goes_to_the_command_with_its_id_and_the_second_to_nobody():
    lines = [COMMAND, COMMAND, COMMAND, reply(id=2), reply(id=2, error="busy"), reply(id=7)]
    one = begun(*lines, UNTIL_TOLD)
    try:
        first, second, third = (one.add_rules([WANTED], "nft") for _ in range(3))
        poll_until(one, lambda: second.outcome)
        told = one.take_notices()
        assert second.outcome.error is None
        assert not second.is_refused
        assert [(notice.text, notice.command_id) for notice in told] == [
            ("added foreign nft IPv4 OUTPUT -j TRACE", second.id)
        ]
        until = time.monotonic() + 0.5
        poll_until(one, lambda: time.monotonic() > until)
        assert (first.outcome, third.outcome) == (None, None)
        assert one.take_notices() == []
    finally:
        one.close()
    assert first.outcome.error is third.outcome.error is ErrorKind.GONE


def test_rules_and_reply_that_come_together_are_there_together():
    rules = scripted.json_frame(scripted.frames.RULES, scripted.RULES)
    one = begun(COMMAND, f"write({rules!r})", reply(), UNTIL_TOLD)
    try:
        sent = one.add_rules([WANTED], "nft")
        poll_until(one, lambda: sent.outcome)
        assert sent.outcome.rules == one.rules != ()
    finally:
        one.close()


def test_a_collector_that_dies_answers_all_that_wait_and_all_that_comes_after():
    one = begun(COMMAND, "sys.exit(3)")
    waiting = ask_everything(one)
    poll_until(one, lambda: one.ended)
    assert {sent.outcome.error for sent in waiting} == {ErrorKind.GONE}
    later = one.add_rules([WANTED], "nft")
    assert later.outcome.error is ErrorKind.GONE
    assert "start tracetui again" in later.outcome.why
    one.close()


def test_a_session_that_leaves_answers_at_once():
    one = begun(UNTIL_TOLD)
    one.leave()
    assert one.add_rules([WANTED], "nft").outcome.error is ErrorKind.GONE
    one.close()
    assert one.take_notices() == []


def test_a_replay_answers_every_command_at_once():
    one = ReplaySession([])
    answers = ask_everything(one)
    assert {sent.outcome.error for sent in answers} == {ErrorKind.REFUSED}
    assert len(one.take_notices()) == len(answers)


def test_a_command_that_is_too_long_has_its_reply():
    one = begun(UNTIL_TOLD)
    try:
        sent = one.flush(["abcdef"] * 200_000)
        assert sent.outcome.error is ErrorKind.INVALID
        assert "too long" in one.take_notices()[0].text
    finally:
        one.close()


def test_a_line_that_was_taken_in_part_spoils_none_after_it(monkeypatch):
    """The collector hung; it goes on, and a flush that comes then must be read as one."""
    monkeypatch.setattr(client, "SEND_SECONDS", 0.3)
    one = client.CollectorClient([], scripted.launcher("time.sleep(3)", hello(), ECHO))
    os.set_blocking(one._stdin.fileno(), False)
    with pytest.raises(CollectorGone, match="hangs"):
        one.send(Request(1, Flush(("x" * 1000,) * 500)))
    monkeypatch.setattr(client, "SEND_SECONDS", 20.0)
    one.send(Request(2, Flush(())))
    texts: list[str] = []
    end = time.monotonic() + 20
    while not any('"id": 2' in text for text in texts) and time.monotonic() < end:
        frame = one.take()
        if frame is None:
            time.sleep(0.01)
        elif frame.kind == scripted.frames.NOTICE:
            texts.append(frame.json()["text"])
    assert json.loads(texts[-1]) == {"id": 2, "do": "flush", "foreign_ids": []}
    one.close(lambda _: None)


UNLIKE = MINE._replace(family=6)
LATER = MINE._replace(expires=1_700_000_600.0)


@pytest.mark.parametrize(
    ("command", "outcome", "sentences"),
    [
        (ADD, Outcome(rules=(MINE, UNLIKE)),
         [("information", "added nft IPv4 OUTPUT -p udp; nft IPv6 OUTPUT -p udp")]),
        (ADD, Outcome(ErrorKind.REFUSED, "the guard tripped (9 hops/s)", "arm it first"),
         [("error", "no rule added: the guard tripped (9 hops/s); arm it first")]),
        (ADD, Outcome(ErrorKind.OVERTAKEN, "flushed meanwhile"),
         [("error", "no rule added: flushed meanwhile")]),
        (ADD, Outcome(ErrorKind.FAILED, "iptables: no", undone=(MINE,)),
         [("error",
           "no rule added: iptables: no (removed again: nft IPv4 OUTPUT -p udp)")]),
        (ADD, Outcome(ErrorKind.GONE, "leaving"), []),
        (DeleteRule("ab12cd"), Outcome(rules=(MINE,)),
         [("information", "removed nft OUTPUT -p udp")]),
        (DeleteRule("ab12cd"), Outcome(ErrorKind.NOT_FOUND, "no TRACE rule ab12cd any more"),
         [("warning", "no TRACE rule ab12cd any more")]),
        (DeleteRule("ab12cd"), Outcome(ErrorKind.REFUSED, "ab12cd is not ours"),
         [("error", "ab12cd is not ours")]),
        (ExtendRules(()), Outcome(rules=(LATER,)),
         [("information", "ends at 22:23:20 UTC: nft IPv4 OUTPUT -p udp")]),
        (ExtendRules(()), Outcome(rules=(LATER, LATER._replace(family=6))),
         [("information", "ends at 22:23:20 UTC: 2 rules")]),
        (ExtendRules(()),
         Outcome(ErrorKind.FAILED, "no", rules=(LATER,), left=(LeftRule(UNLIKE, "no"),)),
         [("error", "not extended: nft IPv6 OUTPUT -p udp (no)"),
          ("information", "ends at 22:23:20 UTC: nft IPv4 OUTPUT -p udp")]),
        (ExtendRules(()), Outcome(ErrorKind.OVERTAKEN, "flushed meanwhile", undone=(MINE,)),
         [("warning", "nothing extended: flushed meanwhile (removed: nft IPv4 OUTPUT -p udp)")]),
        (Flush(()), Outcome(),
         [("information", "nothing to flush: no rule of ours")]),
        (Flush(()), Outcome(rules=(MINE, FOREIGN)),
         [("information", "flushed 2: nft IPv4 OUTPUT -p udp; "
                          "foreign legacy IPv6 PREROUTING -j TRACE")]),
        (Flush(()), Outcome(ErrorKind.OVERTAKEN, "another removal goes on", rules=(MINE,)),
         [("information", "flushed 1: nft IPv4 OUTPUT -p udp")]),
        (Flush(()), Outcome(ErrorKind.OVERTAKEN, "another removal goes on"), []),
        (LoadModule("xt_TRACE"), Outcome(), [("information", "loaded xt_TRACE")]),
        (LoadModule("xt_TRACE"), Outcome(ErrorKind.FAILED, "no module loaded: no"),
         [("error", "no module loaded: no")]),
        (ArmGuard(), Outcome(), []),
        (ReadRulesets(), Outcome(), []),
        (SetThreshold(0), Outcome(ErrorKind.INVALID, "no threshold of 0 hops a second"),
         [("error", "no threshold of 0 hops a second")]),
        (ListChain("nft", "ip", "raw", "x"), Outcome(ErrorKind.FAILED, "no such chain"), []),
        (ArmGuard(), Outcome(ErrorKind.UNKNOWN_COMMAND, "the collector has no command"),
         [("error", "the collector has no command")]),
    ],
)  # fmt: skip
def test_an_outcome_is_told_in_the_words_it_always_was(command, outcome, sentences):
    assert OutcomeNotices().of(command, outcome) == sentences


@pytest.mark.parametrize("command", [ADD, Flush(()), ExtendRules(()), DeleteRule("ab12cd")])
def test_a_fault_of_the_collectors_own_is_told(command):
    fault = Outcome(ErrorKind.INTERNAL, "internal: RuntimeError('no thread')")
    ((severity, text),) = OutcomeNotices().of(command, fault)
    assert severity == "error"
    assert fault.text in text


def test_commands_that_are_left_out_are_told_once_in_a_while(monkeypatch):
    told = OutcomeNotices()
    busy = Outcome(ErrorKind.BUSY, "64 commands wait to be done already; more are left out")
    assert told.of(ADD, busy) == [("error", busy.text)]
    assert told.of(ADD, busy) == []
    monkeypatch.setattr(outcome_notices, "BUSY_SECONDS", 0.0)
    told = OutcomeNotices()
    assert told.of(ADD, busy) == told.of(ADD, busy) == [("error", busy.text)]


@pytest.mark.parametrize(
    ("backend", "rules_on_nft", "traced_on_nft", "is_said"),
    [
        ("legacy", 12, False, True),
        ("legacy", 12, True, False),
        ("legacy", 0, False, False),
        ("nft", 12, False, False),
    ],
    ids=["only legacy traces", "nft traces too", "nft has no rules", "a rule on nft"],
)
def test_a_legacy_rule_beside_rules_of_nft_says_what_it_may_not_show(
    backend, rules_on_nft, traced_on_nft, is_said
):
    """findings/legacy-trace-shows-nft-hops-only-beside-an-nft-rule.sh."""
    rule = {**scripted.RULE, "backend": backend, "mine": True}
    listed = [rule, {**scripted.RULE, "backend": "nft"}] if traced_on_nft else [rule]
    node = {**scripted.NODE, "rules": {"legacy": 3, "nft": rules_on_nft}}
    one = begun(
        f"write({scripted.json_frame(frames.NODE, node)!r})",
        COMMAND,
        f"write({scripted.json_frame(frames.RULES, {'rules': listed, 'sysctls': {}})!r})",
        reply(rules=[rule]),
        UNTIL_TOLD,
    )
    try:
        poll_until(one, lambda: one.status.node)
        sent = one.add_rules([WANTED], backend)
        poll_until(one, lambda: sent.outcome)
        told = [notice.text for notice in one.take_notices()]
        assert any("nf_tables has rules here too" in text for text in told) == is_said
        assert any(text.startswith("added ") for text in told)
    finally:
        one.close()
