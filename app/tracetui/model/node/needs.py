"""Parts of the kernel that tracing needs, and whether each is there.

A part can be loaded, built in, or come by itself when it is asked for; a kernel without a list of
its modules proves some of them in other ways.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple, Optional

LOADED, BUILT_IN, ON_DISK, MISSING, UNKNOWN = (
    "loaded", "built in", "on disk", "missing", "unknown",
)  # fmt: skip
"""``on disk``: not loaded, but the kernel can load it."""


class TracingPart(NamedTuple):
    """One thing that tracing needs."""

    name: str
    """In the field's words."""
    modules: tuple[str, ...]
    """The modules that bring it, by their names in kernels old and new; the first is today's."""
    options: tuple[str, ...]
    """The kernel's build options of it (Kconfig), without ``CONFIG_``."""
    what_for: str


TRACING_PARTS = (
    TracingPart("nf_tables", ("nf_tables",), ("NF_TABLES",), "nft rules and their trace events"),
    TracingPart(
        *("ip_tables", ("ip_tables", "iptable_raw"), ("IP_NF_IPTABLES_LEGACY", "IP_NF_IPTABLES")),
        what_for="legacy tables; not needed on a node that has nft rules only",
    ),
    TracingPart(
        *("TRACE target", ("xt_TRACE",), ("NETFILTER_XT_TARGET_TRACE",)),
        what_for="the rule that starts a trace in legacy tables",
    ),
    TracingPart(
        *("nflog", ("nfnetlink_log",), ("NETFILTER_NETLINK_LOG",)),
        what_for="brings the hops of legacy tables here, past the kernel log",
    ),
    TracingPart(
        *("log of packets", ("nf_log_syslog", "nf_log_ipv4", "ipt_LOG"), ("NF_LOG_SYSLOG",)),
        what_for="needed by xt_TRACE, and for hops in the kernel log",
    ),
    TracingPart(
        *("limit match", ("xt_limit",), ("NETFILTER_XT_MATCH_LIMIT",)),
        what_for="limits in the kernel how many packets are traced",
    ),
    TracingPart(
        *("time match", ("xt_time",), ("NETFILTER_XT_MATCH_TIME",)),
        what_for="ends a rule in the kernel",
    ),
    TracingPart(
        *("comment match", ("xt_comment",), ("NETFILTER_XT_MATCH_COMMENT",)),
        what_for="tags the rules that are ours",
    ),
)

LOADABLE = frozenset(module for part in TRACING_PARTS for module in part.modules)
"""The modules that can be asked for: no other is ever loaded for a user."""


class Evidence(NamedTuple):
    """Facts of a kernel about its parts; None where it has none."""

    loaded: Optional[Collection[str]] = None
    """The names of the loaded modules."""
    built_in: Optional[Collection[str]] = None
    """The modules that are part of the image (``modules.builtin``)."""
    on_disk: Optional[Collection[str]] = None
    """The modules that can be loaded (``modules.dep``)."""
    options: Mapping[str, str] = {}
    """The build options that are set, without ``CONFIG_``: ``y`` or ``m``."""
    proven: Collection[str] = ()
    """Parts by name that are proven to work."""


class Need(NamedTuple):
    """A part, and how it is there."""

    part: TracingPart
    state: str
    """LOADED, BUILT_IN, ON_DISK, MISSING or UNKNOWN."""
    module: str
    """The module that brings it, or would."""

    @property
    def is_there(self) -> bool:
        """Whether nothing has to be done for it."""
        return self.state in (LOADED, BUILT_IN)


def needs(evidence: Evidence) -> list[Need]:
    """The state of each of TRACING_PARTS by the evidence; unknown where there is none."""
    return [_need(part, evidence) for part in TRACING_PARTS]


def _need(part: TracingPart, evidence: Evidence) -> Need:
    for state, names in (
        (LOADED, evidence.loaded),
        (BUILT_IN, evidence.built_in),
    ):
        module = next((name for name in part.modules if name in (names or ())), None)
        if module is not None:
            return Need(part, state, module)
    if any(evidence.options.get(option) == "y" for option in part.options):
        return Need(part, BUILT_IN, part.modules[0])
    if part.name in evidence.proven:
        # At work and no module: in a kernel that lists none it can only be built in.
        return Need(part, BUILT_IN if evidence.loaded is None else LOADED, part.modules[0])
    module = next((name for name in part.modules if name in (evidence.on_disk or ())), None)
    if module is not None:
        return Need(part, ON_DISK, module)
    return Need(part, _absence(part, evidence), part.modules[0])


def _absence(part: TracingPart, evidence: Evidence) -> str:
    """The state without proof: missing only where everything that could show it was read."""
    no_module = evidence.loaded is not None and evidence.on_disk is not None
    not_built = evidence.built_in is not None or bool(evidence.options)
    if evidence.options and not any(evidence.options.get(option) for option in part.options):
        return MISSING
    return MISSING if no_module and not_built else UNKNOWN
