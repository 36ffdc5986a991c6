"""The Used-by tree as text and JSON."""

from __future__ import annotations

import json

import pytest
from tests.recorded import RECORDINGS

from tracetui.errors import Failure
from tracetui.session import modules

TEXT = (RECORDINGS / "seed-proc-modules.txt").read_text()


def test_every_module_has_a_line_and_its_users_below():
    lines = modules.report(TEXT, None, False).splitlines()
    heads = [line.split()[0] for line in lines if line[0] not in " │├└"]
    assert heads[0] == "MODULE"
    assert len(heads) == 1 + len(TEXT.splitlines())
    at = heads.index("nf_conntrack")
    assert at < heads.index("ena")
    own = next(line for line in lines if line.startswith("nf_conntrack "))
    assert "140 KiB" in own
    assert "nf_nat" in own


def test_one_module_by_its_name():
    text = modules.report(TEXT, "nf-nat", False)
    assert "nf_nat " in text
    assert "ena" not in text.split()


def test_json_has_numbers():
    value = json.loads(modules.report(TEXT, "nf_conntrack", True))
    (module,) = value["modules"]
    assert module["name"] == "nf_conntrack"
    assert module["size"] == int(
        next(line for line in TEXT.splitlines() if "nf_conntrack " in line).split()[1]
    )
    assert "nf_nat" in module["used_by"]


def test_a_name_that_is_not_loaded_is_a_failure_with_a_hint():
    with pytest.raises(Failure, match="nf_conntrack"):
        modules.report(TEXT, "nf_contrack", False)


def test_a_kernel_without_modules_says_so():
    assert "no loadable modules" in modules.report(None, None, False)
    assert json.loads(modules.report(None, None, True)) == {"loadable": False, "modules": []}


def test_a_circle_ends():
    text = "a 1 1 b, Live 0x0\nb 1 1 a, Live 0x0\n"
    assert len(modules.report(text, None, False).splitlines()) < 100
