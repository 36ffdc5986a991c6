"""The node's rules: what kube-proxy and Calico write, in small, for either backend or both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

SERVICES = {
    4: {"web": "10.96.0.80", "api": "10.96.0.81", "dns": "10.96.0.10"},
    6: {"web": "fd00:96::80", "api": "fd00:96::81", "dns": "fd00:96::10"},
}
"""Cluster addresses: no interface has them, only DNAT leads anywhere."""
WEB, API, DNS = 80, 443, 53
"""Ports of the services."""
WEB_BACKEND, API_BACKEND, DNS_BACKEND = 8080, 8443, 5353
"""Ports of the server behind them."""
DROPPED, REJECTED, QUARANTINED = 9999, 9998, 9997
"""Ports of the server that the policy drops, rejects, and sends to a chain that drops all."""

LAB_KINDS = ("legacy", "nft", "mixed")

_RAW_RULES = """\
*raw
-A PREROUTING -d {dns}/{bits} -p udp -m udp --dport 5300 -j CT --notrack
COMMIT
"""
_NAT_RULES = """\
*nat
:KUBE-SERVICES - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-SVC-WEB - [0:0]
:KUBE-SEP-WEB - [0:0]
:KUBE-SVC-API - [0:0]
:KUBE-SEP-API - [0:0]
:KUBE-SVC-DNS - [0:0]
:KUBE-SEP-DNS - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A KUBE-SERVICES -d {dns}/{bits} -p udp -m comment --comment "kube-system/dns" -m udp --dport 53 -j KUBE-SVC-DNS
-A KUBE-SERVICES -d {web}/{bits} -p tcp -m comment --comment "shop/web" -m tcp --dport 80 -j KUBE-SVC-WEB
-A KUBE-SERVICES -d {api}/{bits} -p tcp -m comment --comment "shop/api" -m tcp --dport 443 -j KUBE-SVC-API
-A KUBE-SVC-WEB -m comment --comment "shop/web" -j KUBE-SEP-WEB
-A KUBE-SEP-WEB -p tcp -m tcp -j DNAT --to-destination {open}{server}{close}:8080
-A KUBE-SVC-API -m comment --comment "shop/api" -j KUBE-MARK-MASQ
-A KUBE-SVC-API -m comment --comment "shop/api" -j KUBE-SEP-API
-A KUBE-SEP-API -p tcp -m tcp -j DNAT --to-destination {open}{server}{close}:8443
-A KUBE-SVC-DNS -m comment --comment "kube-system/dns" -j KUBE-SEP-DNS
-A KUBE-SEP-DNS -p udp -m udp -j DNAT --to-destination {open}{server}{close}:5353
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE
COMMIT
"""
_MANGLE_RULES = """\
*mangle
-A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
COMMIT
"""
_FILTER_RULES = """\
*filter
:KUBE-FORWARD - [0:0]
:cali-FORWARD - [0:0]
:cali-tw-cali7 - [0:0]
:cali-quarantine - [0:0]
-A FORWARD -m comment --comment "cali:wUHhoiAYhphO9Mso" -j cali-FORWARD
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A cali-FORWARD -o cali7 -j cali-tw-cali7
-A cali-tw-cali7 -p tcp -m tcp --dport 9999 -j DROP
-A cali-tw-cali7 -p tcp -m tcp --dport 9998 -j REJECT --reject-with tcp-reset
-A cali-tw-cali7 -p tcp -m tcp --dport 9997 -j cali-quarantine
-A cali-quarantine -j DROP
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
"""
_RULES_BY_TABLE = {
    "raw": _RAW_RULES,
    "nat": _NAT_RULES,
    "mangle": _MANGLE_RULES,
    "filter": _FILTER_RULES,
}
_COMMANDS_BY_FAMILY = {4: "iptables", 6: "ip6tables"}


class LabRuleset(NamedTuple):
    """The node's rules on ``legacy``, on ``nft``, or ``mixed``: filter on legacy, the rest on nft.

    Mixed is a node where kube-proxy and the CNI plugin bring commands of their own.
    """

    kind: str
    server: dict[int, str]
    """The server's address by family."""
    services: int = 0
    """So many more services, each with one endpoint, which nobody asks for."""

    def restores(self) -> Iterator[tuple[str, str]]:
        """Each restore command of the iptables package with the text it reads."""
        for family, name in _COMMANDS_BY_FAMILY.items():
            for table, template in _RULES_BY_TABLE.items():
                text = self._fill(template, family)
                if table == "nat" and family == 4:
                    text = text.replace("COMMIT", "\n".join([*self._more_services(), "COMMIT"]))
                yield f"{name}-{self._backend(table)}-restore", text

    def _more_services(self) -> Iterator[str]:
        """The lines that kube-proxy writes for a service: four rules, one of them in KUBE-SERVICES."""
        for number in range(self.services):
            service, endpoint = f"KUBE-SVC-{number:016d}", f"KUBE-SEP-{number:016d}"
            yield f":{service} - [0:0]"
            yield f":{endpoint} - [0:0]"
        for number in range(self.services):
            service, endpoint = f"KUBE-SVC-{number:016d}", f"KUBE-SEP-{number:016d}"
            address = f"10.{100 + number // 65536}.{number // 256 % 256}.{number % 256}/32"
            name = f"shop/more-{number}:http"
            to = f'-d {address} -p tcp -m comment --comment "{name} cluster IP" -m tcp --dport 80'
            yield f"-A KUBE-SERVICES {to} -j {service}"
            yield f"-A {service} ! -s 10.244.0.0/16 {to} -j KUBE-MARK-MASQ"
            yield f'-A {service} -m comment --comment "{name}" -j {endpoint}'
            yield f'-A {endpoint} -p tcp -m comment --comment "{name}" -m tcp -j DNAT --to-destination {self.server[4]}:8080'

    def _backend(self, table: str) -> str:
        if self.kind == "mixed":
            return "legacy" if table == "filter" else "nft"
        return self.kind

    def _fill(self, template: str, family: int) -> str:
        is_v6 = family == 6
        return template.format(
            **SERVICES[family],
            bits=128 if is_v6 else 32,
            server=self.server[family],
            open="[" if is_v6 else "",
            close="]" if is_v6 else "",
        )
