"""A rule's text is cut into words as it was meant, whatever names and comments hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracetui.model.rules import rule_words, saved_lines
from tracetui.model.rules.parsed_rule import parse_rule
from tracetui.model.rules.ruleset import Ruleset
from tracetui.parse.listings import xtables_save

NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\t\n\v\f\r "), min_size=1, max_size=28
).filter(lambda name: name[0] not in "-!")
COMMENTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=60)
TRICKY = st.text("a\"\\' -j\n", min_size=1, max_size=20)


def printed(chain: str, comment: str, target: str) -> str:
    """A rule as iptables-save prints it (libxtables, xtables_save_string)."""
    plain = all(one.isascii() and (one.isalnum() or one in "_-") for one in comment)
    escaped = "".join(f"\\{one}" if one in "\"\\'" else one for one in comment)
    text = comment if plain else f'"{escaped}"'
    return f"-A {chain} -m comment --comment {text} -j {target}"


@given(NAMES, COMMENTS | TRICKY, NAMES)
def test_a_rule_means_what_it_was_printed_from(chain, comment, target):
    text = printed(chain, comment, target)
    assert rule_words.iptables_words(text)[1] == chain
    assert list(saved_lines.whole_lines(text.split("\n")))[-1] == text
    said = parse_rule(text)
    assert (said.target, said.comment) == (target, comment)


@given(st.lists(st.tuples(NAMES, COMMENTS | TRICKY), min_size=1, max_size=6))
def test_every_rule_of_a_listing_is_read_by_itself(rules):
    chains = dict.fromkeys(name for name, _ in rules)
    heads = "".join(f":{name} - [0:0]\n" for name in chains)
    body = "".join(printed(name, comment, name) + "\n" for name, comment in rules)
    ruleset = Ruleset()
    text = f"*filter\n{heads}{body}COMMIT\n"
    for _ in xtables_save.parse(text.split("\n"), "ip", ruleset):
        pass
    found = {key.name: chain for key, chain in ruleset.chains.items()}
    assert list(found) == list(chains)
    for name in chains:
        read = [parse_rule(rule.text).comment for rule in found[name].rules]
        assert read == [comment for one, comment in rules if one == name]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('-A a"b -i "x -j a\'b\\c', ["-A", 'a"b', "-i", '"x', "-j", "a'b\\c"]),
        (
            '--comment "a \\"b\\" \\\\ \\\' \\xff" -j X',
            ["--comment", 'a "b" \\ \' \\xff', "-j", "X"],
        ),
        ('-A X --comment "two\nlines" -j Y', ["-A", "X", "--comment", "two\nlines", "-j", "Y"]),
        ("-A a\xa0b -j c\u2028d", ["-A", "a\xa0b", "-j", "c\u2028d"]),
    ],
)
def test_words_of_iptables(text, words):
    assert rule_words.iptables_words(text) == words


def test_words_of_nft_know_no_escape():
    text = 'iifname "a b" jump a"b comment "ends in \\"'
    words = [word.text for word in rule_words.nft_words(text)]
    assert words == ["iifname", "a b", "jump", 'a"b', "comment", "ends in \\"]
    said = parse_rule('ip saddr 10.0.0.1 comment "drop it" accept')
    assert (said.target, said.comment) == ("ACCEPT", "drop it")


@pytest.mark.parametrize(
    ("first", "goes_on"),
    [
        ('-A X -m comment --comment "a', True),
        ('-A a"b -m comment --comment "c', True),
        ('-A X -m comment --comment "a" -j "b', False),
        ('-A X -m physdev --physdev-in "b', False),
    ],
)
def test_a_line_goes_on_where_a_quotation_does_not_end(first, goes_on):
    lines = [line for line in saved_lines.whole_lines([first, 'd"', "COMMIT"]) if line]
    assert lines == ([f'{first}\nd"', "COMMIT"] if goes_on else [first, 'd"', "COMMIT"])


def test_a_quotation_whose_end_is_in_a_word_is_none():
    lost = '-A X -m comment --comment "lost'
    lines = [lost, "-A X", '-A X -m comment --comment "two', 'lines"']
    assert [line for line in saved_lines.whole_lines(lines) if line] == [
        *lines[:2],
        "\n".join(lines[2:]),
    ]


@given(st.text(alphabet='-Aj "\\a\n', max_size=200))
def test_whatever_the_text_nothing_is_raised(text):
    list(saved_lines.whole_lines(text.split("\n")))
    rule_words.nft_words(text)
    parse_rule(f"-A {text}")
