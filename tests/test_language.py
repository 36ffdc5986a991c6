"""The language of the code: one name for one thing, and docstrings that name what they describe."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
APP = sorted((ROOT / "app").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
CONSTANT = re.compile(r"_?[A-Z]\w*")
"""Constants, and type aliases, which are in CamelCase."""
EMPTY_BEGINNING = re.compile(r"(?:What|The same|They|Whether it is none)\b|It ")
DOCUMENT = re.compile(r"\b(?:DESIGN|FORMATS|FRONTIER|HOUSE|PEERS|PERF|UX)\b|[\w./-]*\w\.md\b")


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def place(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def classes(node: ast.AST, outer: str = "") -> Iterator[tuple[str, int]]:
    """Qualified names of classes, with their lines; Textual's messages are nested by its idiom."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield f"{outer}{child.name}", child.lineno
            yield from classes(child, f"{outer}{child.name}.")
        else:
            yield from classes(child, outer)


def constants(block: ast.AST) -> Iterator[tuple[str, int]]:
    """Constants and type aliases of a module, with their lines; those of functions are theirs."""
    for statement in (*getattr(block, "body", ()), *getattr(block, "orelse", ())):
        if isinstance(statement, (ast.If, ast.Try)):
            yield from constants(statement)
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for name in (name for target in targets for name in ast.walk(target)):
                is_new = isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
                if is_new and CONSTANT.fullmatch(name.id):
                    yield name.id, name.lineno


def docstrings(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Docstrings of modules, classes, functions and attributes, with their lines."""
    for node in ast.walk(tree):
        constant = node.value if isinstance(node, ast.Expr) else None
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str):
            yield constant.value, constant.lineno


def prose(path: Path) -> Iterator[tuple[str, int]]:
    """Docstrings and comments of a module, with their lines."""
    yield from docstrings(parsed(path))
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type == tokenize.COMMENT:
            yield token.string, token.start[0]


def twice(places: Mapping[str, list[str]]) -> list[str]:
    return [f"{name}: {', '.join(found)}" for name, found in sorted(places.items()) if found[1:]]


@pytest.mark.parametrize("named", [classes, constants])
def test_no_name_is_given_twice(named):
    places = defaultdict(list)
    for path in APP:
        for name, line in dict(named(parsed(path))).items():
            places[name].append(place(path, line))
    offenders = twice(places)
    assert not offenders, "\n".join(["", *offenders])


def test_docstrings_begin_with_a_verb_or_a_noun():
    offenders = [
        f"{place(path, line)}: {text.splitlines()[0]}"
        for path in APP
        for text, line in docstrings(parsed(path))
        if EMPTY_BEGINNING.match(text)
    ]
    assert not offenders, "\n".join(["", *offenders])


def test_documents_that_are_referred_to_are_in_the_repository():
    offenders = [
        f"{place(path, line)}: {document}"
        for path in (*APP, *TESTS)
        for text, line in prose(path)
        for document in DOCUMENT.findall(text)
        if document not in names(path) and not is_in_repository(document)
    ]
    assert not offenders, "\n".join(["", *offenders])


def names(path: Path) -> set[str]:
    """Constants of a module, its own and imported ones, which its docstrings name too."""
    imports = (node for node in ast.walk(parsed(path)) if isinstance(node, ast.ImportFrom))
    imported = {alias.asname or alias.name for node in imports for alias in node.names}
    return imported | {name for name, _ in constants(parsed(path))}


def is_in_repository(document: str) -> bool:
    rooms = (ROOT, ROOT / ".github", ROOT / "docs", ROOT / "findings")
    return any((room / document).is_file() for room in rooms)
