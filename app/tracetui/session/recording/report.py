"""Packets as JSON objects, one a line, and as plain text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Optional

from tracetui import __version__
from tracetui.model.explain.action import action, is_told
from tracetui.model.explain.explanation import FieldChange, HopExplanation, PacketExplanation
from tracetui.model.rules.lookup import CHANGED, PENDING
from tracetui.model.rules.parsed_rule import parse_rule
from tracetui.model.trace.header import Header, endpoint
from tracetui.model.trace.hop import KMSG, LOG, NFLOG, Hop
from tracetui.model.trace.moments import stamp
from tracetui.model.trace.packet import Packet
from tracetui.model.trace.trace_point import FORGED
from tracetui.session.state.session import Status
from tracetui.session.text.sanitize import sanitize
from tracetui.session.text.width import cells_of

VERSION = 1
"""Version of the record format; a reader ignores keys and kinds it does not know."""

POINT_CELLS = 44
"""Cells that most trace points fit in."""
SOURCE_TEXTS = {
    KMSG: "from the kernel log (could be forged)",
    LOG: "from a log (could be forged)",
    NFLOG: "may be forged: a rule that logs to nflog can produce it",
    FORGED: "forged: TRACE can't produce this, a rule that logs to nflog did",
}
"""Caveats of a hop's source, by its name."""

HOP_BY_HOP = "0"
"""IPv6's hop-by-hop options, as the protocol of what has them first (IANA calls it HOPOPT)."""
AMBIGUOUS = "ambiguous: an identical packet was on its way too, and some hops may be that one's"
"""Caveat of a packet whose hops can't be told from another's."""

_EMPTY_HEADER = Header(family=0, proto=None, src=None, dst=None)


def hello(status: Status) -> dict[str, Any]:
    """The object a stream begins with."""
    return {
        "kind": "hello",
        "version": VERSION,
        "program": f"tracetui {__version__}",
        "host": status.host or None,
        "netns": status.netns,
        "sources": [source.name for source in status.sources if source.state != "failed"],
        "sysctls": status.sysctls or None,
    }


def packet_json(packet: Packet, explanation: PacketExplanation) -> dict[str, Any]:
    """A packet with its hops as JSON; times are seconds since the epoch, null if unknown.

    The fields before ``hops`` are :func:`head_json`; ``hops`` but for ``us``, and the rest,
    follow from the packet's path.
    """
    value = {
        **head_json(packet),
        "hops": list(_hops_json(packet, explanation)),
        "nat": packet.nat,
        "verdict": explanation.verdict,
        "decided": explanation.decided,
        "why": explanation.why or None,
        "complete": packet.is_whole and explanation.verdict != "unknown",
    }
    if explanation.is_accepted_so_far:
        value["accepted_so_far"] = True
    if packet.ambiguous:
        value["ambiguous"] = True
    return value


def head_json(packet: Packet) -> dict[str, Any]:
    """The packet's own fields."""
    header = packet.header or _EMPTY_HEADER
    value = {
        "kind": "packet",
        "id": packet.id,
        "time": packet.time,
        "family": header.family or None,
        "proto": header.proto
        if header.proto or packet.header is None
        else protocol_by_rules(packet),
        "src": header.src,
        "sport": header.sport,
        "dst": header.dst,
        "dport": header.dport,
        "length": header.length,
        "ip_id": header.ip_id,
        "ttl": header.ttl,
        "flags": header.flags,
        "icmp_type": header.icmp_type,
        "icmp_code": header.icmp_code,
        "mark": packet.mark,
        "mac": packet.first.mac,
        "in": packet.iif,
        "out": packet.oif,
    }
    if header.icmp_id is not None or header.fragment is not None:
        value.update(icmp_id=header.icmp_id, icmp_seq=header.icmp_seq, fragment=header.fragment)
    return value


def packet_text(
    packet: Packet, explanation: PacketExplanation, own_hops: bool = False
) -> Iterator[str]:
    """The packet on one line and each hop on one, indented; safe to print on a terminal.

    Hops of TRACE rules of ours are left out unless ``own_hops``.
    """
    yield head_text(packet, explanation)
    if explanation.why:
        yield sanitize(f"  {explanation.why}")
    for index, explained in enumerate(explanation.hops):
        if own_hops or not explained.is_own:
            yield f"  {hop_text(packet, explanation, index)}"


