"""/proc/modules and lsmod."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.recorded import RECORDINGS

from tracetui.parse.node import proc_modules

PUBLIC = os.environ.get("TRACETUI_PUBLIC_RECORDINGS")
PROC = (RECORDINGS / "seed-proc-modules.txt").read_text()
LSMOD = (RECORDINGS / "seed-lsmod.txt").read_text()


def test_a_line_gives_name_size_references_users_and_state():
    found = proc_modules.parse(PROC)
    assert found.skipped == 0
    assert len(found.modules) == len(PROC.splitlines())
    conntrack = next(one for one in found.modules if one.name == "nf_conntrack")
    assert conntrack.refcount == 3
    assert set(conntrack.used_by) == {"nf_conntrack_ipv4", "nf_nat", "nf_nat_ipv4"}
    assert conntrack.state == "Live"


def test_lsmod_says_the_same_but_for_the_state():
    proc = {m.name: (m.size, m.refcount, set(m.used_by)) for m in proc_modules.parse(PROC).modules}
    lsmod = proc_modules.parse(LSMOD).modules
    assert {m.name: (m.size, m.refcount, set(m.used_by)) for m in lsmod} == proc
    assert {m.state for m in lsmod} == {None}


def test_taint_permanence_and_uncounted_references():
    text = "zfs 1 0 - Live 0x0 (POE)\nnf_a 2 1 [permanent], Live 0x0\nb 3 - - Loading 0x0\n"
    zfs, permanent, uncounted = proc_modules.parse(text).modules
    assert (zfs.taint, zfs.permanent) == ("POE", False)
    assert (permanent.permanent, permanent.used_by) == (True, ())
    assert (uncounted.refcount, uncounted.state) == (None, "Loading")


def test_a_module_that_is_being_removed_has_minus_one_references():
    text = "nouveau 2654208 -1 - Unloading 0xffffffffc1234000\ntwo 1 -2 - Live 0x0\n"
    found = proc_modules.parse(text)
    (module,) = found.modules
    assert (module.refcount, module.state, module.used_by) == (-1, "Unloading", ())
    assert module.unexplained == 0
    assert found.skipped == 1


@pytest.mark.skipif(PUBLIC is None, reason="TRACETUI_PUBLIC_RECORDINGS is not set")
def test_the_states_of_the_field_are_read():
    (truth,) = Path(PUBLIC or "").with_name("field").glob("26-*.expect.json")
    expected = json.loads(truth.read_text())
    text = truth.with_name(truth.name.replace(".expect.json", ".txt")).read_text()
    found = proc_modules.parse(text)
    assert (found.skipped, len(found.modules)) == (0, expected["modules"])
    by_name = {module.name: module for module in found.modules}
    for wanted in expected["spot_checks"]:
        module = by_name[wanted["name"]]
        for name, value in wanted.items():
            read = getattr(module, name)
            assert (list(read) if name == "used_by" else read) == value, name


def test_what_cannot_be_read_is_counted():
    huge = "9" * 5000
    assert proc_modules.parse(f"garbage\nnf_nat x 1\n\0\0\na {huge} 1 -\n").skipped == 4


@given(st.text())
def test_whatever_the_text_nothing_is_raised(text):
    found = proc_modules.parse(text)
    assert len(found.modules) + found.skipped <= len(text.splitlines())
