"""Names of protocols and ports that a filter may use for their numbers.

Of protocols all that are in use (IANA, Assigned Internet Protocol Numbers), of ports the usual ones
(IANA, Service Name Registry). The node's /etc/services is not read: a filter means the same on
every machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Optional

_HEADER_NAMES = {
    1: "icmp", 2: "igmp", 4: "ipip", 6: "tcp", 17: "udp", 33: "dccp", 41: "ipv6", 47: "gre",
    50: "esp", 51: "ah", 58: "icmpv6", 103: "pim", 112: "vrrp", 132: "sctp", 136: "udplite",
}  # fmt: skip
"""Protocols that headers name; of the others they have the number, as text."""
_NUMBERS_OF_PROTOCOLS = {
    "hopopt": 0, "icmp": 1, "igmp": 2, "ggp": 3, "ipip": 4, "ipencap": 4, "ipv4": 4, "st": 5,
    "tcp": 6, "cbt": 7, "egp": 8, "igp": 9, "igrp": 9, "pup": 12, "chaos": 16, "udp": 17,
    "hmp": 20, "xns-idp": 22, "rdp": 27, "iso-tp4": 29, "dccp": 33, "xtp": 36, "ddp": 37,
    "ipv6": 41, "ipv6-route": 43, "ipv6-frag": 44, "idrp": 45, "rsvp": 46, "gre": 47, "esp": 50,
    "ah": 51, "skip": 57, "ipv6-icmp": 58, "icmpv6": 58, "icmp6": 58, "ipv6-nonxt": 59,
    "ipv6-opts": 60, "vmtp": 81, "eigrp": 88, "ospf": 89, "ax.25": 93, "etherip": 97, "encap": 98,
    "pim": 103, "ipcomp": 108, "carp": 112, "vrrp": 112, "l2tp": 115, "isis": 124, "sctp": 132,
    "fc": 133, "mobility-header": 135, "udplite": 136, "mpls-in-ip": 137, "manet": 138,
    "shim6": 139, "wesp": 141, "rohc": 142, "ethernet": 143,
}  # fmt: skip
_LONGEST_WORD = 32
"""Letters of a word that are compared with those known."""
PORT_NUMBERS = {
    "ftp-data": 20, "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "whois": 43, "tacacs": 49,
    "domain": 53, "dns": 53, "bootps": 67, "bootpc": 68, "dhcp": 67, "tftp": 69, "http": 80,
    "www": 80, "kerberos": 88, "pop3": 110, "sunrpc": 111, "ntp": 123, "netbios-ns": 137,
    "netbios-dgm": 138, "netbios-ssn": 139, "imap": 143, "imap2": 143, "snmp": 161,
    "snmp-trap": 162, "snmptrap": 162, "bgp": 179, "irc": 194, "ldap": 389, "https": 443,
    "microsoft-ds": 445, "isakmp": 500, "syslog": 514, "printer": 515, "rip": 520, "router": 520,
    "dhcpv6-client": 546, "dhcpv6-server": 547, "rtsp": 554, "submissions": 465, "submission": 587,
    "ipp": 631, "ldaps": 636, "rsync": 873, "domain-s": 853, "ftps": 990, "imaps": 993,
    "pop3s": 995, "socks": 1080, "openvpn": 1194, "ms-sql-s": 1433, "l2f": 1701, "radius": 1812,
    "radius-acct": 1813, "mqtt": 1883, "nfs": 2049, "etcd-client": 2379, "etcd-server": 2380,
    "iscsi-target": 3260, "mysql": 3306, "ms-wbt-server": 3389, "rdp": 3389, "ipsec-nat-t": 4500,
    "vxlan": 4789, "sip": 5060, "sips": 5061, "xmpp-client": 5222, "mdns": 5353,
    "postgresql": 5432, "amqp": 5672, "vnc": 5900, "x11": 6000, "redis": 6379, "http-alt": 8080,
    "wireguard": 51820,
}  # fmt: skip


def protocol_name(typed: str) -> str:
    """A protocol, by name or number, as headers have it; raises ValueError for one not assigned."""
    if typed.isascii() and typed.isdigit() and len(typed) <= 3 and int(typed) <= 255:
        number = int(typed)
    else:
        # Where a protocol's name is a keyword, tcpdump wants a backslash before it.
        name = typed.lower().lstrip("\\")
        if name in ("ip", "ip6", "arp"):
            return name
        if name not in _NUMBERS_OF_PROTOCOLS:
            wanted = "a protocol like tcp, or a number up to 255"
            raise ValueError(f"{wanted}{did_you_mean(name, _NUMBERS_OF_PROTOCOLS)}")
        number = _NUMBERS_OF_PROTOCOLS[name]
    return _HEADER_NAMES.get(number, str(number))


def protocol_number(name: Optional[str]) -> Optional[int]:
    """The number of a protocol as headers have it; None where the header has none."""
    if name is None:
        return None
    return int(name) if name.isdigit() else _NUMBERS_OF_PROTOCOLS.get(name)


def did_you_mean(typed: str, known: Iterable[str]) -> str:
    """``; did you mean 'tcp'?`` with the nearest of the known words; empty where none is near."""
    word = typed.lower()[:_LONGEST_WORD]
    # Of equally near ones the one that begins alike: people mistype the end.
    near = min(known, key=lambda name: (_distance(word, name), name[:1] != word[:1]), default=None)
    is_near = near is not None and _distance(word, near) <= max(1, len(word) // 3)
    return f"; did you mean {near!r}?" if is_near else ""


def _distance(one: str, other: str) -> int:
    """Letters to insert, delete, replace or swap with the next, to make one word the other."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, start=1):
        before_that, before, row = before, row, [i]
        for j, other_letter in enumerate(other, start=1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other_letter))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == other_letter:
                cost = min(cost, before_that[j - 2] + 1)
            row.append(cost)
    return row[-1]