def head_text(packet: Packet, explanation: PacketExplanation) -> str:
    """The packet as a whole on one inert line."""
    nat = f"  ⇒ {destination(packet)}" if packet.nat else ""
    doubt = _doubt(packet, explanation) + ("  ambiguous" if packet.ambiguous else "")
    return sanitize(
        f"{stamp(packet.stamped)}  {_protocol_of(packet)}  {endpoints(packet.header)}{nat}"
        f"  {packet.iif or '-'} → {packet.oif or '-'}  {len(packet.hops)} hops"
        f"  {verdict_text(explanation)}{doubt}"
    )


def outcome_text(
    packet: Packet, explanation: PacketExplanation, quoted: Callable[[str], str] = str
) -> str:
    """The fate of a packet in a sentence: ``dropped by rule 2 of NETPOL-SHOP, quarantine``.

    ``quoted`` marks texts of others in it.
    """
    decided, why = explanation.decided, explanation.why
    cause = f": {quoted(why)}" if why else ""
    if decided is None:
        return f"{verdict_text(explanation)}{cause}"
    hop, explained = packet.hops[decided], explanation.hops[decided]
    chain, table = quoted(hop.chain), quoted(f"{hop.family} {hop.table}")
    where = f"{hop.backend} table {table}"
    number = explained.number if explained.rule is not None else None
    handle = "" if hop.handle is None else f" (handle {hop.handle})"
    if number is not None:
        rule = f"rule {number}{handle} of {chain}"
    elif hop.handle is not None:
        rule = f"the rule with handle {hop.handle} of {chain}"
    else:
        rule = f"the {'policy' if hop.type == 'policy' else 'end'} of {chain}"
    comment = f", {quoted(explained.comment)}" if explained.comment else ""
    return f"{_PAST[explanation.verdict]} by {rule}{comment} ({where}){cause}"


def verdict_text(explanation: PacketExplanation) -> str:
    """The verdict in words: ``unknown`` is for doubt, not for a trace that simply ends."""
    return "accepted so far" if explanation.is_accepted_so_far else explanation.verdict


def hop_text(packet: Packet, explanation: PacketExplanation, index: int) -> str:
    """A hop on one inert line: trace point, action, changes, rule."""
    hop, explained = packet.hops[index], explanation.hops[index]
    parts = (
        action_text(explanation, index),
        changes_text(explanation, index),
        rule_text(explained),
    )
    outcome = "  ".join(part for part in parts if part)
    point = sanitize(point_text(hop, explained))
    gap = " " * (POINT_CELLS - cells_of(point))
    return f"{hop.backend:6} {point}{gap} {sanitize(outcome)}".rstrip()


def point_text(hop: Hop, explained: HopExplanation) -> str:
    """A hop's trace point, its rule by the number that ``iptables -L --line-numbers`` prints.

    nft has handles: a rule's number is the ruleset's, where that is known. A family other than
    IPv4's stands before the table.
    """
    family = "" if hop.family == "ip" else f"{hop.family} "
    chain = f"{family}{hop.table}:{hop.chain}"
    if hop.backend == "legacy":
        return f"{chain} {end_text(hop, explained)}"
    handle = hop.handle
    if handle is None and explained.rule is not None:
        handle = explained.rule.handle
    if explained.number is not None:
        handle_text = "" if handle is None else f" (handle {handle})"
        return f"{chain} rule {explained.number}{handle_text}"
    return f"{chain} {hop.type}" if handle is None else f"{chain} handle {handle}"


def end_text(hop: Hop, explained: HopExplanation) -> str:
    """A legacy hop in its chain: ``rule 6``, or ``return 4`` where that may be the chain's end.

    The kernel calls a rule that matches every packet the end of its chain (net/ipv4/netfilter/
    ip_tables.c, get_chainname_rulenum): the ruleset tells which it was.
    """
    if explained.rule is not None and explained.number is not None:
        return f"rule {explained.number}"
    return f"{hop.type} {'?' if hop.rulenum is None else hop.rulenum}"


