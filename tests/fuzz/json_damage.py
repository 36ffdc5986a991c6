"""JSON that is whole, with values that nobody expects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from hypothesis import strategies as st
from tests.fuzz.damage import Draw

TEXTS = st.sampled_from(
    ("", "\ud800", "\0", "²", "10.0.0.1", "fe80::1%\x1b[0m", "accept", "legacy", "jump X", "\u202e")
)
NUMBERS = st.sampled_from(
    (
        0,
        -1,
        1,
        65536,
        1 << 40,
        1 << 70,
        10**4000,
        -(10**320),
        1e308,
        0.5,
        float("nan"),
        float("inf"),
    )
)
LEAVES = st.none() | st.booleans() | NUMBERS | TEXTS | st.text(max_size=8)
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
def json_texts(draw: Draw, originals: Sequence[str]) -> str:
    """One of some JSON texts in which up to three values are others, missing, or there twice."""
    value = json.loads(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from((dict, dict, dict, list)))
        holders = [one for one in _holders(value) if isinstance(one, kind)]
        if not holders:
            break
        _damage(draw, draw(st.sampled_from(holders)))
    text = json.dumps(value, separators=draw(st.sampled_from([(",", ":"), (", ", ": ")])))
    if draw(st.integers(0, 99)) == 50:
        at = draw(st.integers(0, len(text)))
        return text[:at] + DEEP + text[at:]
    return text


def _damage(draw: Draw, holder: dict | list) -> None:
    """Replace a value inside, mostly by one of its kind; or leave it out, or have it twice."""
    key = draw(st.sampled_from(list(holder) if isinstance(holder, dict) else range(len(holder))))
    path, known = draw(st.integers(0, 9)), holder[key]
    if path == 0:
        del holder[key]
    elif path == 1 and isinstance(holder, list):
        holder.insert(key, json.loads(json.dumps(known)))
    elif path < 7 and isinstance(known, str):
        holder[key] = draw(TEXTS | st.text(max_size=8))
    elif path < 7 and isinstance(known, (int, float)):
        holder[key] = draw(NUMBERS)
    else:
        holder[key] = draw(VALUES)


def _holders(value: object) -> Iterator[dict | list]:
    """Every object and list inside that has something in it."""
    if isinstance(value, (dict, list)) and value:
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _holders(inner)
