"""A raw-table TRACE rule: what may be asked for, and the exact words that ask iptables for it.

Words and their order follow iptables(8) and iptables-extensions(8). Nothing here reaches a shell: a
rule becomes a list of arguments, and every value was validated before.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple, Optional

from tracetui.errors import InvalidRule
from tracetui.model.trace.header import Header
from tracetui.model.trace.hop import END_OF_CALENDAR
from tracetui.model.tracing import rule_fields
from tracetui.model.tracing.digest import digest
from tracetui.model.tracing.rule_fields import (
    DEFAULT_EXPIRY,
    DEFAULT_LIMIT,
    RULE_CHAINS,
)

BURST = 20
LOCK_SECONDS = 5
"""How long one iptables call waits for the xtables lock (``-w``)."""

_PROTOCOLS_WITH_PORTS = ("tcp", "udp", "sctp", "dccp", "udplite")


class TraceRule(NamedTuple):
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
        comment = f"{tag}/{digest(' '.join([self.chain, *words]))}"
        return [*words, "-m", "comment", "--comment", comment, "-j", "TRACE"]

    def insertion(self, family: int, tag: str) -> list[str]:
        """The arguments that make iptables insert the rule before all others of its chain."""
        words = ["-w", str(LOCK_SECONDS), "-t", "raw", "-I", self.chain, "1"]
        return [*words, *self.specification(family, tag)]

    def mirrored(self) -> tuple[TraceRule, ...]:
        """The rules that trace the answers to what this rule traces.

        Answers enter through PREROUTING, or leave from this node through OUTPUT; raw comes before
        NAT, so the answer of a packet that was DNATed bears the other host's address there. One
        that is this rule itself, as ICMP's can be, is left out: it traces the answers already.
        """
        turned = self._replace(
            src=self.dst, dst=self.src, sport=self.dport, dport=self.sport,
            iif=None, oif=None, syn=self.syn_ack, syn_ack=self.syn,
        )  # fmt: skip
        if self.chain == "OUTPUT":
            return (turned._replace(chain="PREROUTING", iif=self.oif),)
        answers = (
            turned._replace(chain="PREROUTING"),
            turned._replace(chain="OUTPUT", oif=self.iif),
        )
        return tuple(rule for rule in answers if rule != self)

    def covers(self, header: Header, hook: Optional[str], iif: Optional[str]) -> bool:
        """Whether a packet that was first seen at ``hook`` can have been traced by this rule.

        A field that the packet does not show counts as fitting.
        """
        if header.family not in self.families or hook not in (self.chain, None):
            return False
        if self.proto and header.proto and header.proto != self._proto_for(header.family):
            return False
        if self.iif and iif and not _fits_interface(self.iif, iif):
            return False
        return all(
            _fits_address(wanted, address) and _fits_port(ports, port)
            for wanted, address, ports, port in (
                (self.src, header.src, self.sport, header.sport),
                (self.dst, header.dst, self.dport, header.dport),
            )
        )

    def to_fields(self) -> dict[str, str]:
        """The fields to type for this rule, as :meth:`from_fields` takes them; without expiry."""
        names = ("chain", "proto", "src", "dst", "sport", "dport", "iif", "oif")
        fields = {name: getattr(self, name) or "" for name in names}
        fields["family"] = "" if self.family is None else str(self.family)
        fields["syn"] = "yes" if self.syn else ""
        fields["limit"] = "none" if self.limit is None else f"{self.limit}/second"
        return fields

    def to_json(self) -> dict[str, Any]:
        """The fields by name; ``from_json`` is the way back."""
        return self._asdict()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TraceRule:
        """Build a rule from :meth:`to_json`, every value in iptables' form; raises InvalidRule."""
        unknown = [str(name) for name in value if name not in cls._fields]
        _raise(dict.fromkeys(unknown, "no such field"))
        given = {name: value[name] for name in cls._fields if name in value}
        _raise(
            {name: "no such value" for name, field in given.items() if not _is_kind(name, field)}
        )
        errors: dict[str, str] = {}
        checked: dict[str, Any] = {
            name: _try(errors, name, rule_fields.FIELD_CHECKS[name], text) if text else None
            for name, text in given.items()
            if isinstance(text, str)
        }
        _raise(errors)
        rule = cls(**{**given, **checked})
        _raise(_cross_checks(rule))
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
        for name, check in rule_fields.FIELD_CHECKS.items():
            typed = fields.get(name, "").strip()
            if typed:
                values[name] = _try(errors, name, check, typed)
        values["syn"] = bool(fields.get("syn"))
        limit = fields.get("limit", "").strip()
        values["limit"] = (
            _try(errors, "limit", rule_fields.limit, limit) if limit else DEFAULT_LIMIT
        )
        expire = fields.get("expire", "").strip()
        seconds = _try(errors, "expire", rule_fields.duration, expire) if expire else DEFAULT_EXPIRY
        values["expires"] = None if seconds is None else int(now) + seconds
        rule = cls(
            **{k: v for k, v in values.items() if v is not None or k in ("limit", "expires")}
        )
        if rule.family is None:
            rule = rule._replace(family=_implied_family(rule))
        errors = {**_cross_checks(rule), **errors}
        _raise(errors)
        return rule

    def _proto_for(self, family: int) -> str | None:
        """The protocol's name for this family: ICMP differs between the two."""
        if self.proto in ("icmp", "icmpv6"):
            return "icmp" if family == 4 else "icmpv6"
        return self.proto


