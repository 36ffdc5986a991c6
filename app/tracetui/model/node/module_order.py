"""Orders of kernel modules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracetui.model.node.module import Module

MODULE_ORDERS = ("name", "size", "references")


def in_order(modules: Iterable[Module], order: str) -> list[Module]:
    """Sort modules in one of MODULE_ORDERS: netfilter's first by name, or the largest first."""
    by_name = sorted(modules, key=lambda module: module.name)
    if order == "size":
        return sorted(by_name, key=lambda module: -module.size)
    if order == "references":
        return sorted(by_name, key=lambda module: -(module.refcount or 0))
    return sorted(by_name, key=lambda module: not module.is_netfilter)
