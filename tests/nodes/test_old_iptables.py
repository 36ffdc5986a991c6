"""Rules of this machine's iptables, read by an older one.

No part of the ordinary run. By hand, as root: ``debootstrap --variant=minbase
--include=iptables,nftables bullseye /tmp/bullseye``, then ``TRACETUI_OLD_ROOT=/tmp/bullseye pytest
tests/nodes``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.kernel.test_old_iptables import RULES, make, read

from tracetui.kernel.xtables import Xtables

pytestmark = pytest.mark.kernel
OLD = Path(os.environ.get("TRACETUI_OLD_ROOT", "/nowhere"))


def test_an_older_iptables_reads_no_rule_short(namespace):
    """TRACETUI_OLD_ROOT is a Debian bullseye with iptables 1.8.7."""
    # A range of ports has it refuse the table, which is told anyway.
    saved = make(namespace, [rule for rule in RULES.splitlines() if "1000:2000" not in rule])
    commands = Xtables()
    old = namespace.run("chroot", str(OLD), "iptables-nft-save")
    assert "-A FORWARD -p tcp -j DROP" in old
    commands.save = lambda backend, family: old  # type: ignore[method-assign]
    short = 0
    for text, meant in zip(read(namespace, commands), saved):
        assert text == meant or not text.startswith("-A "), meant
        short += text != meant
    assert short
