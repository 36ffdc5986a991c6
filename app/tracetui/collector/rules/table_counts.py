"""Counts of the node's rules by backend: for the cost of a trace, and the choice of a backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from tracetui.errors import Failure
from tracetui.kernel.legacy_tables import KUBELET_CHAINS, LegacyTables
from tracetui.kernel.nf_tables import NfTables
from tracetui.kernel.xtables import is_built_in

_KUBELET_NAMES = frozenset(name.rstrip(b"\0").decode() for name in KUBELET_CHAINS)


class TableCounts(NamedTuple):
    """Counts of the rules of a backend, both families together."""

    total: int
    largest: int
    """Rules that the kernel goes through for a hop at most: the entries of the largest table on
    legacy, the rules of the largest chain on nft."""
    kubelet: bool
    """Whether kubelet keeps its marker chain there."""


def legacy(tables: LegacyTables) -> TableCounts:
    """Count the rules of the legacy tables; raises Failure."""
    total = sum(tables.rules(*table) for table in _registered(tables))
    kubelet = any(tables.is_of_kubelet(family) for family in (4, 6))
    return TableCounts(total, largest_table(tables), kubelet)


def largest_table(tables: LegacyTables) -> int:
    """Entries of the largest legacy table; raises Failure. It takes no longer for many."""
    return max((tables.size(*table).entries for table in _registered(tables)), default=0)


def _registered(tables: LegacyTables) -> list[tuple[int, str]]:
    return [(family, table) for family in (4, 6) for table in tables.registered(family)]


def nft() -> TableCounts:
    """Count the rules in iptables' tables of nf_tables, and the largest chain; raises Failure."""
    kernel = NfTables()
    try:
        sizes = kernel.sizes()
    finally:
        kernel.close()
    own = {chain: size for chain, size in sizes.items() if is_built_in(*chain[:2])}
    kubelet = any(table == "mangle" and name in _KUBELET_NAMES for _, table, name in own)
    return TableCounts(sum(own.values()), max(sizes.values(), default=0), kubelet)


def largest_chain() -> int:
    """Rules of the largest chain of nf_tables, jumps to it included; raises Failure."""
    kernel = NfTables()
    try:
        return kernel.most_rules()[1]
    finally:
        kernel.close()


def counts(legacy_tables: Callable[[], LegacyTables]) -> Mapping[str, TableCounts]:
    """Count each backend's rules; one that the kernel does not tell of has none."""
    counts_by_backend = {}
    counted: dict[str, Callable[[], TableCounts]] = {
        "legacy": lambda: legacy(legacy_tables()),
        "nft": nft,
    }
    for backend, count in counted.items():
        try:
            counts_by_backend[backend] = count()
        except Failure:
            counts_by_backend[backend] = TableCounts(0, 0, False)
    return counts_by_backend
