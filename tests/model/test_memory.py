"""What is remembered is bounded."""

from __future__ import annotations

from tracetui.model.trace.memo import Memo


def test_so_many_at_most_and_what_is_known_can_change():
    memory: Memo[int, str] = Memo(3)
    for number in range(3):
        assert memory.learn(number, str(number)) == str(number)
    memory.learn(2, "two")
    assert memory == {0: "0", 1: "1", 2: "two"}
    memory.learn(3, "3")
    assert memory == {3: "3"}
