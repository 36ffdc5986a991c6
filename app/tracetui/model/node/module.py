"""Kernel modules, and which of them use which."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Optional

from tracetui.model.node.module_order import in_order

_NETFILTER_NAME = re.compile(
    r"(nf_|nft_|nfnetlink|xt_|x_tables|ipt_|ip6t_|ip_tables|ip6_tables|iptable_|ip6table_"
    r"|arp_tables|arptable_|arpt_|ebtable|ebt_|ip_set|ip_vs|br_netfilter)"
)

BUILT_IN_STATE = "Built in"
"""The state of one that is part of the kernel image: it can't be unloaded, and is in no list."""


class Module(NamedTuple):
    """One line of /proc/modules, or a built-in module."""

    name: str
    size: int
    """Bytes."""
    refcount: Optional[int]
    """Its references; None where the kernel does not count them (it shows ``-``)."""
    used_by: tuple[str, ...] = ()
    """The modules that use it."""
    state: Optional[str] = None
    """``Live``, ``Loading``, ``Unloading`` or BUILT_IN; None where the input has none."""
    taint: str = ""
    """Letters such as ``OE``; empty for none."""
    permanent: bool = False
    """Whether it can't be unloaded."""

    @property
    def is_netfilter(self) -> bool:
        """Whether its name is one that netfilter's modules have."""
        return _NETFILTER_NAME.match(self.name) is not None

    @property
    def is_built_in(self) -> bool:
        """Whether it is part of the kernel image."""
        return self.state == BUILT_IN_STATE

    @property
    def unexplained(self) -> int:
        """References that no module holds: the kernel's own, a rule's, or a socket's."""
        return max(0, (self.refcount or 0) - len(self.used_by))


class ModuleFacts(NamedTuple):
    """Details of one module by sysfs and modinfo(8); None and empty where they have none."""

    description: Optional[str] = None
    version: Optional[str] = None
    source_version: Optional[str] = None
    """A checksum of its source (``srcversion``)."""
    license: Optional[str] = None
    file: Optional[str] = None
    """Where it was loaded from, or would be."""
    depends: Optional[tuple[str, ...]] = None
    """The modules it needs, by its file."""
    parameters: Mapping[str, Optional[str]] = {}
    """Their values; None for one that only root may read."""


class ModuleTree:
    """The loaded modules, each with those that use it and those it needs."""

    def __init__(self, modules: Iterable[Module]) -> None:
        self._by_name = {module.name: module for module in modules}
        self._needs: dict[str, list[str]] = {}
        for module in self._by_name.values():
            for user in module.used_by:
                self._needs.setdefault(user, []).append(module.name)
        self.modules = self.sorted_by("name")
        """All of them, netfilter's first, then by name."""

    def __len__(self) -> int:
        return len(self._by_name)

    def sorted_by(self, order: str) -> list[Module]:
        """All of them in one of ORDERS: netfilter's first by name, or the largest first."""
        return in_order(self._by_name.values(), order)

    def find(self, name: str) -> Optional[Module]:
        """The module of that name; the kernel takes - for _ in names, and so does this."""
        return self._by_name.get(name.replace("-", "_")) or self._by_name.get(name)

    def users(self, module: Module) -> list[Module]:
        """The modules that use one; those the list does not hold are made up from their name."""
        return self._named(module.used_by)

    def needs(self, module: Module) -> list[Module]:
        """The loaded modules that one uses."""
        return self._named(self._needs.get(module.name, ()))

    def _named(self, names: Iterable[str]) -> list[Module]:
        return [self._by_name.get(name) or Module(name, 0, None) for name in sorted(names)]
