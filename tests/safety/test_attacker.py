"""Nothing of ours stays and nothing of theirs goes, whatever somebody else does meanwhile."""

from __future__ import annotations

import pytest

from .attacker import Attacker

pytestmark = pytest.mark.kernel

SEEDS = range(8)
"""``python tests/bench/attacker.py 200`` tries many more."""


@pytest.mark.parametrize("seed", SEEDS)
def test_somebody_else_changes_what_can_be_changed(faults, other_namespace, tmp_path, seed):
    attacker = Attacker(seed, faults.namespace.name, other_namespace.name, tmp_path)
    wrong = attacker.run()
    assert wrong == [], "\n".join(attacker.done)
    for line in wrong or ["nothing"]:
        faults.tell("random changes of tables, chains, names, sets, limits, signals, kills", line)
