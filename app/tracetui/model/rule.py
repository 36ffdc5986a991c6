"""A raw-table TRACE rule: what may be asked for, and the exact words that ask iptables for it.

Words and their order follow iptables(8) and iptables-extensions(8). Nothing here reaches a shell: a
rule becomes a list of arguments, and every value was validated before.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from typing import Any, Optional

from tracetui.errors import InvalidRule

CHAINS = ("PREROUTING", "OUTPUT")
BACKENDS = ("legacy", "nft")
PROTOCOLS = ("tcp", "udp", "icmp", "icmpv6", "sctp", "dccp", "udplite", "esp", "ah", "gre")
DEFAULT_LIMIT = 20
"""Packets per second the kernel traces for one rule."""
DEFAULT_EXPIRY = 600
"""Seconds after which the kernel stops matching the rule by itself."""
MAX_LIMIT = 10_000
"""xt_limit counts in 1/10,000 s (XT_LIMIT_SCALE, include/uapi/linux/netfilter/xt_limit.h)."""
MAX_EXPIRY = 24 * 3600
BURST = 20
LOCK_SECONDS = 5
"""How long one iptables call waits for the xtables lock (``-w``)."""
MAX_INTERFACE = 15
"""IFNAMSIZ - 1 (include/uapi/linux/if.h)."""

_WITH_PORTS = ("tcp", "udp", "sctp", "dccp", "udplite")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class TraceRule:
    """One TRACE rule of one chain, for one or both IP families."""

    chain: str = "PREROUTING"
    family: Optional[int] = None
    """4 or 6; None for both."""
    proto: Optional[str] = None
    src: Optional[str] = None
    """``ADDR`` or ``ADDR/N``."""
    dst: Optional[str] = None
    sport: Optional[str] = None
    """``PORT`` or ``PORT:PORT``."""
    dport: Optional[str] = None
    iif: Optional[str] = None
    oif: Optional[str] = None
    syn: bool = False
    """Only packets that open a TCP connection."""
    syn_ack: bool = False
    """Only their answers; the mirror image of ``syn``."""
    limit: Optional[int] = DEFAULT_LIMIT
    """Packets per second; None for no limit."""
    expires: Optional[int] = None
    """Seconds since the epoch at which the kernel stops matching; None for never."""

    @property
    def families(self) -> tuple[int, ...]:
        """The IP families the rule is installed for."""
        return (4, 6) if self.family is None else (self.family,)

    @property
    def is_wide(self) -> bool:
        """Whether it matches most of a node's packets: nothing but TCP or UDP narrows it."""
        narrowed = (self.src, self.dst, self.sport, self.dport, self.iif, self.oif)
        is_common = self.proto in (None, "tcp", "udp")
        return is_common and not (any(narrowed) or self.syn or self.syn_ack)

    def matches(self, family: int) -> list[str]:
        """The words between the chain and ``-j TRACE``, without limit, expiry and tag."""
        words: list[str] = []
        for flag, value in (("-s", self.src), ("-d", self.dst), ("-i", self.iif), ("-o", self.oif)):
            if value:
                words += [flag, value]
        proto = self._proto_for(family)
        if proto:
            words += ["-p", proto]
        if self.sport or self.dport or self.syn or self.syn_ack:
            words += ["-m", proto or ""]
        for flag, value in (("--sport", self.sport), ("--dport", self.dport)):
            if value:
                words += [flag, value]
        if self.syn:
            words += ["--tcp-flags", "FIN,SYN,RST,ACK", "SYN"]
        if self.syn_ack:
            words += ["--tcp-flags", "FIN,SYN,RST,ACK", "SYN,ACK"]
        return words

    def specification(self, family: int, tag: str) -> list[str]:
        """Everything after ``-I CHAIN 1`` or ``-D CHAIN``: the rule's exact specification.

        The comment is the owner's ``tag`` and a digest of the rule, by which a listed rule is
        known again: iptables prints some words in another form than they were given.
        """
        words = self.matches(family)
        if self.limit is not None:
            words += ["-m", "limit", "--limit", f"{self.limit}/sec", "--limit-burst", str(BURST)]
        if self.expires is not None:
            stop = datetime.fromtimestamp(self.expires, timezone.utc)
            words += ["-m", "time", "--datestop", stop.strftime("%Y-%m-%dT%H:%M:%S")]
        digest = hashlib.sha256(" ".join([self.chain, *words]).encode()).hexdigest()[:6]
        return [*words, "-m", "comment", "--comment", f"{tag}/{digest}", "-j", "TRACE"]

    def insertion(self, family: int, tag: str) -> list[str]:
        """The arguments that make iptables insert the rule where nothing stands before it."""
        words = ["-w", str(LOCK_SECONDS), "-t", "raw", "-I", self.chain, "1"]
        return [*words, *self.specification(family, tag)]

    def mirrored(self) -> tuple[TraceRule, ...]:
        """The rules that trace the answers to what this rule traces.

        Answers enter through PREROUTING, or leave from this node through OUTPUT; raw comes before
        NAT, so the answer of a packet that was DNATed bears the other host's address there.
        """
        turned = replace(
            self, src=self.dst, dst=self.src, sport=self.dport, dport=self.sport,
            iif=None, oif=None, syn=self.syn_ack, syn_ack=self.syn,
        )  # fmt: skip
        if self.chain == "OUTPUT":
            return (replace(turned, chain="PREROUTING", iif=self.oif),)
        return (
            replace(turned, chain="PREROUTING"),
            replace(turned, chain="OUTPUT", oif=self.iif),
        )

    def to_json(self) -> dict[str, Any]:
        """The fields by name; ``from_json`` is the way back."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TraceRule:
        """Build and validate a rule from :meth:`to_json`; raises InvalidRule."""
        known = {name: value[name] for name in cls.__dataclass_fields__ if name in value}
        rule = cls(**known)
        _raise(_cross_checks(rule))
        text = {k: v for k, v in known.items() if isinstance(v, str)}
        errors: dict[str, str] = {}
        for name, check in _FIELD_CHECKS.items():
            if text.get(name):
                _try(errors, name, check, text[name])
        _raise(errors)
        return rule

    @classmethod
    def from_fields(cls, fields: Mapping[str, str], now: float) -> TraceRule:
        """Build a rule from what a user typed; ``now`` is seconds since the epoch.

        Fields: chain, family (``4``, ``6`` or empty), proto, src, dst, sport, dport, iif, oif, syn
        (empty for no), limit (``20``, ``20/second``, ``none``) and expire (``600``, ``10m``,
        ``none``). Raises InvalidRule with one reason per wrong field.
        """
        errors: dict[str, str] = {}
        values: dict[str, Any] = {}
        for name, check in _FIELD_CHECKS.items():
            typed = fields.get(name, "").strip()
            if typed:
                values[name] = _try(errors, name, check, typed)
        values["syn"] = bool(fields.get("syn"))
        limit = fields.get("limit", "").strip()
        values["limit"] = _try(errors, "limit", _limit, limit) if limit else DEFAULT_LIMIT
        expire = fields.get("expire", "").strip()
        seconds = _try(errors, "expire", _duration, expire) if expire else DEFAULT_EXPIRY
        values["expires"] = None if seconds is None else int(now) + seconds
        rule = cls(
            **{k: v for k, v in values.items() if v is not None or k in ("limit", "expires")}
        )
        if rule.family is None:
            rule = replace(rule, family=_implied_family(rule))
        errors = {**_cross_checks(rule), **errors}
        _raise(errors)
        return rule

    def _proto_for(self, family: int) -> str | None:
        """The protocol's name for this family: ICMP differs between the two."""
        if self.proto in ("icmp", "icmpv6"):
            return "icmp" if family == 4 else "icmpv6"
        return self.proto


