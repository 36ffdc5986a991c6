"""What doctor says of nf_log: whether what it is bound to gets anywhere."""

from __future__ import annotations

import pytest

from tracetui.model.node.checkup import (
    BAD,
    NOT_KNOWN,
    NOTE,
    OK,
    NflogUse,
    NodeFacts,
    can_trace,
    checks,
)

BOUND = {2: "nfnetlink_log", 10: "nf_log_ipv6"}


@pytest.mark.parametrize(
    ("use", "state", "said"),
    [
        (
            NflogUse((0, 29700), needed_by=1, is_received=True),
            OK,
            "a tracetui that is running needs it",
        ),
        (NflogUse((0,)), OK, "a program listens to its group 0"),
        (NflogUse((5,), own_loggers={2: "nf_log_ipv4"}), NOTE, "no program listens to group 0"),
        (NflogUse(()), BAD, "no program listens: left behind"),
        (NflogUse(None), NOT_KNOWN, "does not show who listens"),
    ],
)
def test_a_binding_to_nflog_is_as_good_as_who_listens(use, state, said):
    (found,) = (
        one for one in checks(NodeFacts(True, loggers=BOUND, nflog=use)) if one[1] == "nf_log"
    )
    assert found.state == state
    assert said in found.detail


def test_what_was_left_bound_is_to_be_flushed():
    found = checks(NodeFacts(True, {"nft/4": "iptables"}, loggers=BOUND))
    (left,) = (one for one in found if one.name == "nf_log")
    assert left.remedy == "tracetui flush"
    assert not can_trace(found)


def test_what_another_program_may_have_bound_is_for_the_user_to_say():
    """The command names the families that are bound, and what the kernel has for each."""
    use = NflogUse((5,), own_loggers={2: "nf_log_ipv4", 10: "nf_log_ipv6"})
    (found,) = (
        one for one in checks(NodeFacts(True, loggers=BOUND, nflog=use)) if one[1] == "nf_log"
    )
    assert found.remedy.endswith(": sysctl -w net.netfilter.nf_log.2=nf_log_ipv4")


def test_nflog_that_another_tracetui_has_is_waited_for():
    facts = NodeFacts(True, sources={"nflog": "another tracetui"}, nflog=NflogUse((0,), 1, True))
    (found,) = (one for one in checks(facts) if one.name == "nflog")
    assert found.remedy == "they come here when it ends"
