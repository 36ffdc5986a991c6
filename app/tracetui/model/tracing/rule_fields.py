"""Checks of the fields of a TRACE rule: every value is checked before it reaches a command.

Each function gives the value in iptables' form, or raises ValueError with the reason.
"""

from __future__ import annotations

import ipaddress
import re

BACKENDS = ("legacy", "nft")
RULE_CHAINS = ("PREROUTING", "OUTPUT")
RULE_PROTOCOLS = ("tcp", "udp", "icmp", "icmpv6", "sctp", "dccp", "udplite", "esp", "ah", "gre")
DEFAULT_LIMIT = 20
"""Packets per second the kernel traces for one rule."""
MAX_LIMIT = 10_000
"""xt_limit counts in 1/10,000 s (XT_LIMIT_SCALE, include/uapi/linux/netfilter/xt_limit.h)."""
LIMIT_TOLERANCE = 1.1
"""How far above what was asked for a limit may be that iptables keeps."""
DEFAULT_EXPIRY = 600
"""Seconds after which the kernel stops matching the rule by itself."""
MAX_EXPIRY = 24 * 3600
MAX_INTERFACE = 15
"""IFNAMSIZ - 1 (include/uapi/linux/if.h)."""

_SECONDS_BY_UNIT = {"": 1, "s": 1, "m": 60, "h": 3600}


def chain(typed: str) -> str:
    """The chain's name in capitals."""
    if typed.upper() not in RULE_CHAINS:
        raise ValueError("PREROUTING or OUTPUT")
    return typed.upper()


def family(typed: str) -> int:
    """4 or 6."""
    if typed not in ("4", "6"):
        raise ValueError("4 or 6")
    return int(typed)


def proto(typed: str) -> str:
    """A protocol's name as iptables has it, or its number."""
    name = typed.lower().replace("ipv6-icmp", "icmpv6").replace("icmp6", "icmpv6")
    if name in RULE_PROTOCOLS:
        return name
    if name.isascii() and name.isdigit() and 0 < int(name) < 256:
        return str(int(name))
    raise ValueError(f"unknown protocol; {', '.join(RULE_PROTOCOLS)} or a number up to 255")


def address(typed: str) -> str:
    """An address, or a network with the host bits cleared."""
    address, slash, length = typed.partition("/")
    try:
        parsed = ipaddress.ip_address(address)
        if slash and not (length.isascii() and length.isdigit()):
            raise ValueError
        if "%" in address:
            raise ValueError
        network = ipaddress.ip_network(typed, strict=False)
    except ValueError:
        raise ValueError("not an IP address, or ADDRESS/LENGTH") from None
    return str(network) if slash else str(parsed)


def port(typed: str) -> str:
    """A port, or a range as ``PORT:PORT``."""
    ends = typed.replace("-", ":").split(":")
    if len(ends) > 2 or not all(re.fullmatch(r"[0-9]{1,5}", end) for end in ends):
        raise ValueError("a port, or a range like 8000:8100")
    numbers = [int(end) for end in ends]
    if max(numbers) > 65535:
        raise ValueError("a port is at most 65535")
    if numbers != sorted(numbers):
        raise ValueError("the range runs backwards")
    return ":".join(str(number) for number in numbers)


def interface(typed: str) -> str:
    """An interface's name."""
    # dev_valid_name() forbids / : and white space; a leading - or ! would be read by iptables as
    # an option or a negation, and + at the end is its wildcard. The kernel would take other bytes
    # than ASCII too, but no node has them and a look-alike letter would match nothing.
    if not re.fullmatch(r"[^/:!-][^/:]*", typed) or not re.fullmatch(r"[!-~]+", typed):
        raise ValueError("an interface name, + at its end for any ending")
    if len(typed) > MAX_INTERFACE:
        raise ValueError(f"an interface name has at most {MAX_INTERFACE} bytes")
    return typed


def limit(typed: str) -> int | None:
    """Packets per second; None for none."""
    if typed.lower() == "none":
        return None
    number = re.fullmatch(r"([0-9]{1,6})(/s|/sec|/second)?", typed)
    if not number:
        raise ValueError(f"packets per second, 1 to {MAX_LIMIT}, or none")
    check_limit(int(number[1]))
    return int(number[1])


def check_limit(packets_per_second: int) -> None:
    """Raise ValueError for a limit that iptables would not keep."""
    if not 0 < packets_per_second <= MAX_LIMIT:
        raise ValueError(f"packets per second, 1 to {MAX_LIMIT}, or none")
    kept = kept_limit(packets_per_second)
    if kept > packets_per_second * LIMIT_TOLERANCE:
        below = next_kept_limit(packets_per_second)
        raise ValueError(f"iptables would make it {kept:,} a second; it can keep {below:,}")


def kept_limit(packets_per_second: int) -> int:
    """The limit that iptables makes of one: packets are whole tenths of a millisecond apart.

    The time between two is rounded down (iptables' libxt_limit.c, parse_rate), so high limits
    grow: 6,000 becomes 10,000, on both backends.
    """
    return MAX_LIMIT // (MAX_LIMIT // packets_per_second)


def next_kept_limit(packets_per_second: int) -> int:
    """The largest limit that iptables keeps as it is and that is not above this one."""
    return MAX_LIMIT // -(-MAX_LIMIT // packets_per_second)


def duration(typed: str) -> int | None:
    """Seconds; None for never."""
    if typed.lower() == "none":
        return None
    parts = re.fullmatch(r"([0-9]{1,6})([smh]?)", typed.lower())
    seconds = int(parts[1]) * _SECONDS_BY_UNIT[parts[2]] if parts else 0
    if not 0 < seconds <= MAX_EXPIRY:
        raise ValueError("a time like 30s, 10m or 2h, at most 24h, or none")
    return seconds


FIELD_CHECKS = {
    "chain": chain,
    "family": family,
    "proto": proto,
    "src": address,
    "dst": address,
    "sport": port,
    "dport": port,
    "iif": interface,
    "oif": interface,
}
