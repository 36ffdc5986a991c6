"""Text that nobody vouches for, as it may be shown and as it is written."""

from __future__ import annotations

import json
import unicodedata
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tracetui.session.text.sanitize import (
    COMBINING_MARKS,
    REPLACEMENT,
    is_mark,
    is_plain,
    sanitize,
    sanitize_json,
)
from tracetui.session.text.width import cells_of, fitted, padded, shown, tail, wrapped

ANY_TEXT = st.text(st.characters(), max_size=60) | st.text(
    "a宽\u0301\u1161\x1b\x9b\u202e\ud800 \n", max_size=60
)


@cache
def let_through() -> frozenset[str]:
    """Every character that comes through as it is."""
    return frozenset(sanitize("".join(map(chr, range(0x110000)))))


def test_nothing_inert_is_a_control_a_direction_a_blank_or_half_a_character():
    left = let_through()
    assert {unicodedata.category(one) for one in left}.isdisjoint(
        ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    )
    assert [one for one in left if unicodedata.category(one) == "Zs"] == [" "]


def test_what_looks_plain_at_once_is_so_looked_at_closely():
    plain = [one for one in map(chr, range(0x110000)) if is_plain(one)]
    assert "a" in plain
    assert "→" in plain
    assert all(one in let_through() and cell_len(one) == 1 for one in plain)
    assert not any(is_mark(one) for one in plain)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b]52;c;QQ==\x07", f"{REPLACEMENT}]52;c;QQ=={REPLACEMENT}"),
        ("a\x9b2Jb", f"a{REPLACEMENT}2Jb"),
        ("del\x7f\x08", f"del{REPLACEMENT * 2}"),
        ("\u202egnp\u202c", f"{REPLACEMENT}gnp{REPLACEMENT}"),
        ("zero\u200bwidth\ufeff", f"zero{REPLACEMENT}width{REPLACEMENT}"),
        ("two\nlines\u2028more", f"two{REPLACEMENT}lines{REPLACEMENT}more"),
        ("looks\xa0like\u3000a\u3164blank", "looks�like�a�blank"),
        ("half \ud800", f"half {REPLACEMENT}"),
        ("flag \U0001f1e9\U0001f1ea wave \U0001f44b\U0001f3fd", "flag �� wave 👋�"),
    ],
)
def test_what_is_not_plainly_visible_is_replaced(text, expected):
    assert sanitize(text) == expected


@pytest.mark.parametrize("text", ["plain", "é → ü", "宽 한 ไทย", "हिन्दी", "e\u0301", "[bold]x[/]"])
def test_writing_stays_as_it_is(text):
    assert sanitize(text) == text


def test_marks_are_not_piled_up_over_the_lines_around():
    assert sanitize("z" + "\u0336" * 40 + "y") == f"z{chr(0x336) * COMBINING_MARKS}{REPLACEMENT}y"
    assert sanitize("\u0336first") == f"{REPLACEMENT}first"


@given(ANY_TEXT)
def test_json_is_written_inert_and_read_back_as_it_was(text):
    written = sanitize_json(json.dumps({text: [text]}, ensure_ascii=False))
    assert written.isprintable()
    assert json.loads(written) == {text: [text]}
    written.encode()


def test_json_keeps_every_letter_readable():
    assert sanitize_json('{"é": "宽 →"}') == '{"é": "宽 →"}'
    assert sanitize_json('"\x7f\x9b\u202e\ud800\U000e0001"') == (
        r'"\u007f\u009b\u202e\ud800\udb40\udc01"'
    )


def test_cells_are_counted_as_the_screen_counts_them():
    """Symbols are left out: newer tables than this Python's make some of them wider."""
    letters = {one for one in let_through() if unicodedata.category(one)[0] in "LMNP"}
    different = [one for one in letters if cells_of(f"a{one}") != cell_len(f"a{one}")]
    assert [one for one in different if unicodedata.category(one) != "No"] == []


@given(ANY_TEXT, st.integers(0, 40))
def test_what_is_shown_takes_no_more_cells_than_it_is_given(text, cells):
    assert cells_of(shown(text, cells)) <= cells
    assert cells_of(padded(sanitize(text), cells)) == cells
    assert cells_of(tail(sanitize(text), cells)) <= cells
    lines = wrapped(text, cells, 3)
    assert len(lines) <= 3
    assert all(cells_of(line) <= cells or len(line) == 1 for line in lines)


@given(ANY_TEXT)
def test_what_fits_is_shown_whole(text):
    plain = sanitize(text)
    assert fitted(plain, cells_of(plain)) == plain
    assert shown(text, 1000) == plain


@pytest.mark.parametrize("text", ["x" * 41, "宽" * 21, "z" + "\u0336" * 400, "x" * 10_000_000])
def test_what_was_cut_says_so(text):
    assert shown(text, 40).endswith("…")
    assert wrapped(text, 10, 2)[-1].endswith("…")


def test_lines_are_broken_at_blanks_where_there_are_any():
    assert wrapped("-A FORWARD -j DROP", 11, 3) == ["-A FORWARD", "-j DROP"]
    assert wrapped("abcdefghij", 4, 3) == ["abcd", "efgh", "ij"]
    assert wrapped("宽宽宽 x", 5, 9) == ["宽宽", "宽 x"]
    assert wrapped("", 5, 9) == []
