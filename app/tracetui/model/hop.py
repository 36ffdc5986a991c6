"""One TRACE event: a packet at one place of one chain."""

from __future__ import annotations

from typing import NamedTuple, Optional

from tracetui.model.header import Header

HOOKS = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
"""The hooks in the kernel's numbering (``enum nf_inet_hooks``, include/uapi/linux/netfilter.h)."""

_HOOKS_OF = {
    "raw": ("PREROUTING", "OUTPUT"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "security": ("INPUT", "FORWARD", "OUTPUT"),
}
"""Of iptables' tables that are not at every hook (iptables(8), TABLES)."""


def built_in_hook(table: str, chain: str) -> Optional[str]:
    """The hook of a chain that iptables made; None for a user chain.

    A user chain can bear a hook's name in a table that is not at that hook.
    """
    return chain if chain in _HOOKS_OF.get(table, HOOKS) else None


KMSG, LOG = "kmsg", "log"
FORGEABLE = (KMSG, LOG)
"""Sources of hops that others can have made up: the kernel log, and a copy of it in a file.

No program can print there as the kernel, but a ``-j LOG`` rule of any namespace can say what TRACE
says. In the other sources only a rule of the traced namespace can (``-j NFLOG``, to our group).
"""

SINCE_EPOCH = 1e8
"""Seconds; a smaller time counts from boot, as in plain dmesg."""
YEAR_10000 = 253_402_300_800.0
"""Seconds since the epoch; a time from there on is damage, and no calendar here knows it."""


class Hop(NamedTuple):
    """What the kernel reported once about one packet."""

    backend: str
    """``legacy`` (x_tables) or ``nft`` (nf_tables)."""
    family: str
    """The table's family in nft's words: ip, ip6, inet, bridge, netdev or arp."""
    table: str
    chain: str
    type: str
    """``rule``, ``return`` (end of a user chain) or ``policy`` (end of a base chain)."""
    rulenum: Optional[int] = None
    """The kernel's 1-based rule number (legacy)."""
    handle: Optional[int] = None
    """The nft rule handle."""
    verdict: Optional[str] = None
    """What the kernel said, in nft's words: ``accept``, ``jump KUBE-SERVICES``. Legacy says
    nothing; there it is None, or what was proven when the hop was recorded."""
    hook: Optional[str] = None
    """One of HOOKS where the source says it (nflog) or the chain is a built-in one; else None."""
    iif: Optional[str] = None
    oif: Optional[str] = None
    mark: Optional[int] = None
    time: Optional[float] = None
    """Seconds since the epoch, or since boot (then below ``SINCE_EPOCH``); None without a stamp."""
    trace_id: Optional[int] = None
    """The nft trace id: neither unique to a packet nor constant over one (FORMATS 10)."""
    header: Optional[Header] = None
    """The packet as this hop saw it; None where the kernel sent none."""

    mac: Optional[str] = None
    """``source > destination`` of the Ethernet header; None without one."""
    readings: Optional[tuple[int, int]] = None
    """The last reading of the ruleset that had ended when it was evaluated (0 for none), and the
    first that had not begun; None where no ruleset was read."""

    rule: Optional[str] = None
    """The text of its rule, where the hop was recorded with it."""
    source: Optional[str] = None
    """One of FORGEABLE; None where it came from the kernel itself, over netlink."""

    @property
    def is_in_base_chain(self) -> bool:
        """Whether its chain is one that iptables made, and not a user chain."""
        return built_in_hook(self.table, self.chain) is not None

    @property
    def place(self) -> str:
        """``table:chain:type:number`` as the kernel prints it, for grep; the handle on nft."""
        if self.backend == "legacy":
            return f"{self.table}:{self.chain}:{self.type}:{self.rulenum}"
        number = "" if self.handle is None else f":{self.handle}"
        return f"{self.table}:{self.chain}:{self.type}{number}"
