"""The likely cause of a replay without a packet, from the log or from the recorded trace."""

from __future__ import annotations

from typing import Any, Optional

from tracetui.model.node.diagnosis import Finding, RecordedTrace, recorded_silence, silent_log
from tracetui.parse import json_text


class Silence:
    """Collects the evidence while lines are read."""

    def __init__(self) -> None:
        self._trace: Optional[RecordedTrace] = None

    def take(self, line: str) -> None:
        """Note a line of a recording; raises ValueError for a damaged one."""
        head = line[:40]
        if '"hello"' in head:
            self._begin(json_text.read(line))
        elif '"rules"' in head:
            self._add_rules(json_text.read(line))

    def findings(self, skipped: int, lost: int) -> tuple[Finding, ...]:
        """The likely causes, where so many lines gave nothing and so many hops are missing."""
        if self._trace is not None:
            return tuple(recorded_silence(self._trace, lost))
        return tuple(silent_log(skipped))

    def _begin(self, hello: Any) -> None:
        sources, netns = hello.get("sources"), hello.get("netns")
        self._trace = RecordedTrace(
            tuple(map(str, sources)) if isinstance(sources, list) else (),
            netns if isinstance(netns, str) else None,
            self._trace.rules if self._trace is not None else (),
        )

    def _add_rules(self, record: Any) -> None:
        rules = record.get("rules")
        if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
            raise ValueError("no rules of ours")
        trace = self._trace or RecordedTrace()
        own_rules = [(str(r.get("backend")), str(r.get("chain"))) for r in rules if r.get("ours")]
        # The rules are written again with each change; what stood once is what counts.
        self._trace = trace._replace(rules=tuple(dict.fromkeys((*trace.rules, *own_rules))))
