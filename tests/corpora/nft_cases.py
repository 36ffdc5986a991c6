"""The rules of nftables' own tests (tests/py in its source), put into a namespace one by one."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_SET = re.compile(r"!(\S+) (type|typeof) ([^;{]+)")
_WORDS = re.compile(r" (?=timeout |flags |size |gc-interval )")
_OBJECT = re.compile(
    r"%(\S+) type (counter|quota|ct helper|ct timeout|ct expectation|limit|synproxy|secmark) ?(.*)"
)


class Case(NamedTuple):
    """One file of rules for one table."""

    name: str
    family: str
    table: str
    script: tuple[str, ...]
    """Commands of nft; some are meant to fail."""


def cases(root: Path) -> Iterator[Case]:
    """Every file of ``tests/py`` for every table that it names."""
    for path in sorted((root / "tests" / "py").glob("*/*.t")):
        lines = [line.strip() for line in path.read_text().splitlines()]
        heads = [line[1:].split(";") for line in lines if line.startswith(":")]
        declarations = {head[0]: head[1] for head in heads if len(head) > 1}
        for line in lines:
            if not line.startswith("*"):
                continue
            family, table, names = line[1:].split(";")[:3]
            chains = {name: declarations.get(name, "") for name in names.split(",")}
            script = tuple(_script(lines, f"{family} {table}", chains))
            yield Case(f"{path.parent.name}/{path.name}", family, table, script)


def load(namespace: str, case: Case) -> None:
    """Put as much of a case into an empty ruleset as the kernel takes."""
    commands = ["flush ruleset", f"add table {case.family} {case.table}", *case.script]
    subprocess.run(
        ["ip", "netns", "exec", namespace, os.environ.get("CORPORA_NFT", "nft"), "-i"],
        input="\n".join([*commands, ""]), text=True, capture_output=True, timeout=120, check=False,
    )  # fmt: skip


def _script(lines: list[str], table: str, chains: dict[str, str]) -> Iterator[str]:
    for name, declaration in chains.items():
        yield (
            f"add chain {table} {name} {{ {declaration} ; }}"
            if declaration
            else (f"add chain {table} {name}")
        )
    for line in lines:
        text = line.lstrip("- ")
        if not text or text[0] in "#*:":
            continue
        if text[0] == "!":
            yield from _set(text, table)
        elif text[0] == "?":
            name, _, elements = text[1:].partition(" ")
            yield f"add element {table} {name} {{ {elements.split(';')[0]} }}"
        elif text[0] == "%":
            yield from _object(text, table)
        else:
            rule = re.split(r";(?:ok|fail)", text)[0]
            for name in chains:
                yield f"add rule {table} {name} {rule}"


def _set(text: str, table: str) -> Iterator[str]:
    found = _SET.match(text)
    if found is not None:
        what, *more = _WORDS.split(found[3].strip())
        parts = [f"{found[2]} {what}", *more]
        kind = "map" if " : " in what else "set"
        yield f"add {kind} {table} {found[1]} {{ {'; '.join(parts)}; }}"


def _object(text: str, table: str) -> Iterator[str]:
    found = _OBJECT.match(re.split(r";(?:ok|fail)", text)[0])
    if found is not None:
        # What stands in braces has no semicolons of its own in a listing's form.
        yield f"add {found[2]} {table} {found[1]} {found[3]}".rstrip()
