"""Chains named for what they are."""

from __future__ import annotations

import pytest

from tracetui.model.rules.chain_names import chain_label
from tracetui.model.rules.ruleset import Chain, ListedRule

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
    assert chain_label(name, chain, comment) == expected


def test_the_short_form_leaves_the_owner_out_where_there_is_a_kind():
    assert chain_label("KUBE-SVC-X", SERVICE, None, short=True) == "service default/web:http"
    assert chain_label("cali-FORWARD", short=True) == "Calico"


@pytest.mark.parametrize(
    ("table", "name", "expected"),
    [
        (
            "firewalld",
            "filter_IN_public_allow",
            "to the node, zone or policy public_allow (firewalld)",
        ),
        ("firewalld", "filter_INPUT_ZONES", "zones, to the node (firewalld)"),
        ("firewalld", "nat_POST_public", "source NAT, zone or policy public (firewalld)"),
        ("firewalld", "filter_INPUT", "firewalld"),
        ("fw4", "input_wan", "to the router from zone wan (OpenWrt)"),
        ("fw4", "accept_to_lan", "accept to zone lan (OpenWrt)"),
        ("fw4", "handle_reject", "reject (OpenWrt)"),
        ("fw4", "upnp_forward", "ports opened by UPnP (miniupnpd)"),
        ("kube-proxy", "service-2QRHZV4L-ns1/svc1/tcp/p80", "service ns1/svc1:p80 (kube-proxy)"),
        ("kube-proxy", "service-2QRHZV4L-ns1/svc1/tcp/", "service ns1/svc1 (kube-proxy)"),
        (
            "kube-proxy",
            "endpoint-5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/80",
            "endpoint 10.180.0.1:80 (kube-proxy)",
        ),
        (
            "kube-proxy",
            "endpoint-5OJB2KTY-ns1/svc1/tcp/p80__fd00..1/80",
            "endpoint [fd00::1]:80 (kube-proxy)",
        ),
        (
            "kube-proxy",
            "external-2QRHZV4L-ns1/svc1/tcp/p80",
            "service from outside ns1/svc1:p80 (kube-proxy)",
        ),
        (
            "kube-proxy",
            "firewall-2QRHZV4L-ns1/svc1/tcp/p80",
            "load balancer's firewall ns1/svc1:p80 (kube-proxy)",
        ),
        ("kube-proxy", "mark-for-masquerade", "mark for source NAT (kube-proxy)"),
        ("kube-proxy", "nat-prerouting", "kube-proxy"),
        ("crowdsec", "crowdsec-chain-input", "blocked addresses (CrowdSec)"),
        ("incus", "fwd.incusbr0", "forwarding, network incusbr0 (Incus)"),
        ("lxd", "pstrt.lxdbr0", "source NAT, network lxdbr0 (LXD)"),
        ("vyos_filter", "NAME_LAN-WAN", "rule set LAN-WAN (VyOS)"),
        ("vyos_filter", "VYOS_FORWARD_filter", "VyOS"),
        ("nixos-fw", "input-allow", "firewall (NixOS)"),
        ("netavark", "NETAVARK-ISOLATION-1", "isolation of networks (Podman)"),
        ("filter", "nixos-fw-refuse", "firewall (NixOS)"),
        ("filter", "PVEFW-FORWARD", "Proxmox VE"),
        ("nat", "DOCKER-INGRESS", "Swarm's published ports (Docker)"),
        ("nat", "MINIUPNPD-POSTROUTING", "ports opened by UPnP (miniupnpd)"),
        ("nat", "NETAVARK-HOSTPORT-DNAT", "published ports (Podman)"),
        ("filter", "~comb0", "rules of several zones (Shorewall)"),
    ],
)
def test_a_chain_of_a_firewall_manager_is_named_by_its_table_where_its_name_says_little(
    table, name, expected
):
    assert chain_label(name, table=table) == expected


@pytest.mark.parametrize(
    "name", ["input_wan", "services", "filter_IN_public", "fwd.br0", "rpfilter"]
)
def test_such_a_name_in_another_table_says_nothing(name):
    assert chain_label(name, table="filter") == ""
