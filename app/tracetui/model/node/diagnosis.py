"""Causes of a trace that shows nothing, by the rules' counters and the sources, with remedies."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, Optional

from tracetui.model.node.needs import MISSING, ON_DISK, Need
from tracetui.model.tracing.installed_rule import InstalledRule


class Finding(NamedTuple):
    """One likely cause."""

    cause: str
    remedy: str
    """The thing to do or to type; empty where there is none."""


_OTHER_NAMESPACES = Finding(
    "the kernel log has hops of other namespaces only if the node allows it",
    "sysctl net.netfilter.nf_log_all_netns=1",
)


class RecordedTrace(NamedTuple):
    """The sources and rules of the trace that a recording was made of."""

    sources: Sequence[str] = ()
    """Those that were open or could be: nftrace, nflog, kmsg."""
    netns: Optional[str] = None
    rules: Sequence[tuple[str, str]] = ()
    """Backend and chain of each of its TRACE rules."""


class SilentTrace(NamedTuple):
    """The state of a trace that shows nothing."""

    rules: Sequence[InstalledRule]
    """The TRACE rules of this trace."""
    now: float
    """Seconds since the epoch."""
    sources: Mapping[str, tuple[str, str]] = {}
    """State and detail by source: nftrace, nflog, kmsg."""
    hops: int = 0
    """Hops that reached us."""
    netns: Optional[str] = None
    needs: Sequence[Need] = ()


def silence(situation: SilentTrace) -> list[Finding]:
    """Causes of a trace without a packet, the likeliest first; empty if none is known."""
    installed = [rule for rule in situation.rules if not _is_over(rule, situation.now)]
    findings: list[Finding] = []
    if situation.rules and not installed:
        return [
            Finding(
                "the rule has expired",
                "{main.add-rule} adds another; {main.extend} puts off the end of one",
            )
        ]
    matched = [rule for rule in installed if rule.packets]
    if installed and not matched:
        findings += _unmatched(installed, situation)
    elif matched and not situation.hops:
        findings += _unheard(matched, situation)
    return [*findings, *_lacking(situation.needs, installed)]


def recorded_silence(trace: RecordedTrace, lost: int) -> list[Finding]:
    """Why a recording has no packet, the likeliest last; ``lost`` are hops that are missing."""
    findings = [Finding("no packet was recorded: none matched, or no hop came", "")]
    if not trace.rules:
        return [*findings, Finding("no TRACE rule was installed while it was recorded", "")]
    if lost:
        findings.append(Finding(f"{lost:,} hops were lost while it was recorded", ""))
    backends = {backend for backend, _ in trace.rules}
    if backends == {"legacy"} and not {"nflog", "kmsg"} & {*trace.sources}:
        findings.append(Finding("neither nflog nor the kernel log could be read", ""))
    if "kmsg" in trace.sources and "nflog" not in trace.sources and trace.netns is not None:
        findings.append(_OTHER_NAMESPACES)
    return [*findings, *_blind_spots({chain for _, chain in trace.rules}, trace.netns)]


def silent_log(lines: int) -> list[Finding]:
    """Causes of a log without a hop; ``lines`` are those that are not empty."""
    if not lines:
        return [Finding("there is nothing in it", "")]
    count = "1 line, and it is not a" if lines == 1 else f"{lines:,} lines, and none is a"
    return [
        Finding(f"{count} TRACE record", "`tracetui replay --verbose` says which"),
        Finding(
            "rules of iptables-nft and nft leave no hop in the kernel log",
            "`xtables-monitor --trace` and `nft monitor trace` print them",
        ),
        _OTHER_NAMESPACES,
    ]


def _is_over(rule: InstalledRule, now: float) -> bool:
    return rule.expires is not None and rule.expires <= now


def _unmatched(rules: Sequence[InstalledRule], situation: SilentTrace) -> Iterator[Finding]:
    yield Finding("no packet has matched the rule yet", "its counter in the TRACE rules stays at 0")
    later_rule = next((rule for rule in rules if rule.position > 1), None)
    if later_rule is not None:
        count = later_rule.position - 1
        yield Finding(
            f"{count} rule{'s' if count > 1 else ''} come before it in {later_rule.chain} "
            "and may keep packets from it",
            "{rules.delete} deletes it, and {main.add-rule} puts another one first",
        )
    yield from _blind_spots({rule.chain for rule in rules}, situation.netns)


def _blind_spots(chains: Collection[str], netns: Optional[str]) -> Iterator[Finding]:
    """Traffic that rules of these chains don't see."""
    if chains == {"PREROUTING"}:
        yield Finding(
            "PREROUTING sees what comes in over an interface",
            "what this node sends itself is matched with --chain OUTPUT",
        )
    elif chains == {"OUTPUT"}:
        yield Finding(
            "OUTPUT sees what this node itself sends",
            "what it forwards, a pod's traffic, is matched with --chain PREROUTING",
        )
    where = netns or "this node's own namespace"
    yield Finding(
        f"only {where} is traced",
        "traffic within a container: --netns NAME, PATH or PID",
    )


def _unheard(rules: Sequence[InstalledRule], situation: SilentTrace) -> Iterator[Finding]:
    packets = sum(rule.packets for rule in rules)
    yield Finding(
        f"the rule matched {packets:,} packet{'s' if packets > 1 else ''}, but no hop reached us",
        "",
    )
    needed = {"nft": ("nftrace",), "legacy": ("nflog", "kmsg")}
    for backend in sorted({rule.backend for rule in rules}):
        states = {
            name: situation.sources[name] for name in needed[backend] if name in situation.sources
        }
        if any(state == "on" for state, _ in states.values()):
            continue
        for name, (state, detail) in states.items():
            yield Finding(
                f"{name} is {state}{f': {detail}' if detail else ''}", _remedy(name, detail)
            )
    if "kmsg" in situation.sources and situation.netns is not None:
        yield _OTHER_NAMESPACES


def _remedy(source: str, detail: str) -> str:
    if source == "nflog" and "taken" in detail:
        return "stop what owns nflog group 0 (ulogd?), or start with --source kmsg"
    if "CAP_" in detail or "root" in detail:
        return "start as root"
    return "`tracetui doctor` shows what is missing"


def _lacking(needs: Sequence[Need], rules: Sequence[InstalledRule]) -> Iterator[Finding]:
    """Parts that are missing and that one of the rules needs."""
    backends = {rule.backend for rule in rules}
    for need in needs:
        is_of = "legacy" if need.part.name in ("ip_tables", "TRACE target", "nflog") else None
        if need.state in (MISSING, ON_DISK) and (is_of is None or is_of in backends):
            remedy = f"modprobe {need.module}" if need.state == ON_DISK else ""
            yield Finding(f"{need.part.name} is missing: {need.part.what_for}", remedy)
