"""The Used-by tree as text and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.recorded import RECORDINGS

from tracetui.errors import Failure
from tracetui.kernel.module_files import ModuleFiles
from tracetui.session.node import modules
from tracetui.session.node.module_reader import ModuleReader


class Texts(ModuleFiles):
    """A node of which only the list of modules is known."""

    def __init__(self, listing) -> None:
        super().__init__(Path("/nowhere"))
        self.modules = lambda: listing


def report(text, name, as_json, order="name"):
    return modules.report(ModuleReader(Texts(text)), name, order, as_json)


TEXT = (RECORDINGS / "seed-proc-modules.txt").read_text()


def test_every_module_has_a_line_and_its_users_below():
    lines = report(TEXT, None, False).partition("\n\n")[0].splitlines()
    heads = [line.split()[0] for line in lines if line[0] not in " │├└"]
    assert heads[0] == "MODULE"
    assert len(heads) == 1 + len(TEXT.splitlines())
    at = heads.index("nf_conntrack")
    assert at < heads.index("ena")
    own = next(line for line in lines if line.startswith("nf_conntrack "))
    assert "140 KiB" in own
    assert "nf_nat" in own


def test_one_module_by_its_name():
    text = report(TEXT, "nf-nat", False)
    assert "nf_nat " in text
    assert "ena" not in text.split()


def test_json_has_numbers():
    value = json.loads(report(TEXT, "nf_conntrack", True))
    (module,) = value["modules"]
    assert module["name"] == "nf_conntrack"
    assert module["size"] == int(
        next(line for line in TEXT.splitlines() if "nf_conntrack " in line).split()[1]
    )
    assert "nf_nat" in module["used_by"]


def test_a_name_that_is_not_loaded_is_a_failure_with_a_hint():
    with pytest.raises(Failure, match="nf_conntrack"):
        report(TEXT, "nf_contrack", False)


@pytest.mark.parametrize(
    ("name", "files", "said"),
    [
        ("nosuch", {"on_disk": "kernel/x/xt_TRACE.ko:\n"}, "nosuch is not known: .* none of"),
        ("nosuch", {}, "nosuch is not known: "),
        ("xt-TRACE", {"on_disk": "kernel/x/xt_TRACE.ko.zst:\n"}, "not loaded; `modprobe xt-TRACE`"),
        ("loop", {"built_in": "kernel/drivers/loop.ko\n"}, "loop is built into this kernel"),
    ],
)
@pytest.mark.parametrize("listing", [TEXT, None])
def test_an_unknown_module_is_told_to_be_unknown_by_its_name(listing, name, files, said):
    texts = Texts(listing)
    for which, text in files.items():
        setattr(texts, which, lambda text=text: text)
    with pytest.raises(Failure, match=said):
        modules.report(ModuleReader(texts), name, "name", False)


def test_a_kernel_without_modules_says_so():
    assert "no loadable modules" in report(None, None, False)
    value = json.loads(report(None, None, True))
    assert (value["loadable"], value["modules"]) == (False, [])
    assert {need["state"] for need in value["needs"]} == {"unknown"}


@pytest.mark.parametrize(("order", "first"), [("size", "xfs"), ("references", "cryptd")])
def test_the_largest_come_first_when_sorted_so(order, first):
    lines = report(TEXT, None, False, order).splitlines()
    assert lines[1].split()[0] == first


def test_what_one_depends_on_is_told_too():
    lines = report(TEXT, "nf_nat", False).splitlines()
    assert "used by      nf_nat_ipv4" in lines
    assert "depends on   libcrc32c, nf_conntrack" in lines


def test_a_circle_ends():
    text = "a 1 1 b, Live 0x0\nb 1 1 a, Live 0x0\n"
    assert len(report(text, None, False).splitlines()) < 100
