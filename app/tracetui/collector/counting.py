"""How many rules the node's tables hold, by backend: what a trace costs, and where rules go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

from tracetui.errors import Failure
from tracetui.kernel.legacy_tables import KUBELET_CHAINS, LegacyTables, registered_tables
from tracetui.kernel.nf_tables import NfTables
from tracetui.kernel.xtables import is_built_in

_KUBELET_NAMES = frozenset(name.rstrip(b"\0").decode() for name in KUBELET_CHAINS)


class TableCounts(NamedTuple):
    """How many rules a backend holds, both families together."""

    total: int
    largest: int
    """Rules in its largest table; on legacy with the ends of chains."""
    kubelet: bool
    """Whether kubelet keeps its marker chain there."""


def legacy(tables: LegacyTables) -> TableCounts:
    """Count the legacy tables' entries; raises Failure. It takes no longer for many."""
    sizes = [
        tables.size(family, table).entries
        for family in (4, 6)
        for table in registered_tables(family)
    ]
    kubelet = any(tables.is_of_kubelet(family) for family in (4, 6))
    return TableCounts(sum(sizes), max(sizes, default=0), kubelet)


def nft() -> TableCounts:
    """Count the rules in iptables' tables of nf_tables; raises Failure."""
    kernel = NfTables()
    try:
        sizes = kernel.sizes()
    finally:
        kernel.close()
    rules: Counter[tuple[str, str]] = Counter()
    kubelet = False
    for (family, table, chain), size in sizes.items():
        if is_built_in(family, table):
            rules[family, table] += size
            kubelet |= table == "mangle" and chain in _KUBELET_NAMES
    return TableCounts(sum(rules.values()), max(rules.values(), default=0), kubelet)


def counts(legacy_tables: Callable[[], LegacyTables]) -> Mapping[str, TableCounts]:
    """Count each backend's rules; one that the kernel does not tell of has none."""
    found = {}
    counted: dict[str, Callable[[], TableCounts]] = {
        "legacy": lambda: legacy(legacy_tables()),
        "nft": nft,
    }
    for backend, count in counted.items():
        try:
            found[backend] = count()
        except Failure:
            found[backend] = TableCounts(0, 0, False)
    return found