def _is_kind(name: str, value: object) -> bool:
    """Whether a field can have a value, by its type and range alone."""
    if name in ("syn", "syn_ack"):
        return isinstance(value, bool)
    if value is None or name == "chain":
        return name != "chain" or isinstance(value, str)
    if name not in ("family", "limit", "expires"):
        return isinstance(value, str)
    if not isinstance(value, int) or isinstance(value, bool):
        return False
    return value in (4, 6) if name == "family" else 0 <= value < END_OF_CALENDAR


def _raise(errors: Mapping[str, str]) -> None:
    if errors:
        raise InvalidRule(errors)


def _try(errors: dict[str, str], name: str, check: Any, typed: object) -> Any:
    """The checked value, or None and the reason under the field's name."""
    try:
        return check(typed)
    except ValueError as error:
        errors[name] = str(error)
        return None


def _fits_interface(wanted: str, name: str) -> bool:
    return name.startswith(wanted[:-1]) if wanted.endswith("+") else name == wanted


def _fits_address(wanted: Optional[str], address: Optional[str]) -> bool:
    if not wanted or not address:
        return True
    return ipaddress.ip_address(address) in ipaddress.ip_network(wanted)


def _fits_port(wanted: Optional[str], port: Optional[int]) -> bool:
    if not wanted or port is None:
        return True
    first, _, last = wanted.partition(":")
    return int(first) <= port <= int(last or first)


def _version(address: str) -> int:
    return 6 if ":" in address else 4


def _implied_family(rule: TraceRule) -> int | None:
    for address in (rule.src, rule.dst):
        if address:
            return _version(address)
    return {"icmp": 4, "icmpv6": 6}.get(rule.proto or "")


def _cross_checks(rule: TraceRule) -> dict[str, str]:
    """Errors between fields, by the field to mend."""
    errors: dict[str, str] = {}
    if rule.chain not in RULE_CHAINS:
        errors["chain"] = "PREROUTING or OUTPUT"
    if rule.chain == "PREROUTING" and rule.oif:
        errors["oif"] = "not known in PREROUTING; use the in-interface"
    if rule.chain == "OUTPUT" and rule.iif:
        errors["iif"] = "none in OUTPUT; use the out-interface"
    for name in ("src", "dst"):
        address = getattr(rule, name)
        if address and rule.family and _version(address) != rule.family:
            errors[name] = f"not an IPv{rule.family} address"
    if rule.family and rule.proto == {4: "icmpv6", 6: "icmp"}[rule.family]:
        errors["proto"] = f"not an IPv{rule.family} protocol"
    for name in ("sport", "dport"):
        if getattr(rule, name) and rule.proto not in _PROTOCOLS_WITH_PORTS:
            errors[name] = f"needs a protocol: {', '.join(_PROTOCOLS_WITH_PORTS)}"
    if (rule.syn or rule.syn_ack) and rule.proto != "tcp":
        errors["syn"] = "needs protocol tcp"
    if rule.limit is not None:
        _try(errors, "limit", rule_fields.check_limit, rule.limit)
    return errors
