"""Kernel modules and who uses whom."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Optional

_NETFILTER = re.compile(
    r"(nf_|nft_|nfnetlink|xt_|x_tables|ipt_|ip6t_|ip_tables|ip6_tables|iptable_|ip6table_"
    r"|arp_tables|arptable_|arpt_|ebtable|ebt_|ip_set|ip_vs|br_netfilter)"
)


@dataclass(frozen=True)
class Module:
    """One line of /proc/modules."""

    name: str
    size: int
    """Bytes."""
    refcount: Optional[int]
    """Its references; None where the kernel does not count them (it shows ``-``)."""
    used_by: tuple[str, ...] = ()
    """The modules that use it."""
    state: Optional[str] = None
    """``Live``, ``Loading`` or ``Unloading``; None where the input does not tell (lsmod)."""
    taint: str = ""
    """Letters such as ``OE``; empty for none."""
    permanent: bool = False
    """Whether it can't be unloaded."""

    @property
    def is_netfilter(self) -> bool:
        """Whether its name is one that netfilter's modules have."""
        return _NETFILTER.match(self.name) is not None

    @property
    def unexplained(self) -> int:
        """References that no module holds: the kernel's own, a rule's, or a socket's."""
        return max(0, (self.refcount or 0) - len(self.used_by))


class ModuleTree:
    """The loaded modules, netfilter's first, each with those that use it."""

    def __init__(self, modules: Iterable[Module]) -> None:
        self._by_name = {module.name: module for module in modules}
        self.modules = sorted(
            self._by_name.values(), key=lambda module: (not module.is_netfilter, module.name)
        )
        """All of them, netfilter's first, then by name."""

    def __len__(self) -> int:
        return len(self.modules)

    def find(self, name: str) -> Optional[Module]:
        """The module of that name; the kernel takes - for _ in names, and so does this."""
        return self._by_name.get(name.replace("-", "_")) or self._by_name.get(name)

    def users(self, module: Module) -> list[Module]:
        """The modules that use one; those the list does not hold are made up from their name."""
        return [self._by_name.get(name) or Module(name, 0, None) for name in sorted(module.used_by)]
