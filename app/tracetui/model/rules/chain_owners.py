"""Chains that programs write into a node's tables, by name, and by table where a name says little.

Sources: kubernetes pkg/proxy/iptables/proxier.go and pkg/proxy/nftables/proxier.go;
projectcalico/calico felix/rules/rule_defs.go; cilium pkg/datapath/iptables; moby
daemon/libnetwork/drivers/bridge; istio tools/istio-iptables; cloudnativelabs/kube-router
pkg/controllers/netpol; firewalld src/firewall/core/{nftables,ipXtables}.py; openwrt/firewall4
templates/ruleset.uc; containers/netavark src/firewall; lxc/incus internal/server/firewall/drivers;
crowdsec cs-firewall-bouncer; vyos-1x data/templates/firewall; nixpkgs
nixos/modules/services/networking; shorewall Perl/Shorewall/Chains.pm; the others from the rules
they write.
"""

from __future__ import annotations

from typing import NamedTuple


class ChainName(NamedTuple):
    """Owner and kind of a chain that a known program writes."""

    owner: str
    """The program that writes it."""
    kind: str
    """Its purpose, in a few words; empty where the name does not tell."""


NAMES = {
    "KUBE-SERVICES": ChainName("kube-proxy", "all services"),
    "KUBE-NODEPORTS": ChainName("kube-proxy", "node ports"),
    "KUBE-POSTROUTING": ChainName("kube-proxy", "source NAT of service traffic"),
    "KUBE-MARK-MASQ": ChainName("kube-proxy", "mark for source NAT"),
    "KUBE-MARK-DROP": ChainName("kube-proxy", "mark to drop"),
    "KUBE-FORWARD": ChainName("kube-proxy", "forwarding"),
    "KUBE-FIREWALL": ChainName("kubelet", "firewall"),
    "KUBE-PROXY-FIREWALL": ChainName("kube-proxy", "load balancers' source ranges"),
    "KUBE-EXTERNAL-SERVICES": ChainName("kube-proxy", "external services without endpoints"),
    "DOCKER": ChainName("Docker", "published ports"),
    "DOCKER-USER": ChainName("Docker", "the user's own rules"),
    "DOCKER-FORWARD": ChainName("Docker", "forwarding"),
    "DOCKER-BRIDGE": ChainName("Docker", "by bridge"),
    "DOCKER-CT": ChainName("Docker", "known connections"),
    "DOCKER-INTERNAL": ChainName("Docker", "internal networks"),
    "DOCKER-INGRESS": ChainName("Docker", "Swarm's published ports"),
    "DOCKER_OUTPUT": ChainName("Docker", "its DNS, to it"),
    "DOCKER_POSTROUTING": ChainName("Docker", "its DNS, from it"),
    "IP-MASQ": ChainName("ip-masq-agent", "who is not masqueraded"),
    "CNI-FORWARD": ChainName("CNI firewall plugin", "forwarding"),
    "CNI-ADMIN": ChainName("CNI firewall plugin", "the user's own rules"),
    "CNI-HOSTPORT-DNAT": ChainName("CNI portmap plugin", "host ports"),
    "CNI-HOSTPORT-SETMARK": ChainName("CNI portmap plugin", "mark for source NAT"),
    "CNI-HOSTPORT-MASQ": ChainName("CNI portmap plugin", "source NAT of host ports"),
}  # fmt: skip
NAME_PREFIXES = (
    ("KUBE-SVC-", ChainName("kube-proxy", "service")),
    ("KUBE-SVL-", ChainName("kube-proxy", "service, local endpoints")),
    ("KUBE-SEP-", ChainName("kube-proxy", "endpoint")),
    ("KUBE-EXT-", ChainName("kube-proxy", "service from outside")),
    ("KUBE-XLB-", ChainName("kube-proxy", "service from outside")),
    ("KUBE-FW-", ChainName("kube-proxy", "load balancer's firewall")),
    ("KUBE-NWPLCY-", ChainName("kube-router", "network policy")),
    ("KUBE-POD-FW-", ChainName("kube-router", "policies of a pod")),
    ("KUBE-ROUTER-", ChainName("kube-router", "hook")),
    ("KUBE-IPTABLES-HINT", ChainName("kubelet", "marks the backend it uses")),
    ("KUBE-KUBELET-CANARY", ChainName("kubelet", "tells whether rules were flushed")),
    ("KUBE-PROXY-CANARY", ChainName("kube-proxy", "tells whether rules were flushed")),
    ("cali-tw-", ChainName("Calico", "to workload")),
    ("cali-fw-", ChainName("Calico", "from workload")),
    ("cali-pi-", ChainName("Calico", "policy, inbound")),
    ("cali-po-", ChainName("Calico", "policy, outbound")),
    ("cali-pri-", ChainName("Calico", "profile, inbound")),
    ("cali-pro-", ChainName("Calico", "profile, outbound")),
    ("cali-gi-", ChainName("Calico", "policy group, inbound")),
    ("cali-go-", ChainName("Calico", "policy group, outbound")),
    ("cali-th-", ChainName("Calico", "to host endpoint")),
    ("cali-fh-", ChainName("Calico", "from host endpoint")),
    ("cali-", ChainName("Calico", "")),
    ("CILIUM_", ChainName("Cilium", "")),
    ("OLD_CILIUM_", ChainName("Cilium", "being replaced")),
    ("DOCKER-ISOLATION-", ChainName("Docker", "isolation of networks")),
    ("ISTIO_", ChainName("Istio", "")),
    ("FLANNEL-", ChainName("flannel", "")),
    ("FLANNEL_", ChainName("flannel", "")),
    ("WEAVE", ChainName("Weave Net", "")),
    ("ANTREA-", ChainName("Antrea", "")),
    ("AWS-", ChainName("AWS VPC CNI", "")),
    ("CNI-DN-", ChainName("CNI portmap plugin", "a pod's host ports")),
    ("CNI-", ChainName("CNI bridge plugin", "source NAT of a pod")),
    ("NETAVARK-DN-", ChainName("Podman", "a container's published ports")),
    ("NETAVARK-HOSTPORT-DNAT", ChainName("Podman", "published ports")),
    ("NETAVARK-HOSTPORT-SETMARK", ChainName("Podman", "mark for source NAT")),
    ("NETAVARK-HOSTPORT-MASQ", ChainName("Podman", "source NAT of published ports")),
    ("NETAVARK_ISOLATION", ChainName("Podman", "isolation of networks")),
    ("NETAVARK_FORWARD", ChainName("Podman", "forwarding")),
    ("NETAVARK", ChainName("Podman", "")),
    ("LIBVIRT_", ChainName("libvirt", "")),
    ("ufw6-", ChainName("ufw", "")),
    ("ufw-", ChainName("ufw", "")),
    ("f2b-", ChainName("fail2ban", "jail")),
    ("ts-", ChainName("Tailscale", "")),
    ("PVEFW-", ChainName("Proxmox VE", "")),
    ("nixos-fw-rpfilter", ChainName("NixOS", "reverse path filter")),
    ("nixos-fw", ChainName("NixOS", "firewall")),
    ("nixos-nat-", ChainName("NixOS", "NAT")),
    ("nixos-", ChainName("NixOS", "")),
    ("MINIUPNPD", ChainName("miniupnpd", "ports opened by UPnP")),
    ("CROWDSEC_CHAIN", ChainName("CrowdSec", "blocked addresses")),
    ("VYOS_STATE_POLICY", ChainName("VyOS", "known connections")),
    ("VYOS_", ChainName("VyOS", "")),
    ("lxd_", ChainName("LXD", "")),
    ("incus_", ChainName("Incus", "")),
    ("INPUT_ZONES", ChainName("firewalld", "zones")),
    ("FORWARD_IN_ZONES", ChainName("firewalld", "zones")),
    ("FORWARD_OUT_ZONES", ChainName("firewalld", "zones")),
    ("PREROUTING_ZONES", ChainName("firewalld", "zones")),
    ("POSTROUTING_ZONES", ChainName("firewalld", "zones")),
    ("sha-lh-", ChainName("Shorewall", "marks a run of its own")),
    ("sha-rh-", ChainName("Shorewall", "marks a run of its own")),
    ("shorewall", ChainName("Shorewall", "")),
    ("~blacklist", ChainName("Shorewall", "blocked addresses")),
    ("~log", ChainName("Shorewall", "logging")),
    ("~comb", ChainName("Shorewall", "rules of several zones")),
    ("~excl", ChainName("Shorewall", "exclusions")),
)
_FIREWALLD = (
    ("filter_INPUT_ZONES", ChainName("firewalld", "zones, to the node")),
    ("filter_INPUT_POLICIES_", ChainName("firewalld", "policies, to the node")),
    ("filter_INPUT_dispatch", ChainName("firewalld", "zones, to the node")),
    ("filter_FORWARD_dispatch", ChainName("firewalld", "zones, forwarding")),
    ("filter_OUTPUT_dispatch", ChainName("firewalld", "zones, from the node")),
    ("filter_FORWARD_", ChainName("firewalld", "zones, forwarding")),
    ("filter_OUTPUT_", ChainName("firewalld", "policies, from the node")),
    ("filter_IN_", ChainName("firewalld", "to the node, zone or policy")),
    ("filter_FWDI_", ChainName("firewalld", "forwarding from zone")),
    ("filter_FWDO_", ChainName("firewalld", "forwarding to zone")),
    ("filter_FWD_", ChainName("firewalld", "forwarding, policy")),
    ("filter_OUT_", ChainName("firewalld", "from the node, policy")),
    ("nat_PRE_", ChainName("firewalld", "port forwarding, zone or policy")),
    ("nat_POST_", ChainName("firewalld", "source NAT, zone or policy")),
    ("nat_OUT_", ChainName("firewalld", "port forwarding from the node, policy")),
    ("mangle_PRE_", ChainName("firewalld", "marks, zone or policy")),
    ("", ChainName("firewalld", "")),
)
_FW4 = (
    ("accept_from_", ChainName("OpenWrt", "accept from zone")),
    ("accept_to_", ChainName("OpenWrt", "accept to zone")),
    ("reject_from_", ChainName("OpenWrt", "reject from zone")),
    ("reject_to_", ChainName("OpenWrt", "reject to zone")),
    ("drop_from_", ChainName("OpenWrt", "drop from zone")),
    ("drop_to_", ChainName("OpenWrt", "drop to zone")),
    ("handle_reject", ChainName("OpenWrt", "reject")),
    ("syn_flood", ChainName("OpenWrt", "SYN flood limit")),
    ("input_", ChainName("OpenWrt", "to the router from zone")),
    ("output_", ChainName("OpenWrt", "from the router to zone")),
    ("forward_", ChainName("OpenWrt", "forwarding from zone")),
    ("dstnat_", ChainName("OpenWrt", "port forwarding, zone")),
    ("srcnat_", ChainName("OpenWrt", "source NAT, zone")),
    ("helper_", ChainName("OpenWrt", "connection helpers, zone")),
    ("upnp_", ChainName("miniupnpd", "ports opened by UPnP")),
    ("", ChainName("OpenWrt", "")),
)
_KUBE_PROXY = (
    ("service-endpoints-check", ChainName("kube-proxy", "services without endpoints")),
    ("nodeport-endpoints-check", ChainName("kube-proxy", "node ports without endpoints")),
    ("service-", ChainName("kube-proxy", "service")),
    ("endpoint-", ChainName("kube-proxy", "endpoint")),
    ("external-", ChainName("kube-proxy", "service from outside")),
    ("firewall-check", ChainName("kube-proxy", "load balancers' source ranges")),
    ("firewall-", ChainName("kube-proxy", "load balancer's firewall")),
    ("services", ChainName("kube-proxy", "all services")),
    ("cluster-ips-check", ChainName("kube-proxy", "cluster IPs without a service")),
    ("mark-for-masquerade", ChainName("kube-proxy", "mark for source NAT")),
    ("masquerading", ChainName("kube-proxy", "source NAT of service traffic")),
    ("reject-chain", ChainName("kube-proxy", "reject")),
    ("", ChainName("kube-proxy", "")),
)
_NETAVARK = (
    ("NETAVARK-ISOLATION", ChainName("Podman", "isolation of networks")),
    ("NETAVARK-HOSTPORT-DNAT", ChainName("Podman", "published ports")),
    ("NETAVARK-HOSTPORT-SETMARK", ChainName("Podman", "mark for source NAT")),
    ("nv_", ChainName("Podman", "network")),
    ("", ChainName("Podman", "")),
)
_VYOS = (
    ("NAME_", ChainName("VyOS", "rule set")),
    ("NAME6_", ChainName("VyOS", "rule set")),
    ("VYOS_STATE_POLICY", ChainName("VyOS", "known connections")),
    ("VZONE_", ChainName("VyOS", "zone")),
    ("", ChainName("VyOS", "")),
)


