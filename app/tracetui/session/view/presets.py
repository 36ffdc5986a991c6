"""Rules to trace more of what a packet belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Optional

from tracetui.errors import InvalidRule
from tracetui.model.trace.header import endpoint
from tracetui.model.trace.packet import Packet
from tracetui.model.tracing.trace_rule import TraceRule


class Preset(NamedTuple):
    """A rule to begin the form with."""

    description: str
    """Description of the packets it traces."""
    rule: TraceRule
    both: bool = False
    """Whether the answers are traced too."""


def presets(packet: Packet) -> list[Preset]:
    """Rules that trace a packet's flow or more, the narrowest first; empty without a header.

    A rule stands in raw, before any NAT: so the addresses are those the packet came with.
    """
    return [one for one in _wanted(packet) if _is_sound(one.rule)]


def _wanted(packet: Packet) -> Iterator[Preset]:
    header = packet.header
    if header is None or header.src is None or header.dst is None:
        return
    sport, dport = _text(header.sport), _text(header.dport)
    chain = "OUTPUT" if packet.hook_of(0) == "OUTPUT" else "PREROUTING"
    base = TraceRule(chain, header.family, header.proto)
    flow = base._replace(src=header.src, dst=header.dst, sport=sport, dport=dport)
    whole = endpoint(header.dst, header.dport)
    yield Preset("this flow", flow)
    yield Preset("this flow and its replies", flow, both=True)
    yield from _answers(packet, base)
    if header.dport is not None:
        service = base._replace(dst=header.dst, dport=dport)
        yield Preset(f"everything to {whole}", service)
        if header.proto == "tcp":
            yield Preset(f"new connections to {whole}", service._replace(syn=True))
        yield Preset(f"everything to port {header.dport}", service._replace(dst=None))
    everything = base._replace(proto=None)
    yield Preset(f"everything from {header.src}", everything._replace(src=header.src))
    yield Preset(f"everything to {header.dst}", everything._replace(dst=header.dst))


def _answers(packet: Packet, base: TraceRule) -> Iterator[Preset]:
    """The answers of a translated flow: they bear the real server's address until they leave."""
    nat = packet.nat or {}
    if packet.header is None or not {"dst", "dport"} & set(nat):
        return
    dst = nat.get("dst", packet.header.dst)
    port = nat.get("dport", packet.header.dport)
    description = (
        f"its replies, as {endpoint(str(dst), port if isinstance(port, int) else None)} sends them"
    )
    server = base._replace(chain="PREROUTING", src=str(dst))
    yield Preset(description, server._replace(sport=_text(port)))


def _text(port: object) -> Optional[str]:
    return None if port is None else str(port)


def _is_sound(rule: TraceRule) -> bool:
    """Whether it can be added: a packet's protocol may be one that no rule can name."""
    try:
        TraceRule.from_json(rule.to_json())
    except InvalidRule:
        return False
    return True
