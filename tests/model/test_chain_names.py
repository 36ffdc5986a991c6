"""Chains named for what they are."""

from __future__ import annotations

import pytest

from tracetui.model.chain_names import label
from tracetui.model.ruleset import Chain, ListedRule

ENDPOINT = Chain("KUBE-SEP-X", (
    ListedRule('-A KUBE-SEP-X -s 10.1.2.3/32 -m comment --comment "default/web:http" -j KUBE-MARK-MASQ'),
    ListedRule("-A KUBE-SEP-X -p tcp -m tcp -j DNAT --to-destination 10.1.2.3:8080"),
))  # fmt: skip
SERVICE = Chain("KUBE-SVC-X", (
    ListedRule('-A KUBE-SVC-X -m comment --comment "default/web:http -> 10.1.2.3:8080" -j KUBE-SEP-X'),
))  # fmt: skip


@pytest.mark.parametrize(
    ("name", "chain", "comment", "expected"),
    [
        ("KUBE-SVC-X", SERVICE, None, "service default/web:http (kube-proxy)"),
        ("KUBE-SVC-X", None, "shop/api:https cluster IP", "service shop/api:https (kube-proxy)"),
        ("KUBE-SEP-X", ENDPOINT, None, "endpoint 10.1.2.3:8080 (kube-proxy)"),
        ("cali-tw-cali1234", None, "cali:x", "to workload cali1234 (Calico)"),
        ("cali-pi-_abc", None, None, "policy, inbound (Calico)"),
        ("cali-FORWARD", None, None, "Calico"),
        ("DOCKER-USER", None, None, "the user's own rules (Docker)"),
        ("CILIUM_FORWARD", None, None, "Cilium"),
        ("ufw-before-input", None, None, "ufw"),
        ("LOG_DROP", None, None, ""),
        ("PREROUTING", None, None, ""),
    ],
)
def test_a_known_chain_is_named(name, chain, comment, expected):
    assert label(name, chain, comment) == expected


def test_the_short_form_leaves_the_owner_out_where_there_is_a_kind():
    assert label("KUBE-SVC-X", SERVICE, None, short=True) == "service default/web:http"
    assert label("cali-FORWARD", short=True) == "Calico"
