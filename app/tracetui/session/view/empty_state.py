"""What stands in the place of packets while there are none: the likely cause, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tracetui.model.node.diagnosis import Finding, SilentTrace, silence
from tracetui.model.node.needs import Need
from tracetui.session.state.session import Session


def empty_text(session: Session, needs: Sequence[Need], now: float) -> str:
    """Why a session has no packet to show; ``now`` is seconds since the epoch.

    Keys are told by the names of what they do, in braces.
    """
    status = session.status
    if status.why_not:
        said = "\n".join(_lines(status.silence))
        return f"{said}\n\n{status.why_not}" if said else status.why_not
    if status.guard.tripped:
        what_now = "{main.guard} shows what flooded, and narrower rules to add"
        return f"The guard removed our rules\n\n{what_now}"
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
    found = silence(situation)
    return "\n".join(_lines(found)) or "Waiting for packets that match the rule"


def _lines(findings: Iterable[Finding]) -> Iterable[str]:
    for at, finding in enumerate(findings):
        # The first says what is; the others are what it can be due to.
        yield f"{finding.cause[:1].upper()}{finding.cause[1:]}" if not at else f"· {finding.cause}"
        if finding.remedy:
            yield f"  {finding.remedy}" if at else finding.remedy
        yield ""
