"""The text in place of packets while there are none: the likely cause, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tracetui.model.node.diagnosis import Finding, SilentTrace, silence
from tracetui.model.node.needs import Need
from tracetui.session.state.session import Session


def empty_text(session: Session, needs: Sequence[Need], now: float) -> str:
    """Say why a session has no packet to show; ``now`` is seconds since the epoch.

    Keys are given as command names in braces.
    """
    status = session.status
    if status.why_not:
        cause = "\n".join(_lines(status.silence))
        return f"{cause}\n\n{status.why_not}" if cause else status.why_not
    if status.guard.tripped:
        hint = "{main.guard} shows the busiest flows, and narrower rules to add"
        return f"The guard removed our rules\n\n{hint}"
    ours = [rule for rule in session.rules if rule.mine]
    if not ours:
        return "No TRACE rule yet\n\nPress {main.add-rule} to add one, {main.keys} for all keys"
    situation = SilentTrace(
        rules=ours,
        now=now,
        sources={source.name: (source.state, source.detail) for source in status.sources},
        hops=status.hops,
        netns=status.netns,
        needs=needs,
    )
    findings = silence(situation)
    return "\n".join(_lines(findings)) or "Waiting for packets that match the rule"


def _lines(findings: Iterable[Finding]) -> Iterable[str]:
    for index, finding in enumerate(findings):
        # The first says what is; the others are what it can be due to.
        yield (
            f"{finding.cause[:1].upper()}{finding.cause[1:]}" if not index else f"· {finding.cause}"
        )
        if finding.remedy:
            yield f"  {finding.remedy}" if index else finding.remedy
        yield ""
