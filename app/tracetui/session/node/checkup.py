"""The answer of ``tracetui doctor`` as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tracetui.model.node.checkup import BAD, NOT_KNOWN, NOTE, OK, Check, answer, can_trace
from tracetui.session.text.sanitize import inert, inert_json

_MARKS = {OK: "✓", NOTE: "○", BAD: "✗", NOT_KNOWN: "?"}


def text(found: Sequence[Check]) -> str:
    """A line for each check, what to do below it, and the answer at the end."""
    lines = []
    for check in found:
        lines.append(f"{_MARKS[check.state]} {check.name:<15} {check.detail}")
        if check.remedy:
            lines.append(f"{'':17} → {check.remedy}")
    return "\n".join(map(inert, [*lines, "", answer(found)]))


def as_json(found: Sequence[Check]) -> str:
    """``ok``, and the checks with name, state, detail, remedy and limit, as one JSON object."""
    empty = {"remedy": None, "limit": None}
    checks = [
        {name: value or empty.get(name, value) for name, value in check._asdict().items()}
        for check in found
    ]
    return inert_json(json.dumps({"ok": can_trace(found), "checks": checks}))
