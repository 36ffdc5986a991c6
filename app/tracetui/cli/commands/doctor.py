"""``tracetui doctor``: what this node can trace, what is missing, and what to type."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, Optional

from tracetui.cli.terminal.terminal import say
from tracetui.collector.process import owner
from tracetui.collector.rules.backend_choice import choose_backend
from tracetui.collector.rules.trace_rules import TraceRules, tag_of
from tracetui.collector.sources.legacy_source import ANOTHER
from tracetui.collector.sources.nf_log_binding import NfLogBinding
from tracetui.collector.sources.nf_log_claims import Claims
from tracetui.errors import Failure
from tracetui.kernel import netns, nf_log, privileges, xtables_lock
from tracetui.kernel.kmsg import KernelLog
from tracetui.kernel.module_files import ModuleFiles
from tracetui.kernel.netlink import NfLog, NftTrace
from tracetui.kernel.xtables import Xtables
from tracetui.model.node.checkup import NflogUse, NodeFacts, can_trace, checks
from tracetui.session.node import checkup
from tracetui.session.node.module_reader import ModuleReader

_SOURCES: dict[str, Callable[[], Any]] = {"nftrace": NftTrace, "nflog": NfLog, "kmsg": KernelLog}


def run(options: argparse.Namespace) -> int:
    """Look at the node and print what was found; 1 if it can't be traced."""
    is_root = privileges.may_trace()
    # Only the initial namespace has the setting, and this process may leave it now.
    has_every_namespace = nf_log.has_every_namespace()
    if options.netns and is_root:
        netns.enter(netns.resolve(options.netns))
    results = checks(_facts(is_root, has_every_namespace))
    print(checkup.as_json(results) if options.json else checkup.text(results))
    return 0 if can_trace(results) else 1


def _facts(is_root: bool, has_every_namespace: Optional[bool]) -> NodeFacts:
    needs = ModuleReader(ModuleFiles()).read().needs
    xtables = Xtables()
    commands = {f"{b}/{f}": command.name for (b, f), command in xtables.commands.items()}
    if not is_root:
        return NodeFacts(is_root, commands, needs=needs)
    rules_of_node = TraceRules(tag_of(owner.unattended()), say, xtables)
    listing = rules_of_node.listing()
    rules = listing.rules
    dead = [rule for rule in rules if rule.owner is not None and owner.is_dead(rule.owner)]
    sources = {name: _why_not(opened) for name, opened in _SOURCES.items()}
    nflog_use = _nflog_use()
    is_log_enough = True if nf_log.has_every_namespace() is not None else has_every_namespace
    if sources["nflog"] is not None and nflog_use.is_received:
        sources["nflog"] = ANOTHER
    return NodeFacts(
        is_root,
        commands,
        unlisted=[why for family in (4, 6) if (why := xtables.lack("legacy", family))],
        backend=choose_backend(rules_of_node.counts(), xtables.backends) if commands else None,
        lock_refusal=xtables_lock.why_not(),
        needs=needs,
        sources=sources,
        loggers={
            f: logger for f in nf_log.SYSCTL_FAMILIES if (logger := nf_log.read(f)) is not None
        },
        nflog=nflog_use._replace(is_log_enough=is_log_enough),
        rules=rules,
        doubts=listing.doubts,
        left_behind=dead,
    )


def _nflog_use() -> NflogUse:
    """The programs that receive nflog in this namespace, besides this process."""
    claims, groups = Claims().others(), nf_log.holders()
    own = {family: nf_log.own_logger(family) for family in nf_log.SYSCTL_FAMILIES}
    is_received = any(claim.receives for claim in claims)
    refusal = NfLogBinding("").why_not()
    return NflogUse(groups, len(claims), is_received, own, refusal)


def _why_not(opened: Callable[[], Any]) -> Optional[str]:
    """Why a source can't be opened; it is closed again at once."""
    try:
        opened().close()
    except Failure as error:
        return str(error)
    return None