def position_text(hop: Hop, explained: HopExplanation) -> str:
    """Where in its chain a hop was, for behind the chain: ``  rule 2 of 7 (handle 6)``."""
    handle = "" if hop.handle is None else f" (handle {hop.handle})"
    chain, number = explained.chain, explained.number
    if number is not None and explained.rule is not None:
        total = "" if chain is None else f" of {len(chain.rules):,}"
        return f"  rule {number:,}{total}{handle}"
    if chain is not None:
        count = len(chain.rules)
        return f"  end of the chain, after {count:,} rule{'' if count == 1 else 's'}"
    if hop.backend == "legacy":
        return f"  {end_text(hop, explained)}"
    return f"  {hop.type}" if hop.handle is None else f"  handle {hop.handle}"


def action_text(explanation: PacketExplanation, index: int) -> str:
    """The action of a hop: ``DNAT → 10.50.3.2:8080``, ``jump X``, ``accept``."""
    return action(explanation.hops[index], explanation.changes_at(index))


def rule_text(explained: HopExplanation) -> str:
    """The hop's rule as its tool prints it, or the reason why there is none."""
    if explained.rule is not None:
        return explained.rule.text or "(its text can't be read)"
    if explained.state == CHANGED and explained.source == NFLOG:
        return "(no such rule was installed)"
    return {CHANGED: "(ruleset changed)", PENDING: "(reading the ruleset)"}.get(explained.state, "")


def changes_text(explanation: PacketExplanation, index: int) -> str:
    """Changes a hop made to the packet: ``dst 10.96.0.10:80 → 10.244.0.7:8080``."""
    return ", ".join(change_text(change) for change in explanation.changes_at(index))


def other_changes_text(explanation: PacketExplanation, index: int) -> str:
    """The changes of a hop that its action does not tell."""
    own_action = action_text(explanation, index)
    changes = explanation.changes_at(index)
    return ", ".join(change_text(change) for change in changes if not is_told(change, own_action))


def change_text(change: FieldChange) -> str:
    """A change in words, with its cause if that was no rule."""
    if change.field == "mark":
        return f"mark {change.old[0] or 0:#x} → {change.new[0] or 0:#x}"
    if change.field in ("src", "dst"):
        old, new = (
            endpoint(str(end[0]), end[1] if isinstance(end[1], int) else None)
            for end in (change.old, change.new)
        )
        by = " (known connection)" if change.by == "conntrack" else ""
        return f"{change.field} {old} → {new}{by}"
    if change.field == "ttl" and change.by == "routing":
        return f"ttl {change.old[0]} → {change.new[0]} (forwarded)"
    return f"{change.field} {change.old[0] or '-'} → {change.new[0]}"


def protocol(header: Optional[Header]) -> str:
    """The protocol with what tells its packets apart: TCP flags, ICMP type."""
    if header is None or header.proto is None:
        return "?"
    if header.proto == HOP_BY_HOP:
        return "hopopt"
    if header.flags:
        return f"{header.proto} {header.flags}"
    if header.icmp_type is not None:
        return f"{header.proto} {icmp_name(header)}"
    if header.fragment is not None:
        return f"{header.proto} fragment at {header.fragment}"
    return header.proto


def _protocol_of(packet: Packet) -> str:
    """The protocol, with an echo's identifier and sequence; as its rules tell it, else its header.

    xtables-monitor prints no protocol; a rule that matched can.
    """
    header = packet.header
    if header is not None and header.icmp_id is not None:
        return f"{protocol(header)} id {header.icmp_id} seq {header.icmp_seq}"
    return protocol(header) if header is None or header.proto else protocol_by_rules(packet) or "?"


def protocol_by_rules(packet: Packet) -> Optional[str]:
    """The protocol that the matched rules test; None if none does, or two differ."""
    tests = [
        test
        for hop in packet.hops
        if hop.rule is not None and hop.rule.startswith("-A ")
        for test in parse_rule(hop.rule).tests
    ]
    protocols = {test.value for test in tests if test.flag == "-p" and not test.inverted}
    return protocols.pop() if len(protocols) == 1 else None


