"""What routes say of a destination, and when they say nothing."""

from __future__ import annotations

import pytest

from tracetui.model.explain.routes import refusal
from tracetui.model.trace.header import Header

ROUTES = (
    "10.0.0.0/8 10.9.0.0/16=blackhole 10.9.1.0/24 10.8.0.0/16=throw fd00::/16 fd01::/64=refused"
)


@pytest.mark.parametrize(
    ("address", "routes", "said"),
    [
        ("10.1.1.1", ROUTES, ""),
        ("10.9.2.1", ROUTES, "a blackhole route"),
        ("10.9.1.1", ROUTES, ""),
        ("10.8.1.1", ROUTES, None),
        ("192.0.2.1", ROUTES, "there is no route"),
        ("fd00::1", ROUTES, ""),
        ("fd01::1", ROUTES, "one that refuses it"),
        ("2001:db8::1", ROUTES, "there is no route"),
        # Rules choose the table: its route may be another.
        ("10.9.2.1", f"+ {ROUTES}", None),
        ("10.1.1.1", f"+ {ROUTES}", None),
        ("192.0.2.1", f"+ {ROUTES}", "there is no route"),
        ("10.1.1.1", "", None),
        ("10.1.1.1", "not a route", "there is no route"),
    ],
)
def test_a_route_takes_it_or_refuses_it_or_is_not_known(address, routes, said):
    found = refusal(address, routes)
    assert found == said if not said else said in found


def causes(header: Header) -> str:
    from types import SimpleNamespace

    from tracetui.model.explain import vanished

    packet = SimpleNamespace(hops=[SimpleNamespace(header=header)], header=header, iif="eth0")
    return vanished.routing_causes(packet, {"routes": "0.0.0.0/0"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("length", "raw", "said"),
    [
        (1500, bytes([0x45, 0, 5, 220, 0, 0, 0x40, 0]), "larger (1,500 bytes) than the MTU"),
        (1500, bytes([0x45, 0, 5, 220, 0, 0, 0, 0]), None),
        (1500, None, "not to be fragmented"),
        (60, None, None),
        (60, bytes([0x45, 0, 0, 60, 0, 0, 0x40, 0]), None),
    ],
)
def test_too_large_is_likely_only_of_what_is_large_and_may_not_be_cut(length, raw, said):
    header = Header(4, "udp", "192.0.2.1", "198.51.100.1", 1, 2, length, raw=raw)
    assert ("MTU" in causes(header)) == (said is not None)
    assert said is None or said in causes(header)