def _raise(errors: Mapping[str, str]) -> None:
    if errors:
        raise InvalidRule(errors)


def _try(errors: dict[str, str], name: str, check: Any, typed: str) -> Any:
    """The checked value, or None and the reason under the field's name."""
    try:
        return check(typed)
    except ValueError as error:
        errors[name] = str(error)
        return None


def _chain(typed: str) -> str:
    if typed.upper() not in CHAINS:
        raise ValueError("PREROUTING or OUTPUT")
    return typed.upper()


def _family(typed: str) -> int:
    if typed not in ("4", "6"):
        raise ValueError("4 or 6")
    return int(typed)


def _proto(typed: str) -> str:
    name = typed.lower().replace("ipv6-icmp", "icmpv6").replace("icmp6", "icmpv6")
    if name in PROTOCOLS:
        return name
    if name.isascii() and name.isdigit() and 0 < int(name) < 256:
        return str(int(name))
    raise ValueError(f"unknown protocol; {', '.join(PROTOCOLS)} or a number up to 255")


def _address(typed: str) -> str:
    address, slash, length = typed.partition("/")
    try:
        known = ipaddress.ip_address(address)
        if slash and not (length.isascii() and length.isdigit()):
            raise ValueError
        if "%" in address:
            raise ValueError
        network = ipaddress.ip_network(typed, strict=False)
    except ValueError:
        raise ValueError("no IP address, nor ADDRESS/LENGTH") from None
    return str(network) if slash else str(known)


