"""``record`` while its collector tells of faults: what works goes on."""

from __future__ import annotations

import argparse

import pytest
from tests.session import scripted
from tests.session.scripted import (
    COMMAND,
    UNTIL_TOLD,
    hello,
    json_frame,
    poll_until,
    reply,
    session,
)

from tracetui.cli.commands import record
from tracetui.errors import Failure
from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.protocol import frames
from tracetui.protocol.replies import ErrorKind


def notice(severity: str, text: str) -> str:
    return f"write({json_frame(frames.NOTICE, {'severity': severity, 'text': text})!r})"


def told(one, capsys) -> str:
    """Have a rule added, and wait for the reply; what was told meanwhile."""
    try:
        poll_until(one, lambda: one.has_begun)
        sent = one.add_rules([TraceRule(proto="udp")], "nft")
        record._wait_until_added(one, sent, lambda: False)
    finally:
        one.close()
    return capsys.readouterr().err


def test_an_error_that_is_not_about_the_rule_is_told_and_not_fatal(capsys):
    one = session(hello(), COMMAND, notice("error", "nftrace: no netlink"), reply(), UNTIL_TOLD)
    err = told(one, capsys)
    assert "tracetui: nftrace: no netlink\n" in err
    assert "tracetui: added foreign nft IPv4 OUTPUT -j TRACE\n" in err


@pytest.mark.parametrize("kind", ErrorKind)
def test_a_command_that_was_refused_is_fatal_whatever_the_notices_say(capsys, kind):
    lies = notice("information", "added nft IPv4 OUTPUT -p udp")
    refusal = reply(error=kind.value, text="iptables: no", remedy="ask it", rules=[])
    one = session(hello(), COMMAND, lies, refusal, UNTIL_TOLD)
    with pytest.raises(Failure, match="iptables: no; ask it"):
        told(one, capsys)


def test_notices_that_look_like_an_outcome_are_none(capsys, monkeypatch):
    monkeypatch.setattr(record, "ADD_SECONDS", 0.5)
    lies = [
        notice("information", "added nft IPv4 OUTPUT -p udp"),
        notice("error", "no rule added: no"),
        reply(id=2),
    ]
    one = session(hello(), COMMAND, *lies, UNTIL_TOLD)
    with pytest.raises(Failure, match="not added in time: no rule added: no; try again"):
        told(one, capsys)


def test_a_collector_that_ends_meanwhile_is_not_waited_for(capsys):
    one = session(hello(), COMMAND, "sys.exit(1)")
    with pytest.raises(Failure, match="the collector ended"):
        told(one, capsys)


@pytest.mark.parametrize(
    ("backend", "failed", "refusal"),
    [
        ("nft", ["nftrace"], "no source can receive the hops of nft rules: nftrace: no netlink"),
        ("legacy", ["nftrace"], None),
        ("nft", ["nflog"], None),
        ("legacy", ["nflog"], "no source can receive the hops of legacy rules: nflog: no netlink"),
    ],
)
def test_only_a_backend_that_nothing_is_heard_of_is_refused(backend, failed, refusal):
    sources = [
        {"name": name, "state": "failed" if name in failed else "waiting", "detail": "no netlink"}
        for name in ("nftrace", "nflog")
    ]
    status = json_frame(frames.STATUS, {**scripted.STATUS, "sources": sources})
    one = session(hello(), f"write({status!r})", UNTIL_TOLD)
    try:
        poll_until(one, lambda: one.status.sources)
        options = argparse.Namespace(backend=backend)
        if refusal is None:
            record._refuse_without_source(one, options)
        else:
            with pytest.raises(Failure, match=refusal):
                record._refuse_without_source(one, options)
    finally:
        one.close()
