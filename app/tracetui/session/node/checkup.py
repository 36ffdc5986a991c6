"""The answer of ``tracetui doctor`` as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tracetui.model.node.checkup import BAD, NOT_KNOWN, NOTE, OK, Check, answer, can_trace
from tracetui.session.text.sanitize import sanitize, sanitize_json

_CHECK_MARKS = {OK: "✓", NOTE: "○", BAD: "✗", NOT_KNOWN: "?"}


def text(results: Sequence[Check]) -> str:
    """A line for each check, what to do below it, and the answer at the end."""
    lines = []
    for check in results:
        lines.append(f"{_CHECK_MARKS[check.state]} {check.name:<15} {check.detail}")
        if check.remedy:
            lines.append(f"{'':17} → {check.remedy}")
    return "\n".join(map(sanitize, [*lines, "", answer(results)]))


def as_json(results: Sequence[Check]) -> str:
    """``ok``, and the checks with name, state, detail, remedy and limit, as one JSON object."""
    empty = {"remedy": None, "limit": None}
    checks = [
        {name: value or empty.get(name, value) for name, value in check._asdict().items()}
        for check in results
    ]
    return sanitize_json(json.dumps({"ok": can_trace(results), "checks": checks}))