def _port(typed: str) -> str:
    ends = typed.replace("-", ":").split(":")
    if len(ends) > 2 or not all(re.fullmatch(r"[0-9]{1,5}", end) for end in ends):
        raise ValueError("a port, or a range like 8000:8100")
    numbers = [int(end) for end in ends]
    if max(numbers) > 65535:
        raise ValueError("a port is at most 65535")
    if numbers != sorted(numbers):
        raise ValueError("the range runs backwards")
    return ":".join(str(number) for number in numbers)


def _interface(typed: str) -> str:
    # dev_valid_name() forbids / : and white space; a leading - or ! would be read by iptables as
    # an option or a negation, and + at the end is its wildcard. The kernel would take other bytes
    # than ASCII too, but no node has them and a look-alike letter would match nothing.
    if not re.fullmatch(r"[^/:!-][^/:]*", typed) or not re.fullmatch(r"[!-~]+", typed):
        raise ValueError("an interface name, + at its end for any ending")
    if len(typed) > MAX_INTERFACE:
        raise ValueError(f"an interface name has at most {MAX_INTERFACE} bytes")
    return typed


def _limit(typed: str) -> int | None:
    if typed.lower() == "none":
        return None
    found = re.fullmatch(r"([0-9]{1,6})(/s|/sec|/second)?", typed)
    if not found or not 0 < int(found[1]) <= MAX_LIMIT:
        raise ValueError(f"packets per second, 1 to {MAX_LIMIT}, or none")
    return int(found[1])


def _duration(typed: str) -> int | None:
    if typed.lower() == "none":
        return None
    found = re.fullmatch(r"([0-9]{1,6})([smh]?)", typed.lower())
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 0 < seconds <= MAX_EXPIRY:
        raise ValueError("a time like 30s, 10m or 2h, at most 24h, or none")
    return seconds


_FIELD_CHECKS = {
    "chain": _chain,
    "family": _family,
    "proto": _proto,
    "src": _address,
    "dst": _address,
    "sport": _port,
    "dport": _port,
    "iif": _interface,
    "oif": _interface,
}


def _version(address: str) -> int:
    return 6 if ":" in address else 4


def _implied_family(rule: TraceRule) -> int | None:
    for address in (rule.src, rule.dst):
        if address:
            return _version(address)
    return {"icmp": 4, "icmpv6": 6}.get(rule.proto or "")


def _cross_checks(rule: TraceRule) -> dict[str, str]:
    """What is wrong between fields, by the field to mend."""
    errors: dict[str, str] = {}
    if rule.chain not in CHAINS:
        errors["chain"] = "PREROUTING or OUTPUT"
    if rule.chain == "PREROUTING" and rule.oif:
        errors["oif"] = "not known in PREROUTING; use in"
    if rule.chain == "OUTPUT" and rule.iif:
        errors["iif"] = "none in OUTPUT; use out"
    for name in ("src", "dst"):
        address = getattr(rule, name)
        if address and rule.family and _version(address) != rule.family:
            errors[name] = f"not an IPv{rule.family} address"
    if rule.family and rule.proto == {4: "icmpv6", 6: "icmp"}[rule.family]:
        errors["proto"] = f"not an IPv{rule.family} protocol"
    for name in ("sport", "dport"):
        if getattr(rule, name) and rule.proto not in _WITH_PORTS:
            errors[name] = f"needs a protocol: {', '.join(_WITH_PORTS)}"
    if (rule.syn or rule.syn_ack) and rule.proto != "tcp":
        errors["syn"] = "needs protocol tcp"
    if rule.limit is not None and not 0 < rule.limit <= MAX_LIMIT:
        errors["limit"] = f"packets per second, 1 to {MAX_LIMIT}, or none"
    return errors
