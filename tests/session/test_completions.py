"""Words of the newest packets that complete a filter while it is typed."""

from __future__ import annotations

import io

import pytest
from tests.recorded import RECORDINGS

from tracetui.session.replay.replay import ReplaySession
from tracetui.session.view.completions import Completions


@pytest.mark.parametrize(
    ("typed", "whole"),
    [
        ("ver", "verdict"),
        ("verdict d", "verdict drop"),
        ("nat and chain KUBE-S", "nat and chain KUBE-SERVICES"),
        ("chain kube-s", "chain KUBE-SERVICES"),
        ("(host 172.31.47", "(host 172.31.47.174"),
        ("iface eni", "iface eni7b7c562198a"),
        ("table man", "table mangle"),
        ("nat ", None),
        ("", None),
        ("chain nosuch", None),
        ("verdict drop", None),
    ],
)
def test_what_is_typed_is_completed_with_words_seen(typed, whole):
    text = (RECORDINGS / "seed-eks-forward.log").read_bytes()
    session = ReplaySession([("seed", io.BytesIO(text))])
    session.read_all()
    completions = Completions(session.packets)
    completions.sample()
    assert completions.completion(typed) == whole
