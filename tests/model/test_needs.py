"""What tracing needs of a kernel, and what proves that it is there."""

from __future__ import annotations

import pytest

from tracetui.model.node.needs import (
    BUILT_IN,
    LOADED,
    MISSING,
    ON_DISK,
    TRACING_PARTS,
    UNKNOWN,
    Evidence,
    needs,
)


def state_of(name: str, evidence: Evidence) -> tuple[str, str]:
    found = next(need for need in needs(evidence) if need.part.name == name)
    return found.state, found.module


@pytest.mark.parametrize(
    ("evidence", "state"),
    [
        (Evidence(), (UNKNOWN, "xt_limit")),
        (Evidence(loaded=["xt_limit"]), (LOADED, "xt_limit")),
        (Evidence(loaded=[], built_in=["xt_limit"]), (BUILT_IN, "xt_limit")),
        (Evidence(options={"NETFILTER_XT_MATCH_LIMIT": "y"}), (BUILT_IN, "xt_limit")),
        (Evidence(loaded=[], on_disk=["xt_limit"]), (ON_DISK, "xt_limit")),
        # A module's option says that it was built, not that it is on this disk.
        (Evidence(loaded=[], options={"NETFILTER_XT_MATCH_LIMIT": "m"}), (UNKNOWN, "xt_limit")),
        (Evidence(options={"NF_TABLES": "y"}), (MISSING, "xt_limit")),
        (Evidence(loaded=[], on_disk=[], built_in=[]), (MISSING, "xt_limit")),
        # Absence from a list proves nothing where another list was not to be had.
        (Evidence(loaded=[], built_in=[]), (UNKNOWN, "xt_limit")),
        (Evidence(loaded=[], on_disk=[]), (UNKNOWN, "xt_limit")),
    ],
)
def test_a_part_is_what_the_evidence_proves(evidence, state):
    assert state_of("limit match", evidence) == state


def test_an_old_kernels_module_brings_a_part_too():
    assert state_of("log of packets", Evidence(loaded=["ipt_LOG"])) == (LOADED, "ipt_LOG")
    both = Evidence(loaded=[], on_disk=["nf_log_ipv4"])
    assert state_of("log of packets", both) == (ON_DISK, "nf_log_ipv4")


def test_what_is_seen_at_work_is_there():
    for part in TRACING_PARTS:
        assert state_of(part.name, Evidence(proven=[part.name]))[0] == BUILT_IN
        assert state_of(part.name, Evidence(loaded=[], proven=[part.name]))[0] == LOADED
