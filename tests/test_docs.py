"""What the documents point at is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "app/tracetui"
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BASENAMES = {path.name for folder in ("app", "tests") for path in (ROOT / folder).rglob("*.py")}


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as Markdown viewers make them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links() -> list[tuple[str, str]]:
    return [
        (str(document.relative_to(ROOT)), link)
        for document in DOCUMENTS
        for link in re.findall(r"\]\(([^)]+)\)", document.read_text())
        if not link.startswith("http")
    ]


def files() -> list[tuple[str, str]]:
    return [
        (str(document.relative_to(ROOT)), file)
        for document in DOCUMENTS
        for file in re.findall(r"(?<![\w.*-])([\w./-]+\.(?:py|sh))\b", document.read_text())
    ]


@pytest.mark.parametrize(("document", "link"), links())
def test_a_link_leads_somewhere(document, link):
    path, _, anchor = link.partition("#")
    target = (ROOT / document).parent / path if path else ROOT / document
    assert target.exists()
    assert not anchor or anchor in anchors(target)


@pytest.mark.parametrize(("document", "file"), sorted(set(files())))
def test_a_file_that_is_named_is_there(document, file):
    if "/" in file:
        assert (ROOT / file).exists() or (PACKAGE / file).exists()
    else:
        assert file in BASENAMES
