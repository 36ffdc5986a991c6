"""``record`` while its collector tells of faults: what works goes on."""

from __future__ import annotations

import argparse

import pytest
from tests.session import scripted
from tests.session.scripted import UNTIL_TOLD, hello, json_frame, poll_until, session

from tracetui.cli.commands import record
from tracetui.errors import Failure
from tracetui.protocol import frames


def notice(severity: str, text: str) -> str:
    return f"write({json_frame(frames.NOTICE, {'severity': severity, 'text': text})!r})"


def told(one, capsys, *, rules: int = 1) -> str:
    """Wait for the outcome of so many rules; what was told meanwhile."""
    try:
        record._wait_until_added(one, rules, lambda: False)
    finally:
        one.close()
    return capsys.readouterr().err


def test_an_error_that_is_not_about_the_rule_is_told_and_not_fatal(capsys):
    lines = [notice("error", "nftrace: no netlink"), notice("information", "added legacy OUTPUT")]
    one = session(hello(), *lines, UNTIL_TOLD)
    err = told(one, capsys)
    assert "tracetui: nftrace: no netlink\n" in err
    assert "tracetui: added legacy OUTPUT\n" in err


def test_a_rule_that_was_refused_is_fatal(capsys):
    one = session(hello(), notice("error", "no rule added: iptables: no"), UNTIL_TOLD)
    with pytest.raises(Failure, match="no rule added: iptables: no"):
        told(one, capsys)


def test_a_fault_of_the_collectors_own_shortens_the_wait_and_is_said(capsys, monkeypatch):
    monkeypatch.setattr(record, "FAULT_SECONDS", 0.2)
    one = session(hello(), notice("error", "internal: RuntimeError('no thread')"), UNTIL_TOLD)
    with pytest.raises(Failure, match="not added in time: internal: RuntimeError"):
        told(one, capsys)


def test_a_collector_that_ends_meanwhile_is_not_waited_for(capsys):
    one = session(hello(), "sys.exit(1)")
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
