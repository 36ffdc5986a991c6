"""What the chains are that programs write into a node's tables, by their names.

Sources: kubernetes pkg/proxy/iptables/proxier.go; projectcalico/calico felix/rules/rule_defs.go;
cilium pkg/datapath/iptables; moby daemon/libnetwork/drivers/bridge; istio tools/istio-iptables;
cloudnativelabs/kube-router pkg/controllers/netpol; the others from the rules they write.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

from tracetui.model.rule_meaning import meaning
from tracetui.model.ruleset import Chain


class ChainName(NamedTuple):
    """What a chain is."""

    owner: str
    """The program that writes it."""
    kind: str
    """What it stands for."""


_EXACT = {
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
    "DOCKER_OUTPUT": ChainName("Docker", "its DNS, to it"),
    "DOCKER_POSTROUTING": ChainName("Docker", "its DNS, from it"),
    "IP-MASQ": ChainName("ip-masq-agent", "who is not masqueraded"),
    "CNI-FORWARD": ChainName("CNI firewall plugin", "forwarding"),
    "CNI-ADMIN": ChainName("CNI firewall plugin", "the user's own rules"),
    "CNI-HOSTPORT-DNAT": ChainName("CNI portmap plugin", "host ports"),
    "CNI-HOSTPORT-SETMARK": ChainName("CNI portmap plugin", "mark for source NAT"),
    "CNI-HOSTPORT-MASQ": ChainName("CNI portmap plugin", "source NAT of host ports"),
}  # fmt: skip
_PREFIXES = (
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
    ("NETAVARK", ChainName("Podman", "")),
    ("LIBVIRT_", ChainName("libvirt", "")),
    ("ufw6-", ChainName("ufw", "")),
    ("ufw-", ChainName("ufw", "")),
    ("f2b-", ChainName("fail2ban", "jail")),
    ("ts-", ChainName("Tailscale", "")),
)


def named(chain: str) -> Optional[ChainName]:
    """What a chain of this name is; None for a name that no known program gives."""
    if chain in _EXACT:
        return _EXACT[chain]
    return next((name for prefix, name in _PREFIXES if chain.startswith(prefix)), None)


def label(
    name: str,
    chain: Optional[Chain] = None,
    comment: Optional[str] = None,
    short: bool = False,
) -> str:
    """A chain in words: its kind, what it serves where a rule says so, and its owner.

    ``comment`` is that of the rule that leads there; ``short`` leaves the owner of a chain out
    that has a kind. Empty for a name that is not known.
    """
    known = named(name)
    if known is None:
        return ""
    kind = f"{known.kind} {_subject(known, name, chain, comment)}".strip()
    return kind if kind and short else f"{kind} ({known.owner})" if kind else known.owner


def _subject(known: ChainName, name: str, chain: Optional[Chain], comment: Optional[str]) -> str:
    if known.kind == "endpoint":
        for rule in chain.rules if chain is not None else ():
            if rule.text and (destination := meaning(rule.text).destination):
                return destination
    if known.kind.startswith(("service", "load balancer's firewall", "endpoint")):
        return _service(comment) or _service(_first_comment(chain))
    if known.owner == "Calico" and "workload" in known.kind:
        return name.split("-", 2)[2]
    return ""


def _service(comment: Optional[str]) -> str:
    """``default/web:http`` of kube-proxy's ``default/web:http cluster IP``."""
    word = (comment or "").split(" ")[0]
    return word if "/" in word else ""


def _first_comment(chain: Optional[Chain]) -> Optional[str]:
    for rule in chain.rules if chain is not None else ():
        if rule.text and (comment := meaning(rule.text).comment):
            return comment
    return None
