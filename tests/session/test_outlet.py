"""Outputs that can be given up."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time

import pytest
from tests.stuck import fill, stuck, wait_until_stuck

from tracetui.session.recording.outlet import GivenUp, blocked_seconds, outlet_of, text_on


@pytest.fixture
def alarm():
    """Has a signal's handler look at the output every few moments."""

    def state(*_: object) -> None:
        if (blocked_seconds() or 0.0) > 0.2:
            raise GivenUp

    before = signal.signal(signal.SIGALRM, state)
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("is_blocking", [True, False])
@pytest.mark.parametrize("kind", ["pipe", "terminal"])
def test_a_write_that_is_given_up_loses_the_rest_and_blocks_no_more(
    kind, is_blocking, tmp_path, alarm
):
    with stuck(kind, tmp_path) as fd:
        os.set_blocking(fd, is_blocking)
        stream = text_on(fd, closefd=False)
        stream.write("x" * 100_000)
        stream.flush()
        assert outlet_of(stream).is_shut
        assert blocked_seconds() is None
        stream.write("y" * 100_000)
        stream.close()


def test_a_slow_reader_of_an_output_that_does_not_block_gets_everything():
    out, into = os.pipe()
    fill(into)
    os.set_blocking(into, False)
    taken = bytearray()

    def read() -> None:
        while piece := os.read(out, 1000):
            taken.extend(piece)
            time.sleep(0.0005)  # the reader is slow

    reader = threading.Thread(target=read)
    reader.start()
    with text_on(into) as stream:
        stream.write("x" * 200_000)
    reader.join()
    os.close(out)
    assert taken.count(b"x") == 200_000


def test_what_other_threads_write_is_no_matter_of_the_main_one(tmp_path):
    with stuck("pipe", tmp_path) as fd:
        stream = text_on(fd, closefd=False)

        def write() -> None:
            with contextlib.suppress(BrokenPipeError):
                print("x", file=stream, flush=True)

        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        wait_until_stuck(os.getpid(), writer.native_id)
        assert blocked_seconds() is None
        outlet_of(stream).shut()
    writer.join(10)
    stream.close()
