"""Checks whether a node can be traced, part by part, with remedies."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, Optional

from tracetui.model.node.needs import ON_DISK, UNKNOWN, Need
from tracetui.model.tracing.installed_rule import InstalledRule

OK, NOTE, BAD, NOT_KNOWN = "ok", "note", "bad", "unknown"
"""There; there with a catch; keeps something from working; could not be found out."""


class Check(NamedTuple):
    """One part of the answer."""

    state: str
    """OK, NOTE, BAD or NOT_KNOWN."""
    name: str
    detail: str
    remedy: str = ""
    """The command to type; empty where nothing has to be done."""
    limit: str = ""
    """The part of a trace that is missing because of it; empty where nothing is."""


NFLOG_LOGGER = "nfnetlink_log"


class NflogUse(NamedTuple):
    """Who uses nflog in a namespace."""

    groups: Optional[Collection[int]] = ()
    """The groups that a program holds; None if the kernel doesn't show them."""
    needed_by: int = 0
    """How many tracetui need nf_log bound to it."""
    is_received: bool = False
    """Whether one of them holds group 0."""
    own_loggers: Mapping[int, str] = {}
    """The kernel's own logger of each family, ``NONE`` without one."""
    refusal: str = ""
    """Why nf_log can't be bound to it; empty where it can."""
    is_log_enough: Optional[bool] = True
    """Whether the kernel log has this namespace's legacy hops; None where that can't be seen."""


class NodeFacts(NamedTuple):
    """Facts about a node; None where one could not be read."""

    is_root: bool
    commands: Mapping[str, str] = {}
    """``backend/family`` (``nft/4``) to the command's name."""
    unlisted: Sequence[str] = ()
    """Why rules that are installed here can't be listed, a sentence each."""
    backend: Optional[tuple[str, str]] = None
    """The backend that holds the node's rules, and what that rests on."""
    lock_refusal: str = ""
    """Why iptables-legacy can't take its lock; empty where it can."""
    needs: Sequence[Need] = ()
    sources: Mapping[str, Optional[str]] = {}
    """Why a source can't be opened, by its name; None where it can."""
    loggers: Mapping[int, str] = {}
    """The logger bound to each family (2, 10) of the namespace."""
    nflog: NflogUse = NflogUse()
    rules: Optional[Sequence[InstalledRule]] = None
    left_behind: Sequence[InstalledRule] = ()
    """Those of them whose tracetui is dead."""
    doubts: Sequence[str] = ()
    """Tables that could not be searched for rules, a sentence each."""


def checks(facts: NodeFacts) -> list[Check]:
    """Checks of all that tracing needs, in the order in which it is needed."""
    return [
        _rights(facts),
        _commands(facts),
        *_unlisted(facts),
        *_lock(facts),
        *_parts(facts),
        *_sources(facts),
        *_rules(facts),
    ]


def can_trace(checks_made: Sequence[Check]) -> bool:
    """Whether nothing keeps a trace from working."""
    return not any(check.state == BAD for check in checks_made)


def answer(checks_made: Sequence[Check]) -> str:
    """Whether the node can be traced, and what a trace lacks, in a sentence."""
    if not can_trace(checks_made):
        return "this node can't be traced yet"
    limits = [check.limit for check in checks_made if check.limit]
    return ", but ".join(["this node can be traced", *([" and ".join(limits)] if limits else [])])


def _rights(facts: NodeFacts) -> Check:
    if facts.is_root:
        return Check(OK, "rights", "root")
    return Check(
        NOTE,
        "rights",
        "not root: sources and rules could not be checked",
        "sudo tracetui doctor; `tracetui` itself asks sudo",
    )


def _commands(facts: NodeFacts) -> Check:
    if not facts.commands:
        return Check(BAD, "iptables", "no command found", "apt-get install iptables")
    names = ", ".join(sorted(set(facts.commands.values())))
    if facts.backend is None:
        return Check(OK, "iptables", names)
    backend, why = facts.backend
    return Check(OK, "iptables", f"{names}; rules go to {backend} ({why})")


def _unlisted(facts: NodeFacts) -> Iterator[Check]:
    for why in facts.unlisted:
        remedy, limit = "apt-get install iptables", "not every rule can be shown"
        yield Check(NOTE, "rules' text", f"{why}: those have no text", remedy, limit)


def _lock(facts: NodeFacts) -> Iterator[Check]:
    if facts.lock_refusal and any(name.startswith("legacy/") for name in facts.commands):
        is_legacy = facts.backend is not None and facts.backend[0] == "legacy"
        detail = f"can't be taken, so iptables-legacy does nothing: {facts.lock_refusal}"
        limit = "no rule can be put into legacy tables"
        yield Check(BAD if is_legacy else NOTE, "xtables lock", detail, limit=limit)