def icmp_name(header: Header) -> str:
    """The ICMP type in a word where it is a common one, else as ``type/code``."""
    names = _ICMP_NAMES if header.proto == "icmp" else _ICMPV6_NAMES
    plain = f"{header.icmp_type}/{header.icmp_code if header.icmp_code is not None else '?'}"
    return names.get(header.icmp_type or 0, plain) if header.icmp_type is not None else "?"


def endpoints(header: Optional[Header]) -> str:
    """Source and destination with their ports; IPv6 in brackets."""
    if header is None:
        return "no header seen"
    return f"{endpoint(header.src, header.sport)} → {endpoint(header.dst, header.dport)}"


def destination(packet: Packet) -> str:
    """The packet's destination after NAT."""
    header, nat = packet.header or _EMPTY_HEADER, packet.nat or {}
    port = nat.get("dport", header.dport)
    return endpoint(str(nat.get("dst", header.dst)), port if isinstance(port, int) else None)


def source_of(hop: Hop, explained: HopExplanation) -> Optional[str]:
    """The hop's source if others can forge its hops; None for any other."""
    return hop.source or explained.source


def caveats(packet: Packet, explanation: PacketExplanation) -> Iterator[str]:
    """Why some hops may not be the packet's, or not the kernel's; one sentence each."""
    if packet.ambiguous:
        yield AMBIGUOUS
    sources = {source_of(*pair) for pair in zip(packet.hops, explanation.hops)}
    yield from (text for source, text in SOURCE_TEXTS.items() if source in sources)


def _doubt(packet: Packet, explanation: PacketExplanation) -> str:
    """The caveat of a packet whose hops may be forged, unless it came from a log."""
    sources = {source_of(*pair) for pair in zip(packet.hops, explanation.hops)}
    return next((f"  ({doubt})" for source, doubt in _DOUBTS.items() if source in sources), "")


_DOUBTS = {FORGED: "forged", NFLOG: "may be forged", KMSG: "from the kernel log"}


def _hops_json(packet: Packet, explanation: PacketExplanation) -> Iterator[dict[str, Any]]:
    columns = zip(packet.hops, explanation.hops, packet.stamps(), packet.changed_at_each())
    for index, (hop, explained, us, changed) in enumerate(columns):
        value = _hop_json(hop, explained, packet.hook_of(index), us)
        if changed:
            value["changed"] = changed
        yield value


def _hop_json(
    hop: Hop, explained: HopExplanation, hook: Optional[str], us: Optional[int]
) -> dict[str, Any]:
    value: dict[str, Any] = {
        "us": us,
        "backend": hop.backend,
        "family": hop.family,
        "table": hop.table,
        "chain": hop.chain,
        "hook": hook,
        "type": hop.type,
        "rulenum": hop.rulenum,
        "handle": hop.handle,
        "number": _number(hop, explained),
        "in": hop.iif,
        "out": hop.oif,
        "verdict": explained.verdict,
        "rule": explained.rule.text if explained.rule is not None else None,
    }
    source = hop.source or explained.source
    if source is not None:
        value["source"] = source
    if explained.state == CHANGED:
        value["ruleset_changed"] = True
    if hop.interval is not None:
        value["readings"] = list(hop.interval)
    return value


def _number(hop: Hop, explained: HopExplanation) -> Optional[int]:
    """The number that iptables' ``-L --line-numbers`` prints; None for no rule, or not known."""
    if explained.number is not None and explained.rule is not None:
        return explained.number
    return hop.rulenum if hop.type == "rule" else None


_PAST = {"accept": "accepted", "drop": "dropped", "reject": "rejected", "unknown": "unknown"}
_ICMP_NAMES = {
    0: "echo rep",
    3: "unreachable",
    5: "redirect",
    8: "echo req",
    11: "ttl exceeded",
}
_ICMPV6_NAMES = {
    1: "unreachable", 2: "too big", 3: "ttl exceeded", 128: "echo req", 129: "echo rep",
    133: "router sol", 134: "router adv", 135: "neigh sol", 136: "neigh adv",
    143: "mld report",
}  # fmt: skip
