"""JSON that is whole, with values that nobody expects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from hypothesis import strategies as st

LEAVES = (
    st.none()
    | st.booleans()
    | st.sampled_from((0, -1, 1, 1 << 40, 1 << 70, 10**4000, -(10**320), 1e308, 0.5))
    | st.sampled_from((float("nan"), float("inf")))
    | st.sampled_from(("", "\0", "²", "10.0.0.1", "fe80::1%\x1b[0m", "accept", "legacy"))
    | st.text(max_size=8)
    | st.just("\ud800")
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(("set", "payload", "key", "text", "id", "")), inner)
    ),
    max_leaves=6,
) | st.builds(lambda: json.loads("[" * 300 + "]" * 300))
DEEP = "[" * 50_000
"""Deeper than Python reads."""


@st.composite
def json_texts(draw: object, originals: Sequence[str]) -> str:
    """One of some JSON texts in which up to three values are others, missing, or there twice."""
    value = json.loads(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 3))):
        holders = list(_holders(value))
        if not holders:
            break
        holder = draw(st.sampled_from(holders))
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        key, way = draw(st.sampled_from(keys)), draw(st.integers(0, 5))
        if way == 0:
            del holder[key]
        elif way == 1 and isinstance(holder, list):
            holder.insert(key, json.loads(json.dumps(holder[key])))
        else:
            holder[key] = draw(VALUES)
    text = json.dumps(value, separators=draw(st.sampled_from([(",", ":"), (", ", ": ")])))
    if draw(st.integers(0, 40)) == 0:
        at = draw(st.integers(0, len(text)))
        return text[:at] + DEEP + text[at:]
    return text


def _holders(value: object) -> Iterator[dict | list]:
    """Every object and list inside that has something in it."""
    if isinstance(value, (dict, list)) and value:
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _holders(inner)