def _parts(facts: NodeFacts) -> Iterator[Check]:
    for need in facts.needs:
        detail = f"{need.state} ({need.module})"
        if need.is_there:
            yield Check(OK, need.part.name, detail)
        elif need.state == ON_DISK:
            yield Check(NOTE, need.part.name, f"not loaded: {need.part.what_for}", _load(need))
        elif need.state == UNKNOWN:
            yield Check(NOT_KNOWN, need.part.name, f"not known on this kernel ({need.module})")
        else:
            # Legacy may be missing where nft is there, and the other way round.
            yield Check(NOTE, need.part.name, f"missing: {need.part.what_for}")


def _load(need: Need) -> str:
    return f"modprobe {need.module}"


def _sources(facts: NodeFacts) -> Iterator[Check]:
    for name, why_not in facts.sources.items():
        if why_not is None:
            yield Check(OK, name, "can be opened")
        else:
            state = BAD if name == "nftrace" else NOTE
            yield Check(state, name, why_not, _other_source(facts) if name == "nflog" else "")
    if facts.loggers:
        yield _nf_log(facts)


def _other_source(facts: NodeFacts) -> str:
    """The other way to legacy hops where nflog can't be opened."""
    if facts.nflog.is_received:
        return "they come here when it ends"
    return "the kernel log is read instead (--source kmsg)"


def _nf_log(facts: NodeFacts) -> Check:
    """Whether what nf_log is bound to gets anywhere: nfnetlink_log drops what nobody takes."""
    loggers = ", ".join(
        f"IPv{4 if family == 2 else 6} {logger}" for family, logger in facts.loggers.items()
    )
    bound = [family for family, logger in facts.loggers.items() if logger == NFLOG_LOGGER]
    use = facts.nflog
    if use.refusal and not use.needed_by:
        return _unbindable(facts, loggers)
    if not bound:
        return Check(
            OK, "nf_log", f"{loggers}; bound to nflog only while a rule of ours is installed"
        )
    if use.needed_by:
        return Check(OK, "nf_log", f"{loggers}; a tracetui that is running needs it")
    if use.groups is None:
        return Check(NOT_KNOWN, "nf_log", f"{loggers}; this kernel does not show who listens")
    if 0 in use.groups:
        return Check(OK, "nf_log", f"{loggers}; a program listens to its group 0")
    if not use.groups:
        detail = f"{loggers}, but no program listens: left behind, and packets logged are lost"
        return Check(BAD, "nf_log", detail, "tracetui flush")
    detail = f"{loggers}; no program listens to group 0, where TRACE goes, but some to other groups"
    settings = [
        f"net.netfilter.nf_log.{family}={use.own_loggers.get(family, 'NONE')}" for family in bound
    ]
    remedy = f"unless the program that listens has bound it: sysctl -w {' '.join(settings)}"
    return Check(NOTE, "nf_log", detail, remedy)


def _unbindable(facts: NodeFacts, loggers: str) -> Check:
    """The check where nf_log can't be bound: the kernel log is left, if it has this namespace."""
    use, detail = facts.nflog, f"{loggers}; can't be bound to nflog: {facts.nflog.refusal}"
    if facts.sources.get("kmsg") is None and use.is_log_enough:
        limit = "legacy hops come from the kernel log only"
        return Check(NOTE, "nf_log", f"{detail}; the kernel log is read instead", limit=limit)
    is_legacy = facts.backend is not None and facts.backend[0] == "legacy"
    if use.is_log_enough is None and facts.sources.get("kmsg") is None:
        detail += "; whether the kernel log has this namespace's hops can't be seen from here"
        state, limit = NOT_KNOWN, "whether legacy hops are available is not known"
    else:
        detail += "; the kernel log does not have them either"
        state, limit = BAD if is_legacy else NOTE, "legacy hops are not available"
    remedy = "sysctl -w net.netfilter.nf_log_all_netns=1, on the node itself"
    return Check(state, "nf_log", detail, remedy, limit)


def _rules(facts: NodeFacts) -> Iterator[Check]:
    if facts.rules is None:
        return
    ours = [rule for rule in facts.rules if rule.is_ours]
    foreign = len(facts.rules) - len(ours)
    yield Check(
        NOTE if foreign else OK,
        "TRACE rules",
        f"{len(ours)} ours, {foreign} foreign",
        "`tracetui rules` lists them" if facts.rules else "",
    )
    for doubt in facts.doubts:
        yield Check(BAD, "TRACE rules", doubt)
    if facts.left_behind:
        count = len(facts.left_behind)
        yield Check(BAD, "left behind", f"{count} of a tracetui that has ended", "tracetui flush")
