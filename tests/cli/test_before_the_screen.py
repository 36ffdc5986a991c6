"""Before the first picture: what is typed then is done then, and a signal ends it at once."""

from __future__ import annotations

import signal
import time

import pytest
from tests.recorded import RECORDINGS
from tests.terminal import Terminal

SEED = str(RECORDINGS / "seed-eks-forward.log")
AT_ONCE_SECONDS = 3.0
"""Fewer than those after which a screen that does not end is killed."""


@pytest.mark.parametrize("seconds", [0.0, 0.3, 0.5])
def test_keys_wait_for_the_screen(seconds):
    with Terminal("replay", SEED) as terminal:
        time.sleep(seconds)  # the moment at which it happens
        terminal.type("/10.9")
        terminal.wait_for("0 of 6")
        terminal.type("\x03")
        assert b"Traceback" not in terminal.end()
    assert terminal.process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("seconds", [0.0, 0.02, 0.05, 0.08])
def test_a_signal_ends_a_screen_that_has_only_begun(number, seconds):
    with Terminal("replay", SEED) as terminal:
        terminal.wait_for(lambda: b"\x1b[?1049h" in terminal.raw)
        time.sleep(seconds)  # the moment at which it happens
        terminal.process.send_signal(number)
        terminal.process.wait(AT_ONCE_SECONDS)
        assert b"Traceback" not in terminal.end()
        assert "killed" not in terminal.text
    assert terminal.process.returncode == 0


def test_a_burst_over_a_slow_line_is_taken_in_the_order_typed(tmp_path):
    with Terminal("replay", SEED, env={"XDG_STATE_HOME": str(tmp_path)}) as terminal:
        # Before that the terminal itself takes Backspace and Enter.
        terminal.wait_for("6 · following")
        # To the expression, edited there, and back to the packets, where a key ends it all.
        terminal.type("/\t\t\t\tport 809\x7f7\rq")
        assert b"Traceback" not in terminal.end()
    assert terminal.process.returncode == 0
    assert (tmp_path / "tracetui/filters").read_text() == "port 807\n"