def _bridges(owner: str) -> tuple[tuple[str, ChainName], ...]:
    """Of LXD and Incus, which is a fork of it: a chain for each bridge and instance."""
    return (
        ("fwd.", ChainName(owner, "forwarding, network")),
        ("fwd_", ChainName(owner, "forwarding, network")),
        ("pstrt.", ChainName(owner, "source NAT, network")),
        ("pstrt_", ChainName(owner, "source NAT, network")),
        ("in.", ChainName(owner, "to the node, network")),
        ("in_", ChainName(owner, "to the node, network")),
        ("out.", ChainName(owner, "from the node, network")),
        ("out_", ChainName(owner, "from the node, network")),
        ("acl", ChainName(owner, "access list, network")),
        ("prert", ChainName(owner, "port forwarding")),
        ("", ChainName(owner, "")),
    )


NAME_PREFIXES_BY_TABLE = {
    "firewalld": _FIREWALLD,
    "fw4": _FW4,
    "kube-proxy": _KUBE_PROXY,
    "netavark": _NETAVARK,
    "lxd": _bridges("LXD"),
    "incus": _bridges("Incus"),
    "crowdsec": (("", ChainName("CrowdSec", "blocked addresses")),),
    "crowdsec6": (("", ChainName("CrowdSec", "blocked addresses")),),
    "miniupnpd": (("", ChainName("miniupnpd", "ports opened by UPnP")),),
    "nixos-fw": (
        ("rpfilter", ChainName("NixOS", "reverse path filter")),
        ("", ChainName("NixOS", "firewall")),
    ),
    "nixos-nat": (("", ChainName("NixOS", "NAT")),),
    "vyos_filter": _VYOS,
    "vyos_nat": _VYOS,
    "vyos_mangle": _VYOS,
}
"""Beginnings of names in the tables that are a program's own: all of their chains are."""
PREFIXES_OF_SUBJECTS = frozenset((
    "filter_IN_", "filter_FWDI_", "filter_FWDO_", "filter_FWD_", "filter_OUT_", "nat_PRE_",
    "nat_POST_", "nat_OUT_", "mangle_PRE_", "accept_from_", "accept_to_", "reject_from_",
    "reject_to_", "drop_from_", "drop_to_", "input_", "output_", "forward_", "dstnat_", "srcnat_",
    "helper_", "fwd.", "fwd_", "pstrt.", "pstrt_", "in.", "in_", "out.", "out_", "NAME_", "NAME6_",
    "VZONE_",
))  # fmt: skip
"""Beginnings behind which the rest of the name says of what the chain is."""
