"""Sets of thousands of elements in a rule itself, shortened to their first ones.

``ip saddr { 10.0.0.1, … }`` of 100,000 addresses is 1.7 MB, at every hop of that rule.
"""

from __future__ import annotations

import re

LONGEST_RULE_TEXT = 4096
"""Characters; a rule that is not longer is left as it is."""
ELEMENTS_SHOWN = 32
"""Elements that are kept of a longer set."""
_SET = re.compile(r'\{ ((?:[^{}"]|"[^"]*")*) \}')


def shortened(text: str) -> str:
    """A rule's text with at most so many elements of each set, and how many more there are."""
    return text if len(text) <= LONGEST_RULE_TEXT else _SET.sub(_first_elements, text)


def _first_elements(match: re.Match[str]) -> str:
    count = match[1].count(", ") + 1
    if count <= ELEMENTS_SHOWN:
        return match[0]
    shown = match[1].split(", ", ELEMENTS_SHOWN)[:ELEMENTS_SHOWN]
    return f"{{ {', '.join(shown)}, … {count - ELEMENTS_SHOWN:,} more }}"
