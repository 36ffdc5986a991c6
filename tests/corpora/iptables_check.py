"""The rules of iptables' own tests (extensions/*.t), loaded and read back.

Held against each other: the text that iptables-save prints, the line of ``iptables -L -n -v
--line-numbers`` at the rule's number, and on nft the handles that the kernel tells.
"""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tracetui.kernel import netns
from tracetui.kernel.nf_tables import NfTables
from tracetui.model.rules.parsed_rule import ParsedRule, parse_rule
from tracetui.model.rules.ruleset import Chain, ChainKey, Ruleset
from tracetui.parse.listings import xtables_save

from .nft_check import Wrong

_LISTED = re.compile(
    r"(\d+) +\S+ +\S+ (.{10}) (?=\S)(\S+) +(?:(\S+) +)?(\S+) +(\S+) +(!?\S+) +(!?\S+) *(.*)"
)
_FAMILIES = {"iptables": "ip", "ip6tables": "ip6"}


class Case(NamedTuple):
    """One extension's rules for one tool."""

    name: str
    tool: str
    table: str
    chain: str
    rules: tuple[str, ...]


def cases(root: Path) -> Iterator[Case]:
    """Every file of ``extensions`` for every tool that has the extension, and each chain."""
    for path in sorted((root / "extensions").glob("lib*.t")):
        prefix = path.name.split("_")[0]
        tools = {"libipt": ["iptables"], "libip6t": ["ip6tables"], "libxt": [*_FAMILIES]}
        for tool in tools.get(prefix, []):
            yield from _of_file(path, tool)


def load(namespace: str, case: Case, backend: str) -> int:
    """Append each rule to the emptied chain; how many the tool took."""
    tool = f"{case.tool}-{backend}"
    for what in (["-F"], ["-X"]):
        _run(namespace, tool, "-t", case.table, *what)
    # Many rules name a chain of their own.
    _run(namespace, tool, "-t", case.table, "-N", "alpha")
    return sum(
        _run(namespace, "sh", "-c", f"{tool} -t {case.table} -A {case.chain} {rule}") is not None
        for rule in case.rules
    )


def check(namespace: str, case: Case, backend: str, counts: Counter[str]) -> Iterator[Wrong]:
    """Compare what is read of the chain with what the tools print of it; counts rules."""
    tool = f"{case.tool}-{backend}"
    saved = _run(namespace, f"{tool}-save", "-t", case.table) or ""
    ruleset = Ruleset()
    for _ in xtables_save.parse(saved.split("\n"), _FAMILIES[case.tool], ruleset):
        pass
    key = ChainKey(_FAMILIES[case.tool], case.table, case.chain)
    chain = ruleset.chains.get(key)
    if chain is None:
        yield Wrong("chain", case.name, None, saved[-200:])
        return
    counts["rules"] += len(chain.rules)
    lines = [line for line in saved.split("\n") if line.startswith(f"-A {case.chain} ")]
    if [rule.text for rule in chain.rules] != [line.rstrip() for line in lines]:
        yield Wrong("text", case.name, [rule.text for rule in chain.rules], lines)
    listed = _run(namespace, tool, "-t", case.table, "-n", "-v", "--line-numbers", "-L", case.chain)
    yield from _check_parsed_rule(case, chain, (listed or "").split("\n")[2:])
    if backend == "nft":
        places = netns.call_inside(netns.resolve(namespace), lambda: NfTables().outline())
        handles = next((len(one.handles) for one in places.chains if one[:3] == key), 0)
        if handles != len(chain.rules):
            yield Wrong("handles and places", case.name, len(chain.rules), handles)


def _of_file(path: Path, tool: str) -> Iterator[Case]:
    chains, table, rules = ["INPUT"], "filter", []
    for raw in path.read_text().splitlines():
        line = raw.strip()
        if line.startswith(":"):
            chains = line[1:].split(",")
        elif line.startswith("*"):
            table = line[1:]
        elif line and not line.startswith(("#", "@", "%")) and ";" in line:
            rules.append(line.split(";")[0])
    chain = next((one for one in chains if one.isupper()), "INPUT")
    yield Case(path.name, tool, table, chain, tuple(rules))


def _check_parsed_rule(case: Case, chain: Chain, lines: list[str]) -> Iterator[Wrong]:
    """A rule's target and tests, held against the columns of its line."""
    for number, rule in enumerate(chain.rules, start=1):
        line = next((one for one in lines if one.split(None, 1)[:1] == [str(number)]), "")
        words = line.split()[3:]
        said = parse_rule(rule.text or "")
        # The column of the target is empty for a rule that only counts.
        target = said.target or ""
        if target:
            # iptables lists -j CT --notrack by its older name.
            if not words or words[0] != {"NOTRACK": "CT"}.get(target, target):
                yield Wrong("target", case.name, target, line)
                continue
            words = words[1:]
        yield from _check_columns(case, said, rule.text or "", words, line)


def _check_columns(
    case: Case, said: ParsedRule, text: str, words: list[str], line: str
) -> Iterator[Wrong]:
    tests = {test.flag: test for test in said.tests}
    rest = words[2:] if len(words) > 2 and words[1] in ("--", "-f", "!f") else words[1:]
    for flag, shown in zip(("-i", "-o", "-s", "-d"), rest):
        test = tests.get(flag)
        value = "" if test is None else f"{'!' if test.inverted else ''}{test.value}"
        plain = shown.removesuffix("/32").removesuffix("/128")
        is_any = plain in ("*", "+", "0.0.0.0/0", "::/0", "any")
        if value.removesuffix("/32").removesuffix("/128") != ("" if is_any else plain):
            yield Wrong(f"test {flag}", case.name, value, (text, line))


def _run(namespace: str, *words: str) -> str | None:
    done = subprocess.run(
        ["ip", "netns", "exec", namespace, *words],
        text=True, errors="replace", capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    return None if done.returncode else done.stdout
