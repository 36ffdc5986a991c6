"""The rate that iptables makes of a limit is the one that the product reckons with."""

from __future__ import annotations

import re
import subprocess

import pytest

from tracetui.model.tracing.rule_fields import kept_limit, next_kept_limit

pytestmark = pytest.mark.kernel
LIMITS = (1, 7, 20, 30, 333, 999, 2500, 3000, 3333, 4000, 5000, 6000, 9999, 10_000)


@pytest.mark.parametrize("backend", ["legacy", "nft"])
def test_what_is_kept_of_a_limit_is_known_beforehand(namespace, backend):
    asked = {*LIMITS, *map(next_kept_limit, LIMITS)}
    kept = {limit: kept_by_iptables(namespace.name, backend, limit) for limit in asked}
    assert kept == {limit: kept_limit(limit) for limit in asked}
    assert all(kept[next_kept_limit(limit)] <= limit for limit in LIMITS)


def kept_by_iptables(name: str, backend: str, limit: int) -> int:
    command = ["ip", "netns", "exec", name, f"iptables-{backend}", "-t", "raw"]
    rule = ["-m", "limit", "--limit", f"{limit}/sec", "-j", "ACCEPT"]
    subprocess.run([*command, "-A", "OUTPUT", *rule], check=True)
    listed = subprocess.run([*command, "-S", "OUTPUT"], check=True, capture_output=True, text=True)
    subprocess.run([*command, "-F", "OUTPUT"], check=True)
    found = re.search(r"--limit ([0-9]+)/sec", listed.stdout)
    assert found is not None, listed.stdout
    return int(found[1])
